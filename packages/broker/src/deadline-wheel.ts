/**
 * Deadlines of many things without a timer for each: keep-alive of connections, expiry of sessions, delayed wills.
 *
 * A wheel of buckets, one per quarter second. What is due later than one round is looked at once per round. A deadline
 * that moves (every packet moves a keep-alive) is not refiled: when its bucket comes up the owner says the new one.
 *
 * Source: Varghese, Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 6.
 */

import type { MonotonicMs } from "@skein/kernel";

const BUCKET_MS = 250;
const BUCKETS = 256;

export class DeadlineWheel<Item> {
  readonly #buckets: Set<Item>[] = [];
  readonly #places = new Map<Item, number>();
  readonly #due: (item: Item, now: MonotonicMs) => number | undefined;
  /** Number of the last bucket looked at, counted from time zero. */
  #position: number;

  /** @param due called when an item's time may have come; returns when to ask again (ms), or undefined to forget it */
  constructor(now: MonotonicMs, due: (item: Item, now: MonotonicMs) => number | undefined) {
    this.#due = due;
    this.#position = Math.floor(now / BUCKET_MS);
    for (let i = 0; i < BUCKETS; i++) this.#buckets.push(new Set());
  }

  get size(): number {
    return this.#places.size;
  }

  /** Files `item` for `at`, instead of where it was. It is asked for at most one bucket late, never early. */
  set(item: Item, at: number): void {
    this.delete(item);
    const wanted = Math.ceil(at / BUCKET_MS);
    const number = Math.min(Math.max(wanted, this.#position + 1), this.#position + BUCKETS - 1);
    const place = number % BUCKETS;
    this.#places.set(item, place);
    this.#buckets[place]?.add(item);
  }

  delete(item: Item): void {
    const place = this.#places.get(item);
    if (place === undefined) return;
    this.#places.delete(item);
    this.#buckets[place]?.delete(item);
  }

  /** Asks for everything whose bucket has come up to `now`. */
  advance(now: MonotonicMs): void {
    const target = Math.floor(now / BUCKET_MS);
    // After a long pause one full round has seen everything.
    if (target - this.#position > BUCKETS) this.#position = target - BUCKETS;
    while (this.#position < target) {
      this.#position++;
      const place = this.#position % BUCKETS;
      const bucket = this.#buckets[place];
      if (bucket === undefined || bucket.size === 0) continue;
      const items = [...bucket];
      bucket.clear();
      for (const item of items) {
        // A handler before it may have taken it out or filed it elsewhere.
        if (this.#places.get(item) !== place) continue;
        this.#places.delete(item);
        const again = this.#due(item, now);
        if (again !== undefined) this.set(item, again);
      }
    }
  }
}
