/**
 * Subscribers as people have them: MQTT.js, Paho and mosquitto_sub, with keepalive 60, that say nothing of their own accord.
 *
 * Such a client learns of a dead broker only when its next ping is not answered, up to a minute and a half later, unless
 * the new holder of the address wakes it. Each reconnects by itself, with the patience it comes with. Each is a process of its own,
 * so that it can be in any network.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { hasMosquitto, pythonWithPaho } from "../../support/programs.ts";
import { eventually } from "./eventually.ts";

const KEEPALIVE_SECONDS = "60";
const MQTT_JS = fileURLToPath(new URL("mqttjs-idle.ts", import.meta.url));
const PAHO = fileURLToPath(new URL("paho_idle.py", import.meta.url));

/** A client, when it was last let in, and when a message reached it last: times of `performance.now`, 0 before the first. */
export interface IdleClient {
  readonly name: string;
  readonly connectedAtMs: number;
  readonly heardAtMs: number;
  stop(): void;
}

/**
 * One of each kind, subscribed to `topic` at `host`. Those that this machine lacks have said so loudly.
 *
 * @param topic of no other set of idle clients: their client ids hold it
 * @param launcher program and arguments that run what follows them, for clients in a network of their own
 */
export async function idleClients(
  host: string,
  topic: string,
  launcher: readonly string[] = [],
): Promise<readonly IdleClient[]> {
  const plan = [host, KEEPALIVE_SECONDS, topic];
  const start = (name: string, ...command: readonly string[]): IdleClient =>
    program(name, [...launcher, ...command]);
  const clients = [start("MQTT.js", process.execPath, MQTT_JS, ...plan)];
  const python = pythonWithPaho();
  if (python !== undefined) clients.push(start("Paho Python", python, PAHO, ...plan));
  if (hasMosquitto()) {
    const args = ["-h", host, "-k", KEEPALIVE_SECONDS, "-q", "1", "-t", topic, "-d"];
    // Without a terminal its lines would wait in a buffer.
    clients.push(start("mosquitto_sub", "stdbuf", "-oL", "mosquitto_sub", ...args));
  }
  await back(clients, 0, 10_000);
  return clients;
}

/** Waits until each was let in after `sinceMs`. @returns how long after it each was, in ms, by name. */
export function back(
  clients: readonly IdleClient[],
  sinceMs: number,
  withinMs: number,
): Promise<ReadonlyMap<string, number>> {
  return all(
    "all idle clients are connected",
    clients,
    ({ connectedAtMs }) => connectedAtMs - sinceMs,
    withinMs,
  );
}

/** Waits until a message has reached each after `sinceMs`. @returns how long after it, in ms, by name. */
export function heard(
  clients: readonly IdleClient[],
  sinceMs: number,
  withinMs: number,
): Promise<ReadonlyMap<string, number>> {
  return all("all idle clients hear", clients, ({ heardAtMs }) => heardAtMs - sinceMs, withinMs);
}

async function all(
  what: string,
  clients: readonly IdleClient[],
  afterMs: (client: IdleClient) => number,
  withinMs: number,
): Promise<ReadonlyMap<string, number>> {
  await eventually(what, { withinMs }, async () => {
    const missing = clients.filter((client) => afterMs(client) <= 0).map(({ name }) => name);
    if (missing.length > 0) throw new Error(`still waiting for ${missing.join(", ")}`);
  });
  return new Map(clients.map((client) => [client.name, Math.round(afterMs(client))]));
}

/** The first two say it in one word; mosquitto_sub names the packets. */
const CONNECTED = /^connected|received SUBACK/;
const HEARD = /^heard|received PUBLISH/;

function program(name: string, [path = "", ...args]: readonly string[]): IdleClient {
  const child: ChildProcess = spawn(path, args, { stdio: ["ignore", "pipe", "ignore"] });
  const client = { name, connectedAtMs: 0, heardAtMs: 0, stop: () => void child.kill("SIGKILL") };
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (CONNECTED.test(line)) client.connectedAtMs = performance.now();
      if (HEARD.test(line)) client.heardAtMs = performance.now();
    });
  }
  return client;
}
