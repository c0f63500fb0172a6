/**
 * The entries that are legible behind damage: pieces of the log this server once had, with holes between them.
 *
 * Entries carry the term of the one before them, so a piece says what it continues: a log that has this entry with this term
 * is the same log up to there (Raft's Log Matching), and what follows in the piece once followed in that log. So a piece may
 * be put behind such a log, on this server or on another, and never in place of anything.
 *
 * Records are added in the order of the journal: a later one supersedes what had its index or a higher one. What was set aside
 * at another time begins a layer of its own, because that order says nothing about it.
 *
 * Source: Raft §5.3; Alagappan et al., FAST 2018 (entries are repaired, not truncated).
 */

import type { Entry } from "raft-js";

interface Piece {
  /** Term of the entry before the first one; 0: not known. */
  readonly previousTerm: number;
  /** Without gaps; at least one. */
  readonly entries: Entry[];
}

export class Remains {
  /** The newest layer last; in each ascending by index, and disjoint. */
  readonly #layers: Piece[][] = [];

  /** Highest index of any entry; 0 if there is none. */
  get lastIndex(): number {
    let last = 0;
    for (const layer of this.#layers) last = Math.max(last, layer.at(-1)?.entries.at(-1)?.index ?? 0);
    return last;
  }

  /** The newest configuration that is legible, in the order of logs (Raft §5.4.1); undefined: none is. */
  get configuration(): Entry | undefined {
    let newest: Entry | undefined;
    for (const { entries } of this.#layers.flat())
      for (const entry of entries)
        if (entry.kind === "configuration" && (newest === undefined || !isBefore(entry, newest)))
          newest = entry;
    return newest;
  }

  beginLayer(): void {
    this.#layers.push([]);
  }

  /** The next entry record; `previousTerm` 0: not known. */
  add(entry: Entry, previousTerm: number): void {
    const layer = this.#layers.at(-1);
    if (layer === undefined) return;
    cut(layer, entry.index, previousTerm);
    const piece = layer.at(-1);
    const last = piece?.entries.at(-1);
    if (last !== undefined && last.index === entry.index - 1 && last.term === previousTerm) {
      piece?.entries.push(entry);
    } else {
      layer.push({ previousTerm, entries: [entry] });
    }
  }

  /** Everything from `index` on that was added to this layer is void; 0: all of it, because a snapshot has replaced it. */
  supersede(index: number): void {
    const layer = this.#layers.at(-1);
    if (layer !== undefined) cut(layer, index, 0);
  }

  /** What follows the entry (`index`, `term`), as many entries as fit in `bytesMax` and at least one; empty if that is not known. */
  after(index: number, term: number, bytesMax: number): readonly Entry[] {
    for (const layer of this.#layers.toReversed()) {
      for (const piece of layer) {
        const following = followingIn(piece, index, term, bytesMax);
        if (following.length > 0) return following;
      }
    }
    return [];
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.term < b.term || (a.term === b.term && a.index < b.index);
}

/** Takes off what a record at `index` behind an entry of `previousTerm` supersedes. */
function cut(layer: Piece[], index: number, previousTerm: number): void {
  for (let piece = layer.at(-1); piece !== undefined; piece = layer.at(-1)) {
    const last = piece.entries.at(-1);
    if (last === undefined) {
      layer.pop();
      continue;
    }
    const isOther = last.index === index - 1 && previousTerm !== 0 && last.term !== previousTerm;
    if (last.index < index && !isOther) return;
    piece.entries.pop();
  }
}

function followingIn(
  { previousTerm, entries }: Piece,
  index: number,
  term: number,
  bytesMax: number,
): readonly Entry[] {
  const start = index - ((entries[0] as Entry).index - 1);
  const before = start === 0 ? previousTerm : entries[start - 1]?.term;
  if (before !== term) return [];
  let end = start;
  for (let bytes = 0; end < entries.length; end++) {
    bytes += (entries[end] as Entry).data.length;
    if (bytes > bytesMax && end > start) break;
  }
  return entries.slice(start, end);
}
