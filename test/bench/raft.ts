/**
 * raft-js alone: how many entries a second three voters in one process agree on, on one core.
 *
 * A network and disks in memory that take no time: messages are objects handed over, writes complete at once. What is
 * measured is the core: appending, replicating, counting, committing, handing out. All three servers share the core, so
 * a server of its own has about three times as much. Batches of commands are proposed as a busy leader gets them.
 *
 * Usage: `npm run bench:raft` (options: `--entries N --batch N --bytes N --runs N`).
 */

import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import {
  decodeRaftMessage,
  EMPTY_STATE,
  type Entry,
  encodeConfiguration,
  encodeRaftMessage,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type ServerId,
} from "raft-js";

const { values } = parseArgs({
  options: {
    entries: { type: "string", default: "1000000" },
    batch: { type: "string", default: "100" },
    bytes: { type: "string", default: "200" },
    runs: { type: "string", default: "5" },
  },
});
const IDS: readonly ServerId[] = ["a", "b", "c"];
/** Entries applied everywhere after which the application "saves a snapshot", as the shipped driver does. */
const COMPACT_EVERY = 10_000;

interface Mail {
  readonly from: ServerId;
  readonly to: ServerId;
  readonly message: RaftMessage;
}

class Cluster {
  readonly #nodes = new Map<ServerId, RaftNode>();
  readonly #applied = new Map<ServerId, number>();
  readonly #isEncoded: boolean;
  #mail: Mail[] = [];
  now = 0;

  constructor(isEncoded: boolean) {
    this.#isEncoded = isEncoded;
    const data = encodeConfiguration({ voters: IDS, votersOutgoing: [], learners: [] });
    const first: Entry = { index: 1, term: 1, kind: "configuration", data };
    const initial = { ...EMPTY_STATE, hardState: { term: 1, votedFor: undefined }, entries: [first] };
    for (const id of IDS) this.#nodes.set(id, new RaftNode({ ...OPTIONS, id }, initial, 0));
  }

  /** Lets time pass until somebody leads, and returns it. */
  elect(): ServerId {
    for (;;) {
      this.now = Math.min(...[...this.#nodes.values()].map((node) => node.wakeAt));
      for (const [id, node] of this.#nodes) if (node.wakeAt <= this.now) this.step(id, { kind: "wake" });
      this.deliver();
      const leader = IDS.find((id) => this.#nodes.get(id)?.status().role === "leader");
      if (leader !== undefined) return leader;
    }
  }

  step(id: ServerId, event: RaftEvent): void {
    const node = this.#nodes.get(id) as RaftNode;
    for (const effect of node.step(event, this.now)) {
      if (effect.kind === "send") this.#send(id, effect.to, effect.message);
      if (effect.kind === "persist") {
        for (const { to, message } of effect.sendAfter) this.#send(id, to, message);
        this.step(id, { kind: "persisted", index: effect.index, term: effect.term });
      }
      if (effect.kind === "apply") this.#apply(id, node, effect.entries);
    }
  }

  deliver(): void {
    while (this.#mail.length > 0) {
      const mail = this.#mail;
      this.#mail = [];
      for (const { from, to, message } of mail) this.step(to, { kind: "receive", from, message });
    }
  }

  applied(id: ServerId): number {
    return this.#applied.get(id) ?? 0;
  }

  #send(from: ServerId, to: ServerId, message: RaftMessage): void {
    const carried = this.#isEncoded ? decodeRaftMessage(encodeRaftMessage(message)) : message;
    this.#mail.push({ from, to, message: carried });
  }

  #apply(id: ServerId, node: RaftNode, entries: readonly Entry[]): void {
    const before = this.applied(id);
    const last = (entries.at(-1) as Entry).index;
    this.#applied.set(id, last);
    if (Math.floor(last / COMPACT_EVERY) === Math.floor(before / COMPACT_EVERY)) return;
    const point = node.snapshotPoint(last);
    if (point !== undefined) this.step(id, { kind: "compacted", point });
  }
}

const OPTIONS = {
  randomBelow: (bound: number): number => Math.floor(bound / 2),
  heartbeatMs: 250,
  electionMinMs: 3200,
  electionMaxMs: 4800,
  appendBytesMax: 256 * 1024,
  inflightMax: 16,
  uncommittedBytesMax: 32 * 1024 * 1024,
  entriesKept: 10_000,
};

/** Entries per second that all three servers have applied. */
function measure(entries: number, batch: number, bytes: number, isEncoded: boolean): number {
  const cluster = new Cluster(isEncoded);
  const leader = cluster.elect();
  const commands = Array.from({ length: batch }, (_, i) => new Uint8Array(bytes).fill(i));
  const from = cluster.applied(leader);
  const startedAt = performance.now();
  for (let proposed = 0; proposed < entries; proposed += batch) {
    cluster.step(leader, { kind: "propose", commands });
    cluster.deliver();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const done = cluster.applied(leader) - from;
  if (done !== entries) throw new Error(`${done} of ${entries} entries were committed`);
  return entries / seconds;
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] as number;
}

function report(name: string, isEncoded: boolean, batch: number): void {
  const entries = Math.ceil(Number(values.entries) / batch) * batch;
  const rates = Array.from({ length: Number(values.runs) }, () =>
    measure(entries, batch, Number(values.bytes), isEncoded),
  );
  const [low, high] = [Math.min(...rates), Math.max(...rates)];
  const text = [median(rates), low, high].map((rate) => Math.round(rate).toLocaleString("en-US"));
  process.stdout.write(`${name}: median ${text[0]} entries/s (${text[1]} to ${text[2]})\n`);
}

const batch = Number(values.batch);
process.stdout.write(
  `3 voters in one process on one core, ${values.bytes}-byte entries, ${values.runs} runs of ${values.entries} entries\n`,
);
report(`batches of ${batch}, messages as objects`, false, batch);
report(`batches of ${batch}, messages encoded and decoded`, true, batch);
report("one at a time, messages as objects", false, 1);
