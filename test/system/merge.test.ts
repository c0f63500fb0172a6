/** Real processes: clusters of one mesh and key that were founded apart meet, and become one with what both had. */

import { connect as connectTo } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { letClusterAge } from "../support/aged-cluster.ts";
import { connect } from "../support/mqtt-clients.ts";
import {
  makeNode,
  type NodeProcess,
  newMeshKey,
  runSkein,
  startMesh,
  waitUntilHealthy,
} from "../support/node-process.ts";

const PERSISTENT = { clean: false, properties: { sessionExpiryInterval: 3600 } } as const;

const on = (node: NodeProcess): readonly string[] => ["--http", `127.0.0.1:${node.ports.http}`];
const linkOf = ({ ports }: NodeProcess): string => `127.0.0.1:${ports.link}`;

test("two nodes founded apart become one mesh: nothing is lost, and the value that gave way is listed", async () => {
  const meshKey = newMeshKey();
  // Read at each start: the second one of b knows where a is.
  const argsOfB: string[] = [];
  const a = await makeNode({ name: "a", meshKey });
  const b = await makeNode({ name: "b", meshKey, args: argsOfB });
  onTestFinished(async () => {
    await Promise.all([a.remove(), b.remove()]);
  });
  await Promise.all([a.start(), b.start()]);
  const apart = await Promise.all([a.status(), b.status()]);
  expect(apart[0].cluster).not.toBe(apart[1].cluster);
  expect((await runSkein(["merge", ...on(a)])).out).toBe("No other cluster of this mesh is in sight.\n");
  expect((await runSkein(["conflicts", ...on(a)])).out).toBe(
    "No retained values have given way to others.\n",
  );
  const alone = await runSkein(["merge", "--approve", ...on(a)]);
  expect(alone.code).not.toBe(0);
  expect(alone.err).toContain("No other cluster of this mesh is in sight. Look with: skein status");
  await publishRetained(a, { "only/a": "1", both: "from a" });
  await publishRetained(b, { "only/b": "2", both: "from b" });

  await b.stop();
  argsOfB.push("--peer", linkOf(a));
  await b.start();
  await waitUntilHealthy([a, b]);

  for (const node of [a, b]) {
    // Of the two values of "both" b's was written later.
    expect(await heldBy(node)).toEqual({ both: "from b", "only/a": "1", "only/b": "2" });
    const { out } = await runSkein(["conflicts", "--json", ...on(node)]);
    const listed = JSON.parse(out) as { topic: string; lost: { payload: string } }[];
    expect(listed.map(({ topic, lost }) => [topic, text(lost.payload)])).toEqual([["both", "from a"]]);
    expect((await runSkein(["conflicts", ...on(node)])).out).toContain("from a");
    await hasEvents(node, {
      merge: "another cluster of this mesh was merged into this one",
      conflict: 'both clusters had written "both": what gave way is listed by skein conflicts',
    });
    // The id that the node taken in had before votes no more.
    const { members } = await node.status();
    expect(members.filter(({ role }) => role !== "learner")).toHaveLength(1);
    const roster = await runSkein(["members", "--json", ...on(node)]);
    expect(JSON.parse(roster.out)).toMatchObject([
      { name: "a", state: "alive" },
      { name: "b", state: "alive" },
    ]);
  }
  const { out, code } = await runSkein(["status", ...on(b)]);
  expect([code, out]).toEqual([0, expect.stringContaining("healthy")]);
  expect((await runSkein(["conflicts", "--clear", ...on(a)])).out).toBe("Forgot 1 values.\n");
});

test("what sessions were owed by two nodes founded apart they get after the merge, on either node, each message once (P5, P9)", async () => {
  const meshKey = newMeshKey();
  const argsOfB: string[] = [];
  const a = await makeNode({ name: "a", meshKey });
  const b = await makeNode({ name: "b", meshKey, args: argsOfB });
  onTestFinished(async () => {
    await Promise.all([a.remove(), b.remove()]);
  });
  await Promise.all([a.start(), b.start()]);
  // Whichever of the two is taken in, one of these sessions comes from there; "both" is known on either side.
  for (const [node, clientIds] of [
    [a, ["of a", "both"]],
    [b, ["of b", "both"]],
  ] as const) {
    for (const clientId of clientIds) await leaveSession(node, clientId);
    await publishAll(node, [`1 on ${node.name}`, `2 on ${node.name}`]);
  }

  await b.stop();
  argsOfB.push("--peer", linkOf(a));
  await b.start();
  await waitUntilHealthy([a, b]);

  await publishAll(a, ["3 on one mesh"]);
  expect(await comeBack(b, "of a")).toEqual(["1 on a", "2 on a", "3 on one mesh"]);
  expect(await comeBack(a, "of b")).toEqual(["1 on b", "2 on b", "3 on one mesh"]);
  // Its newer claim was made on b.
  expect(await comeBack(a, "both")).toEqual(["1 on b", "2 on b", "1 on a", "2 on a", "3 on one mesh"]);
});

test("two grown meshes wait until somebody agrees, and nothing acknowledged on either side is lost", async () => {
  const meshKey = newMeshKey();
  const homes = await startMesh(2, () => ({ meshKey }));
  onTestFinished(() => homes.remove());
  const args: string[] = [];
  const barn = await startMesh(2, (at) => ({ meshKey, name: `barn-${at}`, args }));
  onTestFinished(() => barn.remove());
  const all = [...homes.nodes, ...barn.nodes];
  const written: Record<string, string> = {};
  for (const [at, node] of all.entries()) {
    const own = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`from/${at}/${i}`, `${at}.${i}`]));
    await publishRetained(node, own);
    Object.assign(written, own);
  }

  for (const { nodes } of [homes, barn]) {
    const { node, coordinator } = await nodeOf(nodes).status();
    const voter = node === coordinator ? nodeOf(nodes) : (nodes[1] as NodeProcess);
    await Promise.all(nodes.map((each) => each.stop()));
    await letClusterAge(voter.dataDirectory, 10);
  }
  args.push("--peer", linkOf(nodeOf(homes.nodes)));
  await Promise.all(all.map((node) => node.start()));
  for (const { nodes } of [homes, barn])
    await nodeOf(nodes).waitForStatus(
      "waits for approval",
      ({ merge }) => merge?.state === "awaitingApproval",
    );
  const asked = await runSkein(["merge", ...on(nodeOf(barn.nodes))]);
  expect(asked.out).toMatch(/awaitingApproval. If it is yours: skein merge --approve/);
  await hasEvents(nodeOf(homes.nodes), {
    merge: /^two clusters of this mesh have met.*if both are yours, run skein merge --approve/,
  });
  const apart = await Promise.all([homes, barn].map(({ nodes }) => nodeOf(nodes).status()));
  expect(apart[0]?.cluster).not.toBe(apart[1]?.cluster);

  const approved = await runSkein(["merge", "--approve", ...on(nodeOf(barn.nodes))]);
  expect(approved).toMatchObject({ code: 0, err: "" });
  await waitUntilHealthy(all, 60_000);
  for (const node of all) expect(await heldBy(node)).toEqual(written);
  expect((await runSkein(["conflicts", ...on(nodeOf(homes.nodes))])).out).toBe(
    "No retained values have given way to others.\n",
  );
});

test("the old voter of two comes back after the survivor has founded the mesh anew: both keep what they acknowledged", async () => {
  const mesh = await startMesh(2);
  onTestFinished(() => mesh.remove());
  const [a, b] = mesh.nodes as [NodeProcess, NodeProcess];
  const { node, coordinator, cluster } = await a.status();
  const [voter, survivor] = node === coordinator ? [a, b] : [b, a];
  await publishRetained(survivor, { before: "1", changed: "old" });
  await leaveSession(survivor, "away");
  await publishAll(survivor, ["1 before", "2 before"]);
  await voter.kill();
  await survivor.waitForStatus("the voter is dead", ({ members }) => {
    return members.some(({ name, state }) => name === voter.name && state === "dead");
  });
  expect(await runSkein(["forget", voter.name, "--yes", ...on(survivor)])).toMatchObject({ code: 0 });
  await survivor.waitForStatus("founded anew", ({ quorum, cluster: now }) => quorum && now !== cluster);
  // It starts again for that: its ports open a moment later.
  await survivor.serving();
  await publishRetained(survivor, { changed: "new", after: "2" });
  await publishAll(survivor, ["3 after"]);

  await voter.start();
  await waitUntilHealthy([a, b], 60_000);
  for (const each of [a, b]) expect(await heldBy(each)).toEqual({ before: "1", changed: "new", after: "2" });
  expect(await comeBack(voter, "away")).toEqual(["1 before", "2 before", "3 after"]);
  // What was not written since the fork gives way without a conflict.
  expect((await runSkein(["conflicts", ...on(a)])).out).toBe(
    "No retained values have given way to others.\n",
  );
});

/** Each kind once, also on a node that has become another one: the coordinator tells what it missed. */
async function hasEvents(
  node: NodeProcess,
  expected: Readonly<Record<string, string | RegExp>>,
): Promise<void> {
  await eventually(`the events of ${node.name}`, { withinMs: 10_000 }, async () => {
    const { out } = await runSkein(["events", "--json", ...on(node)]);
    const events = JSON.parse(out) as readonly { readonly kind: string; readonly text: string }[];
    for (const [kind, text] of Object.entries(expected)) {
      const texts = events.filter((event) => event.kind === kind).map((event) => event.text);
      expect(texts).toEqual([typeof text === "string" ? text : expect.stringMatching(text)]);
    }
  });
}

function nodeOf(nodes: readonly NodeProcess[]): NodeProcess {
  return nodes[0] as NodeProcess;
}

async function publishRetained(node: NodeProcess, values: Readonly<Record<string, string>>): Promise<void> {
  const client = await connect(node);
  for (const [topic, payload] of Object.entries(values))
    await client.publishAsync(topic, payload, { qos: 1, retain: true });
  await client.endAsync();
}

/** A client subscribes and goes away; its session stays. */
async function leaveSession(node: NodeProcess, clientId: string): Promise<void> {
  const client = await connect(node, { ...PERSISTENT, clientId });
  await client.subscribeAsync("news", { qos: 1 });
  await client.endAsync();
}

async function publishAll(node: NodeProcess, payloads: readonly string[]): Promise<void> {
  const client = await connect(node);
  for (const payload of payloads) await client.publishAsync("news", payload, { qos: 1 });
  await client.endAsync();
}

/** What a client that comes back to its session gets before what is published then; it unsubscribes. */
async function comeBack(node: NodeProcess, clientId: string): Promise<readonly string[]> {
  // Messages may come with the CONNACK: who waits for that would miss them.
  const client = connectTo(node.url, { ...PERSISTENT, clientId, protocolVersion: 5, reconnectPeriod: 0 });
  onTestFinished(async () => {
    await client.endAsync(true);
  });
  const last = `last for ${clientId}`;
  const got: string[] = [];
  const isOver = new Promise<void>((resolve) => {
    client.on("message", (_, payload) => {
      const text = payload.toString();
      if (text === last) resolve();
      else if (!text.startsWith("last for")) got.push(text);
    });
  });
  const isPresent = new Promise<boolean>((resolve) => {
    client.once("connect", ({ sessionPresent }) => resolve(sessionPresent));
  });
  expect(await isPresent).toBe(true);
  await publishAll(node, [last]);
  await isOver;
  await client.unsubscribeAsync("news");
  return got;
}

async function heldBy(node: NodeProcess): Promise<Readonly<Record<string, string>>> {
  const { entries } = await node.retained();
  return Object.fromEntries(entries.map(({ topic, payload }) => [topic, text(payload)]));
}

function text(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
