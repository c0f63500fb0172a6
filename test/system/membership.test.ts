/** Real processes: a node leaves, a dead one is forgotten and comes back, and the last of two founds the mesh anew. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../support/mqtt-clients.ts";
import { type NodeProcess, runSkein, startMesh, type TestMesh } from "../support/node-process.ts";

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

const on = (node: NodeProcess): readonly string[] => ["--http", `127.0.0.1:${node.ports.http}`];

test("leave ends the program with 0 and leaves two nodes with one voter; forget makes the last of them whole again", async () => {
  const [a, b, c] = mesh.nodes as [NodeProcess, NodeProcess, NodeProcess];
  const client = await connect(a);
  await client.publishAsync("kept", "x", { qos: 1, retain: true });
  await client.endAsync();

  expect(await runSkein(["leave", ...on(c)])).toMatchObject({ code: 2 });
  expect(await runSkein(["leave", "--yes", ...on(c)])).toMatchObject({ code: 0, err: "" });
  expect(await c.exited()).toEqual({ code: 0, signal: null });
  await a.waitForStatus("one voter of two", ({ quorum, members }) => {
    return (
      quorum && members.filter(({ role, state }) => role !== "learner" && state === "alive").length === 1
    );
  });

  const statuses = await Promise.all([a, b].map((node) => node.status()));
  const voter = statuses[0]?.node === statuses[0]?.coordinator ? a : b;
  const survivor = voter === a ? b : a;
  const alive = await runSkein(["forget", voter.name, "--yes", ...on(survivor)]);
  expect(alive.err).toContain("is alive");
  await voter.kill();
  await survivor.waitForStatus("the other one is dead", ({ members }) => {
    return members.some(({ name, state }) => name === voter.name && state === "dead");
  });
  const before = await survivor.status();
  const forgotten = await runSkein(["forget", voter.name, "--yes", "--json", ...on(survivor)]);
  expect(forgotten).toMatchObject({ code: 0, err: "" });
  const after = await survivor.waitForStatus("founded anew", ({ quorum, cluster }) => {
    return quorum && cluster !== before.cluster;
  });
  expect([after.node, after.retained]).toEqual([before.node, 1]);
  expect(after.notes).toContainEqual(expect.stringContaining(`a fork of cluster ${before.cluster}`));
  await survivor.waitForStatus(
    "lists neither who left nor who was forgotten",
    ({ members }) => members.length === 1,
  );
  const roster = await runSkein(["members", "--json", ...on(survivor)]);
  expect(JSON.parse(roster.out)).toMatchObject([
    { name: survivor.name, role: "coordinator", state: "alive" },
  ]);

  // The one that left is a new node.
  await c.start();
  await survivor.waitForStatus("two again", ({ members }) => {
    return members.some(({ name, state }) => name === c.name && state === "alive");
  });
  expect((await c.status()).cluster).toBe(after.cluster);
});
