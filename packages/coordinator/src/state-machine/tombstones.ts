/**
 * Which topics were deleted and when, so that a merge does not bring back what one side has deleted.
 *
 * Bounded: the newest 10,000 deletions, and 1 MiB of topic names. A deletion that is older than those is forgotten; a
 * value that the other cluster still has may then come back in a merge. Kept in the order of the log, so the oldest go first
 * and every node forgets the same.
 */

import { utf8Length } from "@skein/kernel";
import type { Written } from "./retained-state.ts";

export const TOMBSTONES_MAX = 10_000;
const TOMBSTONE_BYTES_MAX = 1024 * 1024;

export interface Tombstone extends Written {
  readonly topic: string;
}

export class Tombstones {
  /** Oldest first. */
  readonly #topics = new Map<string, Written>();
  #bytes = 0;

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
      this.delete(oldest);
    }
  }

  /** The topic has a value again. */
  delete(topic: string): void {
    if (this.#topics.delete(topic)) this.#bytes -= utf8Length(topic);
  }

  clear(): void {
    this.#topics.clear();
    this.#bytes = 0;
  }

  /** Oldest first. */
  all(): Tombstone[] {
    return Array.from(this.#topics, ([topic, written]) => ({ topic, ...written }));
  }
}
