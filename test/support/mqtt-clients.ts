/** MQTT.js clients for system tests, and publishing many messages without overrunning anybody. */

import { randomBytes } from "node:crypto";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { onTestFinished } from "vitest";
import type { NodeProcess } from "./node-process.ts";

export type QoS = 0 | 1 | 2;

/** Messages on their way per publisher: below the Receive Maximum that the broker grants. */
const WINDOW = 32;

/** Connects to a node; ended with the test. */
export async function connect(node: NodeProcess, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(node.url, {
    clientId: `test-${randomBytes(6).toString("hex")}`,
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: 5000,
    ...options,
  });
  // An error also closes the connection; tests look at that.
  client.on("error", () => undefined);
  onTestFinished(async () => {
    await client.endAsync(true);
  });
  return client;
}

/** Publishes `count` messages in order, `WINDOW` at a time; resolves when all are acknowledged. */
export async function publishMany(
  client: MqttClient,
  count: number,
  message: (at: number) => {
    readonly topic: string;
    readonly payload: string;
    readonly qos: QoS;
    readonly retain?: boolean;
  },
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const { topic, payload, qos, retain = false } = message(next++);
      await client.publishAsync(topic, payload, { qos, retain });
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, worker));
}

/** Gathers what a client gets until there are `count` messages; fails after `withinMs` without progress. */
export function gather(client: MqttClient, count: number, withinMs = 10_000): Promise<readonly Received[]> {
  return new Promise((resolve, reject) => {
    const received: Received[] = [];
    const fail = (): void => {
      client.off("message", take);
      reject(new Error(`only ${received.length} of ${count} messages came, then none for ${withinMs} ms`));
    };
    let timer = setTimeout(fail, withinMs);
    const take = (
      topic: string,
      payload: Buffer,
      packet: { readonly qos: number; readonly retain: boolean },
    ): void => {
      clearTimeout(timer);
      received.push({ topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain });
      if (received.length < count) {
        timer = setTimeout(fail, withinMs);
        return;
      }
      client.off("message", take);
      resolve(received);
    };
    client.on("message", take);
  });
}

export interface Received {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
}
