/** P8: every node serves the same retained set, deletions included, also after a restart of any one of them. */

import { rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect, gather, publishMany } from "../support/mqtt-clients.ts";
import { type NodeProcess, startMesh, type TestMesh, waitUntilHealthy } from "../support/node-process.ts";

const TOPICS = 1000;

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

function node(at: number): NodeProcess {
  const found = mesh.nodes[at];
  if (found === undefined) throw new Error(`no node ${at}`);
  return found;
}

/** Waits until all replicas hold `count` messages with one digest, then checks that they are equal byte for byte. */
async function expectSameSets(count: number): Promise<ReadonlyMap<string, string>> {
  await eventually(`three equal sets of ${count}`, { withinMs: 20_000, everyMs: 100 }, async () => {
    const summaries = await Promise.all(mesh.nodes.map((node) => node.get("/api/retained")));
    for (const summary of summaries) {
      expect(summary).toEqual(summaries[0]);
      expect(summary).toMatchObject({ count });
    }
  });
  const [first, ...others] = await Promise.all(mesh.nodes.map((node) => node.retained()));
  for (const other of others) expect(other).toEqual(first);
  return new Map(
    first?.entries.map(({ topic, payload }) => [topic, Buffer.from(payload, "base64").toString()]),
  );
}

/** Reads `count` retained messages as a client does: by subscribing. */
async function read(at: number, count: number): Promise<ReadonlyMap<string, string>> {
  const client = await connect(node(at));
  const received = gather(client, count);
  await client.subscribeAsync("set/#", { qos: 1 });
  const messages = await received;
  for (const { retain } of messages) expect(retain).toBe(true);
  return new Map(messages.map(({ topic, payload }) => [topic, payload]));
}

test("1,000 retained topics written on A are read on B and C", async () => {
  const writer = await connect(node(0));
  await publishMany(writer, TOPICS, (at) => ({
    topic: `set/${at % 10}/${at}`,
    payload: `value ${at}`,
    qos: 1,
    retain: true,
  }));
  const expected = new Map(
    Array.from({ length: TOPICS }, (_, at) => [`set/${at % 10}/${at}`, `value ${at}`]),
  );
  expect(await expectSameSets(TOPICS)).toEqual(expected);
  for (const at of [1, 2]) expect(await read(at, TOPICS)).toEqual(expected);
});

test("deletions and changes on any node reach all nodes; no deleted topic comes back", async () => {
  for (const [at] of mesh.nodes.entries()) {
    const writer = await connect(node(at));
    // Each node deletes and changes its own third, at alternating QoS.
    await publishMany(writer, 200, (step) => ({
      topic: `set/${(at * 200 + step) % 10}/${at * 200 + step}`,
      payload: step % 2 === 0 ? "" : `changed by ${at}`,
      qos: step % 3 === 0 ? 2 : 1,
      retain: true,
    }));
  }
  const set = await expectSameSets(TOPICS - 300);
  expect(set.has("set/0/0")).toBe(false);
  expect(set.get("set/1/201")).toBe("changed by 1");
  expect(set.get("set/9/999")).toBe("value 999");
  for (const at of [0, 1, 2]) expect(await read(at, TOPICS - 300)).toEqual(set);
});

test.each([0, 1, 2])("after a restart of node %i the three sets are byte-identical", async (at) => {
  const before = await expectSameSets(TOPICS - 300);
  const writer = await connect(node((at + 1) % 3));
  expect(await node(at).stop()).toEqual({ code: 0, signal: null });
  await writer.publishAsync("set/while-down", `without ${at}`, { qos: 1, retain: true });
  await node(at).start();
  await waitUntilHealthy(mesh.nodes);
  const after = new Map(await expectSameSets(TOPICS - 300 + 1));
  expect(after.get("set/while-down")).toBe(`without ${at}`);
  after.delete("set/while-down");
  expect(after).toEqual(before);
  await writer.publishAsync("set/while-down", "", { qos: 1, retain: true });
  await expectSameSets(TOPICS - 300);
});

test("P8: a node that missed writes while it was down serves them to its very first client", async () => {
  await node(2).kill();
  const writer = await connect(node(0));
  await publishMany(writer, 500, (at) => ({ topic: `late/${at}`, payload: "x", qos: 1, retain: true }));
  await node(2).start();
  const client = await connect(node(2));
  const received = gather(client, 500, 3000);
  await client.subscribeAsync("late/#", { qos: 1 });
  expect((await received).length).toBe(500);
});

test("P8, P12: a node whose disk was wiped comes back as a new one, and serves everything to its very first client", async () => {
  const before = await node(1).retained();
  await node(1).kill();
  rmSync(node(1).dataDirectory, { recursive: true });
  await node(1).start();
  const client = await connect(node(1));
  const received = gather(client, before.count, 3000);
  await client.subscribeAsync("#", { qos: 1 });
  expect((await received).length).toBe(before.count);
  expect(await node(1).retained()).toEqual(before);
});
