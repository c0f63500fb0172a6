/**
 * P8: one retained store. Each topic is a register that all nodes share, deletions included.
 *
 * Retained publishes are writes, from their sending to their acknowledgement; one that was refused, has QoS 0 or was
 * never acknowledged may take effect at any later time or never. The replay after a SUBSCRIBE is a read.
 *
 * Two meanings of a read. `linearizable`: it takes effect between SUBSCRIBE and replay, and one order must explain all
 * reads and writes of the topic (Wing-Gong-Lowe, linearizability.ts). `local`, which holds today: it shows the replica of
 * its node, never older than the newest value acknowledged before the replica was current; that is `lagMs` ago while the
 * node is whole, and after a fault the last time it was whole. Without a leader nothing is promised (P8: with quorum). A node also shows its own clients the writes it has not
 * committed yet; such a read says nothing about the others and is left out. This takes time linear in the history.
 *
 * Source: architecture.md section 2, P8; reference design, 5.4 (I6).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { checkLinearizable, type Operation, type RegisterValue } from "./linearizability.ts";

export interface RetainedOptions {
  readonly reads: "linearizable" | "local";
  /**
   * How far the replica of a whole node may be behind, in ms. A leader that dies right after a commit has told nobody, so
   * until the next election the others show what was before.
   */
  readonly lagMs: number;
  /** After a fault, time until a replica is current again, in ms. */
  readonly settleMs: number;
}

interface Write {
  readonly value: RegisterValue;
  readonly node: string | undefined;
  readonly from: number;
  to: number;
}

interface Register {
  /** What it may hold in the beginning. */
  readonly initial: readonly RegisterValue[];
  /** What was there in the beginning or was written since. */
  readonly known: Set<RegisterValue>;
  readonly writes: Write[];
  /** Those that are not acknowledged. */
  readonly open: Set<Write>;
  readonly reads: Operation[];
}

const DEFAULTS: RetainedOptions = { reads: "local", lagMs: 6000, settleMs: 10_000 };

export class RetainedLinearizable implements Checker {
  readonly name = "retained store";
  readonly #options: RetainedOptions;
  readonly #faults = new FaultLedger();
  /** Since when and until when some leader has had a lease, in the world's ms. */
  readonly #led = { since: 0, until: 0 };
  readonly #blackouts: BlackoutWatch;
  readonly #registers = new Map<string, Register>();
  /** Retained writes by payload id, the newest sending last; deletions carry ids of their own too. */
  readonly #writes = new Map<string, { topic: string; write: Write }>();
  /** When each client last sent a SUBSCRIBE for a filter. */
  readonly #subscribedAt = new Map<string, number>();
  /** Until when each node was whole before its present or last fault. */
  readonly #wholeUntil = new Map<string, number>();

  constructor(durability: Durability, options: Partial<RetainedOptions> = {}) {
    this.#blackouts = new BlackoutWatch(durability);
    this.#options = { ...DEFAULTS, ...options };
  }

  observe(observation: Observation): void {
    this.#noteFaults(observation);
    if (this.#blackouts.observe(observation)) this.#beginAnew();
    const { at, node } = observation;
    if (observation.kind === "subscribeSent") {
      this.#subscribedAt.set(`${observation.client} ${observation.filter}`, at);
    } else if (observation.kind === "publishSent") {
      const { topic, payloadId, retain } = observation.packet;
      if (!retain) return;
      const write: Write = { value: registerValue(payloadId), node, from: at, to: Number.POSITIVE_INFINITY };
      const register = this.#register(topic);
      register.writes.push(write);
      register.open.add(write);
      register.known.add(write.value);
      this.#writes.set(`${observation.client} ${payloadId}`, { topic, write });
    } else if (observation.kind === "publishAcked") {
      const known = this.#writes.get(`${observation.client} ${observation.payloadId}`);
      if (known === undefined || observation.reasonCode >= 0x80) return;
      known.write.to = at;
      this.#register(known.topic).open.delete(known.write);
    } else if (observation.kind === "retainedRead") {
      this.#read(observation.client, observation.topic, observation.payloadId, at, node);
    }
  }

  /** Judges what was until the blackout; afterwards each register may hold what was ever written to it. */
  #beginAnew(): void {
    this.finish();
    for (const [topic, { initial, writes }] of this.#registers) {
      const values = new Set([null, ...initial, ...writes.map(({ value }) => value)]);
      this.#registers.set(topic, newRegister([...values]));
    }
  }

  finish(): void {
    for (const [topic, register] of this.#registers) {
      if (register.reads.length === 0) continue;
      if (this.#options.reads === "linearizable") this.#judgeOrder(topic, register);
      else for (const read of register.reads) this.#judgeRead(topic, register, read);
    }
  }

  #judgeOrder(topic: string, { initial, writes, reads }: Register): void {
    const history: Operation[] = [...reads];
    for (const { value, from, to } of writes) history.push({ kind: "write", value, from, to });
    const verdict = checkLinearizable(history, initial);
    if (verdict.kind === "linearizable") return;
    const text = verdict.operations.map(describe).join("\n  ");
    const what = verdict.kind === "violation" ? "no order explains" : "too many at once to decide";
    throw new CheckFailure(this.name, `topic "${topic}": ${what}\n  ${text}`);
  }

  #judgeRead(topic: string, { initial, writes }: Register, read: Operation): void {
    /** Latest sending among the writes that were acknowledged by the time the replica was current. */
    let newest: Write | undefined;
    for (const write of writes) {
      if (write.to <= read.from && write.from >= (newest?.from ?? 0)) newest = write;
    }
    if (newest === undefined && initial.includes(read.value)) return;
    const { from } = newest ?? { from: Number.NEGATIVE_INFINITY };
    // A write that was still under way when the newest acknowledged one was sent may have come after it.
    if (writes.some((write) => write.value === read.value && write.from <= read.to && write.to >= from))
      return;
    const than = newest === undefined ? "anything that was written" : describe({ kind: "write", ...newest });
    throw new CheckFailure(this.name, `topic "${topic}": ${describe(read)} is older than ${than}`);
  }

  #read(client: string, topic: string, payloadId: string | null, at: number, node: string | undefined): void {
    const value = payloadId === null ? null : registerValue(payloadId);
    const { known, open, reads } = this.#register(topic);
    if (!known.has(value)) {
      throw new CheckFailure(
        this.name,
        `${client} reads "${value}" of topic "${topic}", which nobody wrote there`,
      );
    }
    const subscribedAt = this.#subscribedAt.get(`${client} ${topic}`) ?? at;
    if (this.#options.reads === "linearizable") {
      reads.push({ kind: "read", value, from: subscribedAt, to: at });
      return;
    }
    // Its node may still be waiting for the commit of a write that it shows already, or that hides an older value.
    for (const write of open)
      if (node === undefined || write.node === undefined || write.node === node) return;
    reads.push({ kind: "read", value, from: this.#currentSince(node, subscribedAt), to: at });
  }

  /** The earliest state that a read on `node`, asked for at `at`, may show. */
  #currentSince(node: string | undefined, at: number): number {
    const { since: ledSince, until: ledUntil } = this.#led;
    const isLed = at <= ledUntil && at - ledSince >= this.#options.settleMs;
    if (ledUntil > 0 && !isLed) return Number.NEGATIVE_INFINITY;
    const { lagMs, settleMs } = this.#options;
    const since = this.#faults.wholeSince(node);
    if (since !== undefined && at - since >= settleMs) return at - lagMs;
    return Math.min(at, node === undefined ? 0 : (this.#wholeUntil.get(node) ?? 0)) - lagMs;
  }

  #noteLease(at: number, until: number): void {
    if (until <= at) return;
    if (at > this.#led.until) this.#led.since = at;
    this.#led.until = Math.max(this.#led.until, until);
  }

  #noteFaults(observation: Observation): void {
    if (observation.kind === "lease") this.#noteLease(observation.at, observation.until);
    const { kind, at, node } = observation;
    if (kind === "disturbed") for (const each of observation.nodes) this.#noteFault(each, at);
    else if (kind === "stopped" && node !== undefined) this.#noteFault(node, at);
    this.#faults.observe(observation);
  }

  #noteFault(node: string, at: number): void {
    const since = this.#faults.wholeSince(node);
    if (since !== undefined && at - since >= this.#options.settleMs) this.#wholeUntil.set(node, at);
  }

  #register(topic: string): Register {
    let register = this.#registers.get(topic);
    if (register === undefined) {
      register = newRegister([null]);
      this.#registers.set(topic, register);
    }
    return register;
  }
}

function newRegister(initial: readonly RegisterValue[]): Register {
  return { initial, known: new Set(initial), writes: [], open: new Set(), reads: [] };
}

/** An empty payload deletes: a register without a message. Deletions have ids that begin with a dash. */
function registerValue(payloadId: string): RegisterValue {
  return payloadId === "" || payloadId.startsWith("-") ? null : payloadId;
}

function describe({ kind, value, from, to }: Operation): string {
  return `${kind} ${value === null ? "nothing" : `"${value}"`} from ${from} to ${to} ms`;
}
