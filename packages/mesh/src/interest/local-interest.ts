/**
 * What this node's subscribers want, as it is told to the others: reference counts, the folded set, and its versions.
 *
 * The version grows by one with each change of the advertised set. For each advertised filter the version that brought
 * it in is kept: a subscription is known everywhere once all peers have acknowledged that version.
 */

import { assert } from "@skein/kernel";
import { type AdvertisedChange, FoldedFilters } from "./covering.ts";

/** A step of the advertised set from `from` to `to`. */
export interface VersionedChange extends AdvertisedChange {
  readonly from: number;
  readonly to: number;
}

export class LocalInterest {
  readonly #counts = new Map<string, number>();
  readonly #folded = new FoldedFilters();
  /** Advertised filter -> version that brought it in. */
  readonly #since = new Map<string, number>();
  #version = 0;

  /** 0: nothing was ever advertised. */
  get version(): number {
    return this.#version;
  }

  get advertised(): IterableIterator<string> {
    return this.#folded.advertised;
  }

  /** Counts one more subscription. Returns what to tell the others, if anything. */
  add(filter: string): VersionedChange | undefined {
    const count = this.#counts.get(filter) ?? 0;
    this.#counts.set(filter, count + 1);
    return count === 0 ? this.#step(this.#folded.add(filter)) : undefined;
  }

  /** Counts one less. The caller matches each `remove` with an earlier `add`. */
  remove(filter: string): VersionedChange | undefined {
    const count = this.#counts.get(filter);
    assert(count !== undefined, "interest removed more often than added");
    if (count > 1) {
      this.#counts.set(filter, count - 1);
      return undefined;
    }
    this.#counts.delete(filter);
    return this.#step(this.#folded.remove(filter));
  }

  /** Version at which all that `filter`, which is held, asks for had been advertised. */
  versionOf(filter: string): number {
    return this.#since.get(this.#folded.representativeOf(filter)) ?? this.#version;
  }

  #step(change: AdvertisedChange): VersionedChange | undefined {
    if (change.added.length === 0 && change.removed.length === 0) return undefined;
    const from = this.#version++;
    for (const filter of change.added) this.#since.set(filter, this.#version);
    for (const filter of change.removed) this.#since.delete(filter);
    return { ...change, from, to: this.#version };
  }
}
