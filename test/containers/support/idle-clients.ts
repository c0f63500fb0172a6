/**
 * Subscribers as people have them: MQTT.js, Paho and mosquitto_sub, with keepalive 60, that say nothing of their own accord.
 *
 * Such a client learns of a dead broker only when its next ping is not answered, up to a minute and a half later, unless
 * the new holder of the address wakes it. Each reconnects by itself, with the patience it comes with.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import mqtt from "mqtt";
import { hasMosquitto, pythonWithPaho } from "../../support/programs.ts";
import { eventually } from "./eventually.ts";

const KEEPALIVE_SECONDS = 60;

/** A client, and when it was last let in. */
export interface IdleClient {
  readonly name: string;
  /** Of `performance.now`; 0 before the first time. */
  readonly connectedAtMs: number;
  stop(): void;
}

/** One of each kind, subscribed to `topic` at `host`. Those that this machine lacks have said so loudly. */
export async function idleClients(host: string, topic: string): Promise<readonly IdleClient[]> {
  const clients: IdleClient[] = [mqttJs(host, topic)];
  const seconds = String(KEEPALIVE_SECONDS);
  const python = pythonWithPaho();
  if (python !== undefined) {
    const script = join(import.meta.dirname, "paho_idle.py");
    clients.push(program("Paho Python", /^connected/, python, [script, host, seconds, topic]));
  }
  if (hasMosquitto()) {
    // Without a terminal its lines would wait in a buffer.
    const args = ["-oL", "mosquitto_sub", "-h", host, "-k", seconds, "-q", "1", "-t", topic, "-d"];
    clients.push(program("mosquitto_sub", /received SUBACK/, "stdbuf", args));
  }
  await back(clients, 0, 10_000);
  return clients;
}

/** Waits until each was let in after `sinceMs`. @returns how long after it each was, in ms, by name. */
export async function back(
  clients: readonly IdleClient[],
  sinceMs: number,
  withinMs: number,
): Promise<ReadonlyMap<string, number>> {
  await eventually("all idle clients are connected", { withinMs }, async () => {
    const missing = clients.filter(({ connectedAtMs }) => connectedAtMs <= sinceMs).map(({ name }) => name);
    if (missing.length > 0) throw new Error(`still waiting for ${missing.join(", ")}`);
  });
  return new Map(clients.map(({ name, connectedAtMs }) => [name, Math.round(connectedAtMs - sinceMs)]));
}

function mqttJs(host: string, topic: string): IdleClient {
  const client = mqtt.connect({ protocol: "mqtt", host, port: 1883, keepalive: KEEPALIVE_SECONDS });
  const state = { name: "MQTT.js", connectedAtMs: 0, stop: () => void client.end(true) };
  client.on("error", () => undefined);
  client.on("connect", () => {
    client.subscribe(topic, { qos: 1 }, (error) => {
      if (!error) state.connectedAtMs = performance.now();
    });
  });
  return state;
}

function program(name: string, isConnected: RegExp, path: string, args: readonly string[]): IdleClient {
  const child: ChildProcess = spawn(path, [...args], { stdio: ["ignore", "pipe", "ignore"] });
  const state = { name, connectedAtMs: 0, stop: () => void child.kill("SIGKILL") };
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (isConnected.test(line)) state.connectedAtMs = performance.now();
    });
  }
  return state;
}
