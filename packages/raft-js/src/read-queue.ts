/**
 * The reads that wait on a leader, and those that may be answered: lists with a bound. read-index.ts has the rules.
 */

import type { ServerId } from "./types.ts";

/** Most reads that wait on one leader; more are refused. */
const READS_MAX = 4096;
/** Most answered reads that wait for their index to be applied; more are refused. */
export const READABLE_MAX = 4096;

export interface Read {
  readonly from: ServerId;
  readonly request: number;
  /** Of the asker's life. */
  readonly nonce: number;
}

/** Reads that share a round of heartbeats. */
export interface Batch {
  /** A quorum must answer this round of heartbeats, or a later one. */
  readonly round: number;
  readonly index: number;
  readonly reads: readonly Read[];
}

/** The reads of one leader that are not confirmed yet. */
export class ReadQueue {
  #waiting: Read[] = [];
  #batches: Batch[] = [];
  #count = 0;

  get isFull(): boolean {
    return this.#count >= READS_MAX;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** A round of heartbeats is under way for earlier reads. */
  get isUnderWay(): boolean {
    return this.#batches.length > 0;
  }

  add(read: Read): void {
    this.#waiting.push(read);
    this.#count++;
  }

  /** A round of heartbeats goes out now: it serves all that wait. */
  begin(round: number, index: number): void {
    if (this.#waiting.length === 0) return;
    this.#batches.push({ round, index, reads: this.#waiting });
    this.#waiting = [];
  }

  /** A quorum has answered `round`: the batches it settles. */
  confirmed(round: number): readonly Batch[] {
    const open = this.#batches.findIndex((batch) => batch.round > round);
    const done = this.#batches.splice(0, open === -1 ? this.#batches.length : open);
    for (const { reads } of done) this.#count -= reads.length;
    return done;
  }

  /** Leadership is lost: the reads that this server's own application asked for. */
  drop(self: ServerId): readonly number[] {
    const reads = [...this.#batches.flatMap((batch) => batch.reads), ...this.#waiting];
    this.#batches = [];
    this.#waiting = [];
    this.#count = 0;
    return reads.filter(({ from }) => from === self).map(({ request }) => request);
  }
}
