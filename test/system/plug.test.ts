/** The judge of `npm run plug` (`test/plug`) before it is sent out to meshes: it clears who keeps the promises and finds who does not. */

import { expect, onTestFinished, test } from "vitest";
import type { Broker } from "../plug/clients/roaming-client.ts";
import { run } from "../plug/run.ts";
import { settingsFrom } from "../plug/settings.ts";
import { makeNode } from "../support/node-process.ts";

const SHORT =
  "--seconds 20 --rate 100 --qos1 6 --qos2 4 --subscribers 6 --fan-out 2 --writers 2 --wills 4 --will-grace 4 --seed 7";

async function judge(
  brokers: readonly Broker[],
  ...args: readonly string[]
): Promise<ReadonlyMap<string, number>> {
  const settings = settingsFrom([...SHORT.split(" "), ...args]);
  if (settings === undefined) throw new Error("no settings");
  const { judgements } = await run(settings, brokers, undefined, () => undefined);
  return new Map(judgements.map(({ promise, broken }) => [promise, broken]));
}

test("one node that nobody strikes keeps every promise", async () => {
  const broken = await judge([await aloneNamed("alone")], "--drain", "20");
  expect([...broken].filter(([, count]) => count > 0)).toEqual([]);
});

test("two nodes that know nothing of each other are found out: messages, sessions, retained messages and wills", async () => {
  const brokers = await Promise.all([aloneNamed("one"), aloneNamed("other")]);
  const broken = await judge(brokers, "--drain", "5");
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
