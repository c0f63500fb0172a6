/**
 * The subscriptions of one session, by Topic Filter.
 *
 * Most clients have one. A Map takes 184 bytes for it, so it comes with the second.
 */

import type { Subscription } from "./subscription-index.ts";

export class OwnSubscriptions {
  /** While there is no Map. */
  #only: Subscription | undefined;
  #byFilter: Map<string, Subscription> | undefined;
  #filtersLength = 0;

  get size(): number {
    if (this.#byFilter !== undefined) return this.#byFilter.size;
    return this.#only === undefined ? 0 : 1;
  }

  /** Characters of all Topic Filters. */
  get filtersLength(): number {
    return this.#filtersLength;
  }

  values(): Iterable<Subscription> {
    if (this.#byFilter !== undefined) return this.#byFilter.values();
    return this.#only === undefined ? [] : [this.#only];
  }

  get(filter: string): Subscription | undefined {
    if (this.#byFilter !== undefined) return this.#byFilter.get(filter);
    return this.#only?.filter === filter ? this.#only : undefined;
  }

  /** Adds `subscription`, in the place of the one with its filter if there is one. */
  set(subscription: Subscription): void {
    const { filter } = subscription;
    const isNew = this.get(filter) === undefined;
    if (isNew) this.#filtersLength += filter.length;
    if (isNew && this.#only !== undefined) {
      this.#byFilter = new Map([[this.#only.filter, this.#only]]);
      this.#only = undefined;
    }
    if (this.#byFilter === undefined) this.#only = subscription;
    else this.#byFilter.set(filter, subscription);
  }

  delete(filter: string): void {
    if (this.get(filter) === undefined) return;
    this.#filtersLength -= filter.length;
    if (this.#byFilter === undefined) this.#only = undefined;
    else this.#byFilter.delete(filter);
  }
}
