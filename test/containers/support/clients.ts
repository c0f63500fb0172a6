/**
 * MQTT clients that know one address: MQTT.js without its own reconnecting, so that a test decides when to try.
 */

import { randomBytes } from "node:crypto";
import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { eventually, type Seen } from "./eventually.ts";

/** A healthy node on the same bridge answers CONNECT in milliseconds; a lost address never does. */
const CONNECT_TIMEOUT_MS = 500;
const KNOCK_EVERY_MS = 50;

/**
 * One attempt to connect.
 *
 * @throws {Error} if CONNACK does not come within half a second, or refuses.
 */
export function connect(host: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = mqtt.connect({
    protocol: "mqtt",
    host,
    port: 1883,
    clientId: `test-${randomBytes(6).toString("hex")}`,
    protocolVersion: 5,
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    keepalive: 30,
    ...options,
  });
  return new Promise((resolve, reject) => {
    let reason = new Error(`${host} did not answer CONNECT`);
    client.on("error", (error) => {
      reason = error;
    });
    client.once("connect", () => resolve(client));
    client.once("close", () => {
      client.end(true);
      reject(reason);
    });
  });
}

/** Connects, and leaves politely at once. @throws {Error} as {@link connect}. */
export async function answersConnect(host: string, options: IClientOptions = {}): Promise<void> {
  const client = await connect(host, options);
  await client.endAsync();
}

/** Waits until somebody answers CONNECT on `host`; alternates the protocol versions as devices do. */
export function answersAgain(host: string, withinMs: number): Promise<Seen<void>> {
  let attempt = 0;
  return eventually(`${host} answers CONNECT`, { withinMs, everyMs: 20 }, () => {
    attempt += 1;
    return answersConnect(host, { protocolVersion: attempt % 2 === 0 ? 4 : 5 });
  });
}

/**
 * The same to a few hundredths of a second: an attempt begins every 50 ms, whether or not those before it have been answered.
 *
 * @throws {Error} if none is answered in time.
 */
export function answersSoon(host: string, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const knocks = setInterval(() => answersConnect(host).then(end, () => undefined), KNOCK_EVERY_MS);
    const late = setTimeout(() => end(new Error(`${host} did not answer CONNECT`)), withinMs);
    const end = (error?: unknown): void => {
      clearInterval(knocks);
      clearTimeout(late);
      if (error === undefined) resolve();
      else reject(error);
    };
  });
}

/**
 * Reads retained messages with a new client until `isComplete` says so.
 *
 * @throws {Error} if it is not complete in time; the message tells how many topics came.
 */
export async function readRetained(
  host: string,
  filter: string,
  isComplete: (seen: ReadonlyMap<string, string>) => boolean,
  withinMs = 5000,
): Promise<ReadonlyMap<string, string>> {
  const client = await connect(host);
  const seen = new Map<string, string>();
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`Only ${seen.size} retained topics of "${filter}" came from ${host}`)),
        withinMs,
      );
      client.on("message", (topic, payload) => {
        seen.set(topic, payload.toString());
        if (!isComplete(seen)) return;
        clearTimeout(timer);
        resolve();
      });
      client.once("close", () => {
        clearTimeout(timer);
        reject(new Error(`${host} closed the connection after ${seen.size} retained topics`));
      });
      client.subscribeAsync(filter, { qos: 1 }).catch(reject);
    });
    return seen;
  } finally {
    client.end(true);
  }
}
