/** Reads the retained messages of one broker as any subscriber gets them. */

import { connectAsync } from "mqtt";
import type { RetainedSet } from "../ledger/retained-ledger.ts";
import type { Broker } from "./roaming-client.ts";

/** Nothing has come for this long: that was all. */
const SILENCE_MS = 1500;
const CONNECT_MAX_MS = 5000;

/** @throws {Error} if the broker does not let a reader in, or sends it away. */
export async function readRetained({ name, host, port }: Broker, prefix: string): Promise<RetainedSet> {
  const client = await connectAsync({
    host,
    port,
    protocol: "mqtt",
    protocolVersion: 5,
    connectTimeout: CONNECT_MAX_MS,
    reconnectPeriod: 0,
  });
  const messages = new Map<string, string>();
  try {
    await new Promise<void>((resolve, reject) => {
      let silence: NodeJS.Timeout | undefined;
      client.on("message", (topic, payload) => {
        messages.set(topic, payload.toString());
        silence?.refresh();
      });
      client.once("close", () => reject(new Error(`${name} closed the connection of a reader`)));
      client.subscribe(`${prefix}/#`, { qos: 1 }, (error) => {
        if (error === null) silence = setTimeout(resolve, SILENCE_MS);
        else reject(error);
      });
    });
  } finally {
    await client.endAsync(true);
  }
  return { broker: name, messages };
}
