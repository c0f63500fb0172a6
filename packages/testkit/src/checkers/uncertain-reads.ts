/**
 * What may be read on a node that no quorum answers (P8: "a minority serves its own last state").
 *
 * It shows the replica of the node, never older than the newest value acknowledged before the replica was current:
 * that is `lagMs` before the read while the node is whole, and after a fault before the last time it was whole.
 * Without a leader nothing is promised, nor of a node that has just come and has no state yet. A node also shows its own clients the writes it has not committed yet; such a
 * read says nothing about the others and is left out.
 *
 * Source: architecture.md section 2, P8 and P3.
 */

import { CheckFailure, type Observation } from "../observations.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { describe, type Operation, type RegisterValue } from "./linearizability.ts";

export interface UncertainReadsOptions {
  /**
   * How far the replica of a whole node may be behind, in ms. A leader that dies right after a commit has told nobody,
   * so until the next election the others show what was before.
   */
  readonly lagMs: number;
  /** After a fault, time until a replica is current again, in ms. */
  readonly settleMs: number;
}

export interface RegisterWrite extends Operation {
  readonly node: string | undefined;
}

/** What is known of the register that was read. */
export interface WrittenRegister {
  /** What it may hold before the first of `writes`. */
  readonly initial: readonly RegisterValue[];
  readonly writes: readonly RegisterWrite[];
  /** Those that are not acknowledged. */
  readonly open: ReadonlySet<RegisterWrite>;
}

export class UncertainReads {
  readonly #options: UncertainReadsOptions;
  readonly #faults = new FaultLedger();
  /** Since when and until when a leader has had a lease, in the world's ms, and which. A sole voter's has no end. */
  readonly #led: { since: number; until: number; by: string | undefined } = {
    since: 0,
    until: 0,
    by: undefined,
  };
  /** Until when each node was whole before its present or last fault. */
  readonly #wholeUntil = new Map<string, number>();
  /** When a node last stopped, or a leader was elected. */
  #changedAt = 0;
  /** Nodes that have ever had a state. */
  readonly #haveState = new Set<string>();
  /** When each node last let somebody read what it knows. */
  readonly #uncertainAt = new Map<string, number>();

  constructor(options: UncertainReadsOptions) {
    this.#options = options;
  }

  observe(observation: Observation): void {
    const { kind, at, node } = observation;
    if (kind === "lease") this.#noteLease(node, at, observation.until);
    if (kind === "readUncertain" && node !== undefined) this.#uncertainAt.set(node, at);
    if (kind === "stopped" || kind === "leader") this.#changedAt = at;
    if ((kind === "applied" || kind === "restored") && node !== undefined) this.#haveState.add(node);
    const isFault = kind === "stopped" || kind === "disturbed";
    const nodes = kind === "disturbed" ? observation.nodes : node === undefined ? [] : [node];
    for (const each of isFault ? nodes : []) {
      const since = this.#faults.wholeSince(each);
      if (since !== undefined && at - since >= this.#options.settleMs) this.#wholeUntil.set(each, at);
    }
    this.#faults.observe(observation);
  }

  /** A read on `node` that was asked for at `askedAt` and ends now may be one without a quorum. */
  isUncertain(node: string | undefined, askedAt: number): boolean {
    return node !== undefined && (this.#uncertainAt.get(node) ?? Number.NEGATIVE_INFINITY) >= askedAt;
  }

  /** Nothing has been wrong with the mesh for a while. */
  isMeshWell(at: number): boolean {
    const since = this.#faults.wholeSince(undefined);
    return (
      since !== undefined &&
      this.#isLed(at) &&
      at - Math.max(since, this.#changedAt) >= this.#options.settleMs
    );
  }

  /**
   * Judges a read on `node`.
   *
   * @throws {CheckFailure} in the name of `checker`
   */
  judge(
    checker: string,
    topic: string,
    { initial, writes, open }: WrittenRegister,
    read: Operation,
    node: string | undefined,
  ): void {
    if (node !== undefined && !this.#haveState.has(node)) return;
    // Its node may still be waiting for the commit of a write that it shows already, or that hides an older value.
    for (const write of open)
      if (node === undefined || write.node === undefined || write.node === node) return;
    const currentAt = this.#currentSince(node, read.from);
    /** Latest sending among the writes that were acknowledged by the time the replica was current. */
    let newest: RegisterWrite | undefined;
    for (const write of writes) {
      if (write.to <= currentAt && write.from >= (newest?.from ?? 0)) newest = write;
    }
    if (newest === undefined && initial.includes(read.value)) return;
    const { from } = newest ?? { from: Number.NEGATIVE_INFINITY };
    // A write that was still under way when the newest acknowledged one was sent may have come after it.
    if (writes.some((write) => write.value === read.value && write.from <= read.to && write.to >= from))
      return;
    const than = newest === undefined ? "anything that was written" : describe(newest);
    throw new CheckFailure(checker, `topic "${topic}": ${describe(read)} is older than ${than}`);
  }

  /** The earliest state that a read on `node`, asked for at `at`, may show. */
  #currentSince(node: string | undefined, at: number): number {
    if (this.#led.until > 0 && !this.#isLed(at)) return Number.NEGATIVE_INFINITY;
    const { lagMs, settleMs } = this.#options;
    const since = this.#faults.wholeSince(node);
    if (since !== undefined && at - since >= settleMs) return at - lagMs;
    return Math.min(at, node === undefined ? 0 : (this.#wholeUntil.get(node) ?? 0)) - lagMs;
  }

  #isLed(at: number): boolean {
    const { since, until, by } = this.#led;
    const wholeSince = this.#faults.wholeSince(by);
    return (
      at <= until && wholeSince !== undefined && at - Math.max(since, wholeSince) >= this.#options.settleMs
    );
  }

  #noteLease(node: string | undefined, at: number, until: number): void {
    if (until <= at) return;
    if (at > this.#led.until || node !== this.#led.by) this.#led.since = at;
    this.#led.until = Math.max(this.#led.until, until);
    this.#led.by = node;
  }
}
