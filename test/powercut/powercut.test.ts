/**
 * R10: a node whose data files lost their ends starts, never serves a wrong value, and gets everything back.
 *
 * One node of a mesh of three is killed (-9) under load, the tail of every file that it writes to is damaged, and it is
 * started again; then the next one. `npm run test:powercut` runs 1,000 cycles; the system tests a few. The seed and the
 * number of cycles come from the environment, so that a failure can be repeated.
 */

import { existsSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { type Prng, seededPrng } from "@skein/kernel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { connect } from "../support/mqtt-clients.ts";
import { type NodeProcess, startMesh, type TestMesh, waitUntilHealthy } from "../support/node-process.ts";
import { type Damage, damageTails, filesIn } from "./damage.ts";

const { SKEIN_POWERCUT_CYCLES = "5", SKEIN_POWERCUT_SEED = "1" } = process.env;
const CYCLES = Number(SKEIN_POWERCUT_CYCLES);
const SEED = Number(SKEIN_POWERCUT_SEED);
/** A cycle takes two to five seconds; an election among them. */
const CYCLE_MAX_MS = 60_000;
const TOPICS = 40;
const WRITES_PER_CYCLE = 60;

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

/** Values only grow, and each topic has one writer at a time: what may be read is what is between these two. */
class Written {
  readonly #acknowledged = new Map<string, number>();
  readonly #sent = new Map<string, number>();
  #value = 0;

  /** Publishes the next value on a topic; resolves whether or not it is acknowledged. */
  async write(publish: (topic: string, payload: string) => Promise<unknown>, at: number): Promise<void> {
    const topic = `powercut/${at % TOPICS}`;
    const value = ++this.#value;
    this.#sent.set(topic, value);
    try {
      await publish(topic, String(value));
    } catch {
      // The node was killed before it acknowledged: the value may be there or not.
      return;
    }
    this.#acknowledged.set(topic, Math.max(value, this.#acknowledged.get(topic) ?? 0));
  }

  get acknowledged(): ReadonlyMap<string, number> {
    return new Map(this.#acknowledged);
  }

  /** Topics whose value in `found` is older than `atLeast` says, or was never written. */
  wrongIn(found: ReadonlyMap<string, number>, atLeast: ReadonlyMap<string, number>): readonly string[] {
    const wrong: string[] = [];
    for (const [topic, value] of atLeast) {
      const seen = found.get(topic);
      if (seen === undefined || seen < value) wrong.push(`${topic}: ${seen}, acknowledged ${value}`);
    }
    for (const [topic, value] of found) {
      const newest = this.#sent.get(topic);
      if (newest === undefined || value > newest || !Number.isInteger(value))
        wrong.push(`${topic}: ${value}, newest sent ${newest}`);
    }
    return wrong;
  }
}

async function retainedOf(node: NodeProcess): Promise<ReadonlyMap<string, number>> {
  const { entries } = await node.retained();
  return new Map(
    entries.map(({ topic, payload }) => [topic, Number(Buffer.from(payload, "base64").toString())]),
  );
}

/** What a node writes while it runs; its identity is written once, and the lock is gone when it starts. */
function isData(path: string): boolean {
  return path !== "identity.json" && path !== "lock" && !path.includes(".bad-") && !path.endsWith(".tmp");
}

async function cycle(
  written: Written,
  prng: Prng,
  onDamage: (damage: readonly Damage[]) => void,
): Promise<void> {
  const victim = mesh.nodes[prng.below(3)] as NodeProcess;
  const others = mesh.nodes.filter((node) => node !== victim);
  const clients = await Promise.all(mesh.nodes.map((node) => connect(node, { protocolVersion: 4 })));
  const killAfter = prng.below(WRITES_PER_CYCLE);
  const writes: Promise<void>[] = [];
  let killed: Promise<unknown> = Promise.resolve();
  for (let at = 0; at < WRITES_PER_CYCLE; at++) {
    if (at === killAfter) killed = victim.kill();
    // A topic stays with one client within a cycle, so that its values arrive in order.
    const topic = prng.below(TOPICS);
    const client = clients[topic % 3];
    if (client?.connected === true)
      writes.push(
        written.write((name, payload) => client.publishAsync(name, payload, { qos: 1, retain: true }), topic),
      );
    if (at % 10 === 9) await new Promise((resolve) => setTimeout(resolve, prng.below(30)));
  }
  await killed;
  onDamage(damageTails(victim.dataDirectory, filesIn(victim.dataDirectory, isData), prng));

  const before = written.acknowledged;
  await victim.start();
  // The very first thing it can say: nothing older than what had been acknowledged when it came back.
  expect(written.wrongIn(await retainedOf(victim), before)).toEqual([]);

  for (const client of clients) client.end(true);
  await Promise.allSettled(writes);
  const after = written.acknowledged;
  await eventually("three equal sets", { withinMs: 30_000 }, async () => {
    const [first, ...rest] = await Promise.all(mesh.nodes.map((node) => node.get("/api/retained")));
    for (const other of rest) expect(other).toEqual(first);
  });
  for (const node of mesh.nodes) expect(written.wrongIn(await retainedOf(node), after)).toEqual([]);
  await eventually("it counts as a voter again", { withinMs: 30_000 }, async () => {
    expect(existsSync(join(victim.dataDirectory, "journal/suspect"))).toBe(false);
  });
  await waitUntilHealthy(others.concat(victim));
}

test(`R10: ${CYCLES} cycles of kill -9 and damaged tails: starts, never serves a wrong value, gets everything back (seed ${SEED})`, {
  timeout: CYCLES * CYCLE_MAX_MS,
}, async () => {
  const prng = seededPrng(SEED);
  const written = new Written();
  const startedAt = Date.now();
  for (let at = 1; at <= CYCLES; at++) {
    let damage: readonly Damage[] = [];
    try {
      await cycle(written, prng, (done) => {
        damage = done;
      });
    } catch (error) {
      const files = damage.map(({ file, kind, from, size }) => `${file} ${kind} from ${from} of ${size}`);
      const logs = mesh.nodes.map(({ name, log }) => `${name}: ${JSON.stringify(log.slice(-12))}`);
      const story = `damaged: ${files.join(", ")}\n${logs.join("\n")}`;
      throw new Error(`cycle ${at} of seed ${SEED} failed; ${story}`, { cause: error });
    }
    if (at % 50 === 0) {
      const seconds = Math.round((Date.now() - startedAt) / 1000);
      process.stdout.write(`power cut: ${at} of ${CYCLES} cycles passed in ${seconds} s\n`);
    }
  }
});

test("P12: a damaged identity makes a new node, which gets everything from its peers", async () => {
  const victim = mesh.nodes[2] as NodeProcess;
  const before = await victim.status();
  await victim.kill();
  truncateSync(join(victim.dataDirectory, "identity.json"), 20);
  await victim.start();
  const after = await victim.status();
  expect(after.node).not.toBe(before.node);
  expect(filesIn(victim.dataDirectory, (path) => path.startsWith("identity.json.bad-"))).toHaveLength(1);
  await eventually("three equal sets", { withinMs: 30_000 }, async () => {
    const [first, ...rest] = await Promise.all(mesh.nodes.map((node) => node.get("/api/retained")));
    for (const other of rest) expect(other).toEqual(first);
  });
});
