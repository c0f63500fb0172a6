/**
 * What a million messages for clients that are away cost a node: memory, disk, how long it stands still, and the time to start again.
 *
 * One voter with a journal on the disk, the state machine and snapshots of a real node, no network. Its sessions subscribe to a topic of
 * their own and leave; then every message is a command, in batches that wait for their commit. Afterwards the node stops, and starts
 * again from what it has on the disk, and a follower gets its state as a snapshot (snapshot-install.ts). Memory is told after a collection; "still" is the longest turn of the event loop in CPU time, which other
 * work on the machine does not lengthen.
 *
 *   npm run bench:store -- [--sessions 1000] [--messages 1000] [--payload 200] [--folder /path] [--whole]
 *
 * `--whole`: snapshots have no parts, to compare with (decision 0014).
 */

import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Incarnation, Log, NodeId } from "@skein/kernel";
import { openDataDirectory, systemClock } from "@skein/platform";
import { encodeConfiguration } from "raft-js";
import { Journal, type OpenedJournal } from "../../packages/coordinator/src/journal/journal.ts";
import type { Driver } from "../../packages/coordinator/src/replica/driver.ts";
import { REPLICA_SIZES } from "../../packages/coordinator/src/replica/replica-sizes.ts";
import { encodeCommand, type Operation } from "../../packages/coordinator/src/state-machine/commands.ts";
import { StateMachine } from "../../packages/coordinator/src/state-machine/state-machine.ts";
import { replicaDriver, Turns } from "./replica.ts";

const { values } = parseArgs({
  options: {
    sessions: { type: "string", default: "1000" },
    messages: { type: "string", default: "1000" },
    payload: { type: "string", default: "200" },
    folder: { type: "string", default: tmpdir() },
    whole: { type: "boolean", default: false },
  },
});
const SESSIONS = Number(values.sessions);
const EACH = Number(values.messages);
const PAYLOAD_BYTES = Number(values.payload);
const NODE = "000000000000000a" as NodeId;
const OWED_BYTES_MAX = 1024 * 1024 * 1024;
const BATCH = 500;
const REST_MS = 3000;
const LIMITS = { queuedMessagesMax: 10_000, queuedBytesMax: 8 * 1024 * 1024 };
const QUIET: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

const clock = systemClock();
const folder = mkdtempSync(join(values.folder, "skein-bench-"));
let diskPeak = 0;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function diskBytes(): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile())
      bytes += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  return bytes;
}

/** Bytes that this process has given to the operating system to write; not a number where that does not count them. */
function writtenBytes(): number {
  const path = "/proc/self/io";
  return existsSync(path) ? Number(/wchar: (\d+)/.exec(readFileSync(path, "utf8"))?.[1]) : Number.NaN;
}

function memory(): { readonly heap: number; readonly buffers: number; readonly resident: number } {
  if (globalThis.gc === undefined) throw new Error("start it with --expose-gc");
  globalThis.gc();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed, buffers: external, resident: rss };
}

function topicOf(session: number): string {
  return `home/room${session}/sensor/temperature`;
}

class Node {
  readonly machine = new StateMachine();
  readonly driver: Driver;
  snapshots = 0;
  #seq = 0;
  #applied = 0;

  constructor(opened: OpenedJournal) {
    const partedBytes = values.whole ? Number.POSITIVE_INFINITY : REPLICA_SIZES.partedBytes;
    this.driver = replicaDriver(NODE, opened, this.machine, clock, partedBytes, ({ outcome, command }) => {
      if (command !== undefined && outcome !== "applied") throw new Error(`not applied: ${outcome}`);
      if (command !== undefined) this.#applied = command.envelope.seq;
    });
  }

  async lead(): Promise<void> {
    this.driver.start();
    while (this.driver.leadership.role !== "leader") await turn();
  }

  /** Proposes all of them, and waits until they are applied. Returns the number of the first. */
  async carryOut(operations: readonly Operation[]): Promise<number> {
    const first = this.#seq + 1;
    const commands = operations.map((operation) => {
      const envelope = { node: NODE, incarnation: 1 as Incarnation, seq: ++this.#seq };
      return encodeCommand({ envelope, stamp: this.#seq, operation });
    });
    if (!this.driver.propose(commands)) throw new Error("the leader refused");
    while (this.#applied < this.#seq) await turn();
    return first;
  }

  async openSessions(): Promise<void> {
    await this.carryOut([{ kind: "storeLimit", owedBytesMax: OWED_BYTES_MAX }]);
    for (let at = 0; at < SESSIONS; at++) {
      const clientId = `client-${at}`;
      const opening = { ...LIMITS, clientId, cleanStart: true, expirySeconds: 86_400, keepAliveSeconds: 60 };
      const claim = await this.carryOut([{ kind: "open", opening: { ...opening, will: undefined } }]);
      const subscription = { filter: topicOf(at), qos: 1, noLocal: false, retainAsPublished: false } as const;
      await this.carryOut([
        {
          kind: "subscribe",
          clientId,
          claim,
          wishes: [{ ...subscription, identifier: undefined, retainHandling: 0 }],
        },
        { kind: "close", clientId, claim, fate: "discard", expirySeconds: 86_400, sentThrough: -1 },
      ]);
    }
  }

  async publishAll(): Promise<void> {
    for (let sent = 0; sent < SESSIONS * EACH; sent += BATCH) {
      const count = Math.min(BATCH, SESSIONS * EACH - sent);
      await this.carryOut(Array.from({ length: count }, (_, at) => publishOf(sent + at)));
    }
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.driver.stop(resolve));
  }
}

function publishOf(number: number): Operation {
  const payload = new TextEncoder().encode(`${number}`.padEnd(PAYLOAD_BYTES, "."));
  const message = {
    topic: topicOf(number % SESSIONS),
    payload,
    qos: 1,
    retain: false,
    properties: undefined,
  } as const;
  return { kind: "publish", publisher: undefined, served: [], message };
}

async function main(): Promise<void> {
  const disk = openDataDirectory(join(folder, NODE));
  const opened = Journal.open(disk, "journal", QUIET, 0, { durability: "replicated", clock });
  const data = encodeConfiguration({ voters: [NODE], votersOutgoing: [], learners: [] });
  const entries = [{ index: 1, term: 1, kind: "configuration" as const, data }];
  const hardState = { term: 1, votedFor: undefined };
  await new Promise<void>((resolve) => opened.journal.persist({ hardState, entries }, () => resolve()));
  const node = new Node({ ...opened, state: { ...opened.state, hardState, entries } });
  await node.lead();
  await node.openSessions();

  const before = memory();
  const watch = setInterval(() => {
    diskPeak = Math.max(diskPeak, diskBytes());
  }, 20);
  const flusher = setInterval(() => node.driver.flush(), 1000);
  const cpu = process.cpuUsage();
  const written = writtenBytes();
  const turns = new Turns();
  await node.publishAll();
  turns.stop();
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(flusher);
  // A snapshot that is under way ends, and what it took is collected.
  for (let round = 0; round < 5; round++) {
    await delay(REST_MS);
    memory();
  }
  const after = memory();
  const { owed } = node.machine.sessions;
  let buffers = owed.bufferBytes;
  for (const { queue } of node.machine.sessions.all()) buffers += queue.bufferBytes;
  const each = buffers / owed.count;
  say(
    `${owed.count} messages of ${PAYLOAD_BYTES} bytes in ${node.machine.sessions.count} queues, ${mb(owed.bytes)} as they are packed`,
  );
  say(
    `store and queues: ${mb(buffers)}, ${each.toFixed(1)} bytes each: payload + ${(each - PAYLOAD_BYTES).toFixed(1)}`,
  );
  say(
    `process, its log included: heap +${mb(after.heap - before.heap)}, buffers +${mb(after.buffers - before.buffers)}, ` +
      `resident ${mb(after.resident)}, at most ${mb(process.resourceUsage().maxRSS * 1024)}`,
  );
  say(
    `CPU: ${((user + system) / owed.count).toFixed(1)} us each; longest still: ${turns.longestMs.toFixed(0)} ms`,
  );
  await node.stop();
  clearInterval(watch);
  say(
    `disk: ${mb(diskBytes())} at the end, ${mb(diskPeak)} at most, ${mb(writtenBytes() - written)} written`,
  );

  const start = performance.now();
  const idle = process.cpuUsage();
  const again = new Node(Journal.open(disk, "journal", QUIET, 0, { durability: "replicated", clock }));
  await again.lead();
  while (again.machine.sessions.owed.count < SESSIONS * EACH) await turn();
  const spent = process.cpuUsage(idle);
  say(
    `started again after ${((performance.now() - start) / 1000).toFixed(1)} s, ${((spent.user + spent.system) / 1e6).toFixed(1)} s of CPU`,
  );
  writeFileSync(join(folder, "snapshot"), again.driver.stateAsSnapshot().data);
  await again.stop();
  disk.close();
  await install(join(folder, "snapshot"));
}

/** A node of its own, in a process of its own, gets this snapshot. */
async function install(snapshot: string): Promise<void> {
  const child = fork(join(import.meta.dirname, "snapshot-install.ts"), [snapshot, join(folder, "follower")]);
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error("the snapshot was not installed");
}

try {
  await main();
} finally {
  rmSync(folder, { recursive: true });
}
