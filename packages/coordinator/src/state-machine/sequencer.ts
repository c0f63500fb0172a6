/**
 * Which commands of each proposer count: exactly once and in order, however often and in whatever order they arrive.
 *
 * Every node numbers its proposals 1, 2, 3, ... within one start of its process (incarnation). Like a TCP receiver the
 * sequencer takes only `last + 1`; repeats and gaps change nothing, and the proposer sends again from its oldest open
 * one. The first command of a newer incarnation fences everything the older one may still have under way.
 *
 * Part of the replicated state: integers only, decided by the log alone.
 *
 * Source: reference design, section 4.3 rule 1, trap 7.
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { Envelope } from "./commands.ts";

/** The row of one proposer. */
export interface Sequence {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Last command taken. */
  readonly last: number;
  /** Log index of that command. */
  readonly index: number;
}

export type Verdict = "next" | "repeated" | "gap" | "fenced";

/**
 * Most proposers remembered. Ids are never reused, so disks that are wiped again and again would let the table grow;
 * when full, the row that has been quiet for the longest part of the log makes room.
 */
export const PROPOSERS_MAX = 4096;

export class Sequencer {
  readonly #rows = new Map<NodeId, Sequence>();

  /** Last command taken of `node` in `incarnation`; 0 if none. */
  last(node: NodeId, incarnation: Incarnation): number {
    const row = this.#rows.get(node);
    return row !== undefined && row.incarnation === incarnation ? row.last : 0;
  }

  /** Whether a newer start of `node` has been seen, so that nothing of `incarnation` counts any more. */
  isFenced(node: NodeId, incarnation: Incarnation): boolean {
    const row = this.#rows.get(node);
    return row !== undefined && row.incarnation > incarnation;
  }

  /** The newest start of `node` that has been seen; undefined: none. */
  newest(node: NodeId): Incarnation | undefined {
    return this.#rows.get(node)?.incarnation;
  }

  /** Judges the command at log index `index` and, if it is next, records it. `through`: the last place that it takes. */
  take(envelope: Envelope, index: number, through: number = envelope.seq): Verdict {
    const { node, incarnation, seq } = envelope;
    if (this.isFenced(node, incarnation)) return "fenced";
    const last = this.last(node, incarnation);
    if (through <= last) return "repeated";
    if (seq > last + 1) return "gap";
    if (!this.#rows.has(node) && this.#rows.size >= PROPOSERS_MAX) this.#forgetQuietest();
    this.#rows.set(node, { node, incarnation, last: through, index });
    return "next";
  }

  /** All rows, sorted by node id. */
  rows(): Sequence[] {
    return [...this.#rows.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  /** Replaces everything by the rows of a snapshot. */
  restore(rows: readonly Sequence[]): void {
    this.#rows.clear();
    for (const row of rows) this.#rows.set(row.node, row);
  }

  #forgetQuietest(): void {
    let quietest: Sequence | undefined;
    for (const row of this.#rows.values()) {
      if (quietest === undefined || row.index < quietest.index) quietest = row;
    }
    if (quietest !== undefined) this.#rows.delete(quietest.node);
  }
}
