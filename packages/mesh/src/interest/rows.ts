/**
 * The interest rows of the other nodes: for each writer the newest set of filters seen, whoever passed it on.
 *
 * Each node is the only writer of its rows, so merging is taking the higher (incarnation, version). What changes is
 * told to the index of the forwarder filter by filter.
 *
 * Source: reference/design.md 3.4 (a delta-state CRDT with one writer per row set).
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { InterestDelta, InterestRows } from "../messages.ts";

/** Filters one node may advertise; a peer that sends more is broken, and its link is dropped. */
const FILTERS_PER_NODE_MAX = 1_000_000;

/** Hears of each filter that a node begins or ceases to want. */
export type InterestChanged = (node: NodeId, filter: string, isWanted: boolean) => void;

interface NodeRows {
  readonly incarnation: Incarnation;
  version: number;
  filters: Set<string>;
}

export class RemoteRows {
  readonly #rows = new Map<NodeId, NodeRows>();
  readonly #changed: InterestChanged;

  constructor(changed: InterestChanged) {
    this.#changed = changed;
  }

  /** Version held of this incarnation's rows; 0: none. */
  versionOf(node: NodeId, incarnation: Incarnation): number {
    const rows = this.#rows.get(node);
    return rows?.incarnation === incarnation ? rows.version : 0;
  }

  /** Version and incarnation held, whatever it is. */
  held(node: NodeId): { readonly incarnation: Incarnation; readonly version: number } | undefined {
    return this.#rows.get(node);
  }

  filtersOf(node: NodeId): ReadonlySet<string> {
    return this.#rows.get(node)?.filters ?? new Set();
  }

  /** Takes a delta of `node`. "gap": it does not continue what is held, all rows must be pulled. */
  applyDelta(node: NodeId, delta: InterestDelta): "applied" | "known" | "gap" {
    const held = this.versionOf(node, delta.incarnation);
    if (held >= delta.to) return "known";
    if (held !== delta.from) return "gap";
    const rows = this.#rowsFor(node, delta.incarnation);
    for (const filter of delta.removed) if (rows.filters.delete(filter)) this.#changed(node, filter, false);
    for (const filter of delta.added) this.#add(node, rows, filter);
    rows.version = delta.to;
    return "applied";
  }

  /** Takes a complete set, unless what is held is as new. */
  replace(node: NodeId, incarnation: Incarnation, version: number, filters: ReadonlySet<string>): void {
    const known = this.#rows.get(node);
    if (
      known !== undefined &&
      (known.incarnation > incarnation || this.versionOf(node, incarnation) >= version)
    ) {
      return;
    }
    const rows = this.#rowsFor(node, incarnation);
    for (const filter of [...rows.filters]) {
      if (filters.has(filter)) continue;
      rows.filters.delete(filter);
      this.#changed(node, filter, false);
    }
    for (const filter of filters) this.#add(node, rows, filter);
    rows.version = version;
  }

  /** Forgets the rows of a node that is gone or has restarted. */
  drop(node: NodeId): void {
    const rows = this.#rows.get(node);
    if (rows === undefined) return;
    this.#rows.delete(node);
    for (const filter of rows.filters) this.#changed(node, filter, false);
  }

  #add(node: NodeId, rows: NodeRows, filter: string): void {
    if (rows.filters.has(filter)) return;
    rows.filters.add(filter);
    this.#changed(node, filter, true);
  }

  #rowsFor(node: NodeId, incarnation: Incarnation): NodeRows {
    const known = this.#rows.get(node);
    if (known?.incarnation === incarnation) return known;
    this.drop(node);
    const rows: NodeRows = { incarnation, version: 0, filters: new Set() };
    this.#rows.set(node, rows);
    return rows;
  }
}

/** Gathers the parts of one transfer. They follow each other on a link, so one transfer per link is open at a time. */
export class RowsTransfer {
  #open: { readonly of: InterestRows; readonly filters: Set<string> } | undefined;

  /** Adds a part. Returns the whole set with its last part; "broken" if the part belongs to no open transfer. */
  add(part: InterestRows): ReadonlySet<string> | "broken" | undefined {
    if (part.isFirst) this.#open = { of: part, filters: new Set() };
    const open = this.#open;
    if (
      open === undefined ||
      open.of.node !== part.node ||
      open.of.incarnation !== part.incarnation ||
      open.of.version !== part.version ||
      open.filters.size + part.filters.length > FILTERS_PER_NODE_MAX
    ) {
      return "broken";
    }
    for (const filter of part.filters) open.filters.add(filter);
    if (!part.isLast) return undefined;
    this.#open = undefined;
    return open.filters;
  }
}
