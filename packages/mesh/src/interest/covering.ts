/**
 * The smallest set of filters that asks for the same as all filters held: `a/#` hides `a/b`.
 *
 * Only this antichain is told to the other nodes. A hidden filter is noted under one advertised filter that covers it;
 * when that one goes, the hidden ones are put back one by one, each finding another cover or becoming advertised in
 * the same change, so that no topic is ever unasked for in between. Shared subscriptions are never folded: each
 * names its own group.
 *
 * Source: reference/design.md 3.4 (antichain of covering filters).
 */

import { assert, FilterIndex, filterCovers } from "@skein/kernel";

/** How the advertised set changes. A filter is in at most one of the lists. */
export interface AdvertisedChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class FoldedFilters {
  /** Advertised filter -> hidden filters noted under it; undefined: none ever were. Invariant: no ordinary key covers another. */
  readonly #advertised = new Map<string, Set<string> | undefined>();
  /** Hidden filter -> the advertised filter it is noted under. */
  readonly #coverOf = new Map<string, string>();
  /**
   * Advertised wildcard filters. A filter read as if it were a topic meets every filter that covers it in the index,
   * and some that do not (`a/+` meets `a/#`), which the compile step sorts out.
   */
  readonly #wildcards = new FilterIndex<string, readonly string[]>((found, inner) =>
    found.filter((outer) => outer !== inner && filterCovers(outer, inner)),
  );
  /**
   * The advertised filters in order, so that a wildcard finds those that begin like it: with a look at all of them, 5,000 wildcards beside 10,000
   * filters took 1.4 s of one turn. Made for the first wildcard; without any it would be 8 bytes for nothing.
   */
  #sorted: string[] | undefined;

  get advertised(): IterableIterator<string> {
    return this.#advertised.keys();
  }

  get size(): number {
    return this.#advertised.size;
  }

  /** The advertised filter that asks for what `filter`, which is held, asks for: itself or its cover. */
  representativeOf(filter: string): string {
    return this.#coverOf.get(filter) ?? filter;
  }

  /** Holds `filter`, which is not held yet. */
  add(filter: string): AdvertisedChange {
    const change = new Map<string, boolean>();
    this.#place(filter, change);
    return changeOf(change);
  }

  /** Lets go of `filter`, which is held. */
  remove(filter: string): AdvertisedChange {
    const cover = this.#coverOf.get(filter);
    if (cover !== undefined) {
      this.#coverOf.delete(filter);
      this.#advertised.get(cover)?.delete(filter);
      return { added: [], removed: [] };
    }
    assert(this.#advertised.has(filter), "filter to remove is not held");
    const hidden = this.#advertised.get(filter) ?? [];
    const change = new Map<string, boolean>();
    this.#withdraw(filter, change);
    for (const inner of hidden) {
      this.#coverOf.delete(inner);
      this.#place(inner, change);
    }
    return changeOf(change);
  }

  #place(filter: string, change: Map<string, boolean>): void {
    if (!isSharedFilter(filter)) {
      const cover = this.#wildcards.match(filter)[0];
      if (cover !== undefined) {
        this.#hide(filter, cover);
        return;
      }
    }
    this.#advertised.set(filter, undefined);
    this.#sorted?.splice(placeIn(this.#sorted, filter), 0, filter);
    note(change, filter, true);
    if (isSharedFilter(filter) || !hasWildcard(filter)) return;
    this.#wildcards.add(filter, filter);
    for (const inner of this.#coveredBy(filter)) {
      const nested = this.#advertised.get(inner) ?? [];
      this.#withdraw(inner, change);
      for (const deeper of [inner, ...nested]) this.#hide(deeper, filter);
    }
  }

  #hide(filter: string, cover: string): void {
    this.#coverOf.set(filter, cover);
    const hidden = this.#advertised.get(cover);
    if (hidden === undefined) this.#advertised.set(cover, new Set([filter]));
    else hidden.add(filter);
  }

  #withdraw(filter: string, change: Map<string, boolean>): void {
    this.#advertised.delete(filter);
    this.#sorted?.splice(placeIn(this.#sorted, filter), 1);
    if (!isSharedFilter(filter) && hasWildcard(filter)) this.#wildcards.remove(filter, filter);
    note(change, filter, false);
  }

  /** Advertised filters under `outer`. The literal prefix sorts nearly all others out before the exact test. */
  #coveredBy(outer: string): string[] {
    const prefix = literalPrefix(outer);
    const covered: string[] = [];
    this.#sorted ??= [...this.#advertised.keys()].sort(inOrder);
    for (let at = placeIn(this.#sorted, prefix); at < this.#sorted.length; at++) {
      const inner = this.#sorted[at] as string;
      if (!inner.startsWith(prefix)) break;
      if (inner !== outer && !isSharedFilter(inner) && filterCovers(outer, inner)) covered.push(inner);
    }
    return covered;
  }
}

/** Adding and withdrawing the same filter within one change is no change. */
function note(change: Map<string, boolean>, filter: string, isAdded: boolean): void {
  if (change.get(filter) === !isAdded) change.delete(filter);
  else change.set(filter, isAdded);
}

function changeOf(change: ReadonlyMap<string, boolean>): AdvertisedChange {
  const added: string[] = [];
  const removed: string[] = [];
  for (const [filter, isAdded] of change) (isAdded ? added : removed).push(filter);
  return { added, removed };
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Where in `sorted` the first stands that is not before `filter`. */
function placeIn(sorted: readonly string[], filter: string): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sorted[middle] as string) < filter) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** What every filter covered by `filter` begins with: the text before the first wildcard, without a last `/`. */
function literalPrefix(filter: string): string {
  const end = filter.search(/\/?[+#]/);
  return end === -1 ? filter : filter.slice(0, end);
}

/** Whether a filter that is known to be valid names a shared subscription. */
export function isSharedFilter(filter: string): boolean {
  return filter.startsWith("$share/");
}

function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}
