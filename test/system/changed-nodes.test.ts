/** R19, R30 with real processes: a wall clock that is off, a renamed host, a wiped data directory; each is said, with what to do. */

import { mkdirSync, rmSync } from "node:fs";
import type { NodeStatus } from "skein";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect } from "../support/mqtt-clients.ts";
import {
  type NodeProcess,
  runSkein,
  startMesh,
  type TestMesh,
  waitUntilHealthy,
} from "../support/node-process.ts";

/** What the next starts of c are different in. */
const args: string[] = [];
const launcher: string[] = [];
let mesh: TestMesh;
let a: NodeProcess;
let b: NodeProcess;
let c: NodeProcess;

beforeAll(async () => {
  mesh = await startMesh(3, (at) => (at === 2 ? { args, launcher } : {}));
  [a, b, c] = mesh.nodes as [NodeProcess, NodeProcess, NodeProcess];
}, 90_000);

afterAll(() => mesh.remove());

/** The wall clock of what runs next shows what `expression` says; `now()`: the time. */
function wallClock(expression: string): void {
  const script = `const now=Date.now;Date.now=()=>Math.round(${expression})`;
  launcher.splice(
    0,
    launcher.length,
    "env",
    `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(script)}`,
  );
}

async function waitForNote(node: NodeProcess, beginning: string): Promise<string> {
  const isWanted = (note: string): boolean => note.startsWith(beginning);
  const { notes } = await node.waitForStatus(`says: ${beginning}`, (status) => status.notes.some(isWanted));
  const [text = "", ...more] = notes.filter(isWanted);
  expect(more).toEqual([]);
  // The words may have changed since with the time: two days and 23 hours, three days.
  await node.waitForLog(`once: ${beginning}`, ({ msg, level }) => isWanted(msg) && level === "warn");
  return text;
}

/** c starts anew with another clock, as a follower: a and b have agreed on the term before. Returns their status then. */
async function restartWithClock(expression: string): Promise<NodeStatus> {
  await c.stop();
  wallClock(expression);
  const hasLeader = ({ coordinator, members }: NodeStatus): boolean =>
    members.some(({ id, state }) => id === coordinator && state === "alive");
  const before = await a.waitForStatus("has a coordinator without c", hasLeader);
  await b.waitForStatus("has the same", (status) => hasLeader(status) && status.term === before.term);
  await c.start();
  return before;
}

/** Nobody was elected since, and what is written last is what is retained, whose clock ever is ahead. */
async function expectUndisturbed({ term, coordinator }: NodeStatus): Promise<void> {
  await waitUntilHealthy([a, b, c]);
  for (const node of [a, b, c]) expect(await node.status()).toMatchObject({ term, coordinator });
  for (const [at, node] of [a, c, a].entries()) {
    const client = await connect(node);
    await client.publishAsync("clock", String(at), { qos: 1, retain: true });
  }
  await eventually("all retain what was written last", { withinMs: 5000 }, async () => {
    for (const node of [a, b, c]) {
      const { entries } = await node.retained();
      expect(entries.map(({ payload }) => Buffer.from(payload, "base64").toString())).toEqual(["2"]);
    }
  });
}

test("R19: a clock that is three days behind is said by all, the node itself included, and disturbs nothing", async () => {
  const before = await restartWithClock("now()-259200000");
  expect(await waitForNote(a, "The clock of c is")).toMatch(/is 2 days behind: |is 3 days behind: /);
  expect(await waitForNote(c, "The clock of this node is")).toContain(
    "On this node: timedatectl set-ntp true",
  );
  await expectUndisturbed(before);
  expect((await a.status()).notes.some((note) => note.includes("this node"))).toBe(false);
});

test("R19: so is one that is ten years ahead", async () => {
  const before = await restartWithClock("now()+315532800000");
  // The others go on from what they have said of c's clock before, and log it no second time.
  const isAhead = (note: string): boolean => /^The clock of c is 365[12] days ahead: /.test(note);
  await a.waitForStatus("says that c is ahead", ({ notes }) => notes.some(isAhead));
  expect(await waitForNote(c, "The clock of this node is 365")).toMatch(/days ahead: .*set-ntp true/);
  await expectUndisturbed(before);
});

test("R19: a clock that was never set is said from the start", async () => {
  await c.stop();
  wallClock("performance.now()");
  await c.start();
  expect(await waitForNote(c, "The clock of this node shows 1970-01-01")).toContain("Set it: timedatectl");
  await a.waitForStatus("says that it is behind", ({ notes }) =>
    notes.some((note) => note.startsWith("The clock of c is")),
  );
  await c.stop();
  launcher.length = 0;
  await c.start();
  await c.waitForStatus("has no note any more", ({ notes }) => notes.length === 0);
});

test("a renamed host is the same node, and said to be by the others and by itself", async () => {
  const { node } = await c.status();
  await c.stop();
  args.push("--name", "kitchen");
  await c.start();
  expect(await waitForNote(a, "kitchen was called c before.")).toContain("--name c on kitchen");
  expect(await waitForNote(c, "This node is called kitchen now, was c")).toContain("--name c");
  expect((await c.status()).node).toBe(node);
  await waitUntilHealthy([a, b, c]);
});

test("R29: a wiped data directory is said by the others and by the node itself, and the command it names mends it", async () => {
  const { node } = await c.status();
  await c.kill();
  rmSync(c.dataDirectory, { recursive: true });
  mkdirSync(c.dataDirectory);
  await c.start();
  const said = await waitForNote(a, "kitchen came back without its data and is a new node now");
  const told = await waitForNote(c, "This node came back without its data and is a new node now");
  const command = `skein forget ${node}`;
  expect([said, told]).toEqual([expect.stringContaining(command), expect.stringContaining(command)]);
  const http = `${a.host}:${a.ports.http}`;
  const forgotten = await runSkein([...command.split(" ").slice(1), "--yes", "--http", http]);
  expect(forgotten).toMatchObject({ code: 0, err: "" });
  for (const one of [a, b, c]) {
    await one.waitForStatus("has forgotten the old one", ({ notes, members }) => {
      return !notes.some((note) => note.includes("without its data")) && members.length === 3;
    });
  }
  await waitUntilHealthy([a, b, c]);
});
