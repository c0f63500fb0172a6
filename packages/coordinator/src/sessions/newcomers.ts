/**
 * Nodes in reach whose clients do not get from the log what it brings to everybody: they have no replica yet, or theirs has just begun with
 * a snapshot, which holds state and none of the messages that led to it. Whoever has put such a message into the log tells them of it.
 *
 * Source: architecture.md section 2, P5 (live subscribers).
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";

/** From the time when a node says that it belongs to a cluster: by then it has its snapshot, and the log goes on from there. */
const NEW_FOR_MS = 10_000;

export interface NewcomersPorts {
  /** The other nodes of this cluster. */
  readonly peers: () => readonly PeerView[];
  /** All other nodes. */
  readonly everyPeer: () => readonly PeerView[];
}

export class Newcomers {
  readonly #ports: NewcomersPorts;
  /** Until when each that had no replica lately counts as new, wherever it belongs now. */
  readonly #until = new Map<NodeId, MonotonicMs>();

  constructor(ports: NewcomersPorts) {
    this.#ports = ports;
  }

  /** Those that have a link. */
  linked(): readonly NodeId[] {
    const found: NodeId[] = [];
    for (const { id, isLinked, cluster } of this.#ports.everyPeer())
      if (isLinked && cluster === undefined) found.push(id);
    if (this.#until.size === 0) return found;
    for (const { id, isLinked, cluster } of this.#ports.peers())
      if (isLinked && cluster !== undefined && this.#until.has(id)) found.push(id);
    return found;
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    for (const [id, until] of this.#until) if (until <= now) this.#until.delete(id);
    for (const { id, cluster } of this.#ports.everyPeer())
      if (cluster === undefined) this.#until.set(id, (now + NEW_FOR_MS) as MonotonicMs);
  }
}
