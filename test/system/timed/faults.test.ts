/** Power cuts, rotten files and strangers: whatever happens to one node, the mesh keeps what it has acknowledged. */

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { eventually } from "../../containers/support/eventually.ts";
import { connect, publishMany } from "../../support/mqtt-clients.ts";
import {
  makeNode,
  type NodeProcess,
  newMeshKey,
  startMesh,
  type TestMesh,
  waitUntilHealthy,
} from "../../support/node-process.ts";

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

function node(at: number): NodeProcess {
  const found = mesh.nodes[at % mesh.nodes.length];
  if (found === undefined) throw new Error(`no node ${at}`);
  return found;
}

/** Waits until all replicas are the same and hold everything in `expected`. */
async function expectEverywhere(expected: ReadonlyMap<string, string>): Promise<void> {
  await eventually("the same retained set everywhere", { withinMs: 20_000, everyMs: 100 }, async () => {
    const sets = await Promise.all(mesh.nodes.map((node) => node.retained()));
    for (const set of sets) expect(set).toEqual(sets[0]);
    const payloads = new Map(
      sets[0]?.entries.map(({ topic, payload }) => [topic, Buffer.from(payload, "base64").toString()]),
    );
    for (const [topic, payload] of expected) expect(payloads.get(topic), topic).toBe(payload);
  });
}

/** The newest journal segment of a node that is not running. */
function journalFile(of: NodeProcess): string {
  const folder = join(of.dataDirectory, "journal");
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith(".log"))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error(`no journal in ${folder}`);
  return join(folder, newest);
}

function setAside(of: NodeProcess): readonly string[] {
  return readdirSync(join(of.dataDirectory, "journal")).filter((name) => name.includes(".bad-"));
}

test.each([0, 1, 2])(
  "P5: kill -9 of node %i under retained writes loses nothing that was acknowledged; it restarts",
  async (at) => {
    const writer = await connect(node(at + 1));
    const acknowledged = new Map<string, string>();
    let round = 0;
    let isKilled = false;
    // Writes go on before, during and after the kill, so that it hits one in the middle.
    const writing = (async () => {
      for (let after = 0; after < 50; round++) {
        const [topic, payload] = [`kill/${at}/${round % 20}`, `round ${round}`];
        await writer.publishAsync(topic, payload, { qos: 1, retain: true });
        acknowledged.set(topic, payload);
        if (isKilled) after++;
      }
    })();
    await eventually("some writes are acknowledged", { withinMs: 10_000, everyMs: 5 }, async () => {
      expect(round).toBeGreaterThan(50);
    });
    expect(await node(at).kill()).toEqual({ code: null, signal: "SIGKILL" });
    isKilled = true;
    await writing;
    const survivor = await node(at + 1).status();
    expect(survivor).toMatchObject({ quorum: true });
    await node(at).start();
    await waitUntilHealthy(mesh.nodes);
    await expectEverywhere(acknowledged);
  },
);

test("while a member is dead, status is degraded and says which one", async () => {
  await node(2).kill();
  const status = await node(0).waitForStatus("sees c dead", ({ members }) =>
    members.some(({ name, state }) => name === "c" && state === "dead"),
  );
  expect(status).toMatchObject({
    health: "degraded",
    reasons: [expect.stringMatching(/^c unreachable for \d+ s\.$/)],
  });
  await node(2).start();
  await waitUntilHealthy(mesh.nodes);
});

test("P12: a torn last journal record is cut off, and a copy of the file kept", async () => {
  await node(1).kill();
  const path = journalFile(node(1));
  // The next record begins where the four bytes of the end mark stand.
  const whole = readFileSync(path).subarray(0, -4);
  // The beginning of a record whose rest never reached the disk: its header promises more than there is.
  const torn = Buffer.from([200, 0, 0, 0, 1, 2, 3, 4, 1]);
  writeFileSync(path, Buffer.concat([whole, torn]));
  await node(1).start();
  await waitUntilHealthy(mesh.nodes);
  expect(setAside(node(1))).toHaveLength(1);
  const repaired = readFileSync(path);
  expect(repaired.subarray(0, whole.length)).toEqual(whole);
  expect(repaired.subarray(whole.length, whole.length + torn.length)).not.toEqual(torn);
  await expectEverywhere(new Map());
});

test("P12: a rotten record in the middle is set aside and the truth fetched from the others", async () => {
  const writer = await connect(node(0));
  const expected = new Map<string, string>();
  await publishMany(writer, 200, (at) => {
    expected.set(`rot/${at}`, "x".repeat(100));
    return { topic: `rot/${at}`, payload: "x".repeat(100), qos: 1, retain: true };
  });
  await expectEverywhere(expected);
  await node(2).kill();
  const path = journalFile(node(2));
  const bytes = readFileSync(path);
  const middle = Math.floor(statSync(path).size / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
  await node(2).start();
  await waitUntilHealthy(mesh.nodes);
  expect(setAside(node(2)).length).toBeGreaterThan(0);
  expect(node(2).log.some(({ msg, ...fields }) => /damaged/i.test(msg + JSON.stringify(fields)))).toBe(true);
  await expectEverywhere(expected);
});

test("P10: a node with another mesh key is refused with one log line and learns nothing", async () => {
  const stranger = await makeNode({
    name: "stranger",
    meshKey: newMeshKey(),
    peers: mesh.nodes.map(({ ports }) => `127.0.0.1:${ports.link}`),
  });
  onTestFinished(() => stranger.remove());
  // By the time it has given up waiting for others and founded a mesh of its own it has dialled many times.
  await stranger.start();
  const status = await stranger.status();
  expect(status.members.map(({ name }) => name)).toEqual(["stranger"]);
  expect(status.retained).toBe(0);
  for (const member of mesh.nodes) {
    const refusals = member.log.filter(
      ({ level, msg }) => level === "warn" && /refused|with another key/.test(msg),
    );
    expect(refusals).toHaveLength(1);
    expect(JSON.stringify(refusals[0])).toContain("127.0.0.1");
    expect((await member.status()).members).toHaveLength(3);
  }
});

// A limit on the size of files makes the next write of the process fail for good, as a dying medium does.
test.runIf(process.platform === "linux")(
  "a node whose disk fails says so and ends with exit code 1, so that it is started again; then it has what was acknowledged",
  async () => {
    const lone = await makeNode({ name: "lone" });
    onTestFinished(() => lone.remove());
    await lone.start();
    const client = await connect(lone);
    await client.publishAsync("kept", "1", { qos: 1, retain: true });
    execFileSync("prlimit", ["--pid", String(lone.pid), "--fsize=100"]);
    client.publish("lost", "2", { qos: 1, retain: true });
    expect(await lone.exited()).toEqual({ code: 1, signal: null });
    expect(lone.errorText).toContain('skein: Cannot write "journal/');
    expect(lone.log.some(({ level, msg }) => level === "error" && msg === "stopping after a failure")).toBe(
      true,
    );
    await lone.start();
    expect((await lone.retained()).entries.map(({ topic }) => topic)).toEqual(["kept"]);
  },
);
