/**
 * Which topics were deleted and when, so that neither a merge nor a node that was without a quorum brings back what others have deleted.
 *
 * Bounded: the newest 10,000 deletions, and 1 MiB of topic names; retained messages that have expired count. What is older is
 * forgotten, but not that something was: a value that may have been deleted meanwhile still takes effect then, because it was acknowledged,
 * and the deletion that perhaps gave way to it is listed as a conflict ({@link Tombstones.mayHaveForgotten}). Between clusters without a
 * common log there is no telling, and nothing is listed. Kept in the order of the log, so the oldest go first and every node forgets the same.
 */

import { utf8Length } from "@skein/kernel";
import type { Written } from "./retained-state.ts";

export const TOMBSTONES_MAX = 10_000;
const TOMBSTONE_BYTES_MAX = 1024 * 1024;

const NONE: Written = { stamp: 0, index: 0 };

export interface Tombstone extends Written {
  readonly topic: string;
}

export class Tombstones {
  /** Oldest first. */
  readonly #topics = new Map<string, Written>();
  #bytes = 0;
  #forgotten: Written = NONE;

  /** The newest index and stamp of all that was forgotten; 0: nothing was. */
  get forgotten(): Written {
    return this.#forgotten;
  }

  get count(): number {
    return this.#topics.size;
  }

  get(topic: string): Written | undefined {
    return this.#topics.get(topic);
  }

  add(topic: string, written: Written): void {
    this.delete(topic);
    this.#topics.set(topic, written);
    this.#bytes += utf8Length(topic);
    for (const oldest of this.#topics.keys()) {
      if (this.#topics.size <= TOMBSTONES_MAX && this.#bytes <= TOMBSTONE_BYTES_MAX) return;
      this.#forget(oldest);
    }
  }

  /** Whether a topic of which nothing is known may have been deleted behind this index of the log. */
  mayHaveForgotten(index: number): boolean {
    return this.#forgotten.index > index;
  }

  /** The topic has a value again. */
  delete(topic: string): void {
    if (this.#topics.delete(topic)) this.#bytes -= utf8Length(topic);
  }

  /** Replaces everything. `tombstones`: oldest first. */
  restore(tombstones: readonly Tombstone[], forgotten: Written): void {
    this.#topics.clear();
    this.#bytes = 0;
    for (const { topic, ...written } of tombstones) this.add(topic, written);
    this.#forgotten = forgotten;
  }

  /** Oldest first. */
  all(): Tombstone[] {
    return Array.from(this.#topics, ([topic, written]) => ({ topic, ...written }));
  }

  #forget(topic: string): void {
    const { stamp, index } = this.#topics.get(topic) ?? NONE;
    this.#forgotten = {
      stamp: Math.max(this.#forgotten.stamp, stamp),
      index: Math.max(this.#forgotten.index, index),
    };
    this.delete(topic);
  }
}
