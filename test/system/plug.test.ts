/** The plug (`test/plug`) in small, with processes; and that its judge clears who keeps the promises and finds who does not. */

import { expect, onTestFinished, test } from "vitest";
import type { Broker } from "../plug/clients/roaming-client.ts";
import type { FaultHook } from "../plug/faults/fault-schedule.ts";
import { ProcessFaults, processBrokers } from "../plug/faults/process-faults.ts";
import { run } from "../plug/run.ts";
import { settingsFrom } from "../plug/settings.ts";
import { makeNode, startMesh } from "../support/node-process.ts";

const SHORT =
  "--seconds 8 --rate 100 --qos1 6 --qos2 4 --subscribers 6 --fan-out 2 --writers 2 --wills 4 --will-grace 4 --seed 7";

async function judge(
  brokers: readonly Broker[],
  hook: FaultHook | undefined,
  ...args: readonly string[]
): Promise<ReadonlyMap<string, number>> {
  const settings = settingsFrom([...SHORT.split(" "), ...args]);
  if (settings === undefined) throw new Error("no settings");
  const { judgements } = await run(settings, brokers, hook, () => undefined);
  return new Map(judgements.map(({ promise, broken }) => [promise, broken]));
}

test("one node that nobody strikes keeps every promise", async () => {
  const broken = await judge([await aloneNamed("alone")], undefined, "--drain", "20");
  expect([...broken].filter(([, count]) => count > 0)).toEqual([]);
});

test("three nodes that are killed and frozen one after the other keep every promise", async () => {
  const mesh = await startMesh(3);
  onTestFinished(() => mesh.remove());
  const args = ["--fault", "processes", "--seconds", "30", "--fault-every", "9", "--fault-for", "5"];
  const hook = new ProcessFaults(mesh);
  const broken = await judge(processBrokers(mesh), hook, ...args, "--will-grace", "30", "--drain", "60");
  expect([...broken].filter(([, count]) => count > 0)).toEqual([]);
}, 200_000);

test("two nodes that know nothing of each other are found out: messages, sessions, retained messages and wills", async () => {
  const brokers = await Promise.all([aloneNamed("one"), aloneNamed("other")]);
  const broken = await judge(brokers, undefined, "--seconds", "20", "--drain", "5");
  for (const promise of [
    "what was acknowledged arrives",
    "sessions are there when their client comes back",
    "every broker serves the same retained messages",
    "retained topics hold the newest that was acknowledged",
    "wills of clients that are gone are published",
  ])
    expect(broken.get(promise), promise).toBeGreaterThan(0);
});

/** A node of a mesh of its own. */
async function aloneNamed(name: string): Promise<Broker> {
  const node = await makeNode({ name });
  onTestFinished(() => node.remove());
  await node.start();
  return { name, host: node.host, port: node.ports.mqtt };
}
