/**
 * Keeps every node's picture of who wants what the same: tells own rows, learns those of the others, repairs gaps.
 *
 * A change goes to all linked peers at once as a delta from version to version. A delta that does not continue what is
 * held makes the receiver pull all rows of its writer. On link-up each side says which version it holds (RESUME) and
 * gets all rows if that is not the newest, before any message; digests (membership/gossip.ts) find what else is
 * missing, rows of third nodes included. Acknowledgements are gathered: one per peer and turn.
 *
 * Source: architecture.md section 4 (Gossip, SUBACK barrier); reference/design.md 3.4.
 */

import { type Clock, type Completion, type Incarnation, type NodeId, SkeinError } from "@skein/kernel";
import {
  decodeInterestAck,
  decodeInterestDelta,
  decodeInterestPull,
  decodeInterestRows,
  encodeInterestAck,
  encodeInterestDelta,
  encodeInterestRows,
} from "../codec.ts";
import type { Link } from "../link/link.ts";
import { FrameType, type MemberRow } from "../messages.ts";
import type { Peer } from "../peer.ts";
import { Barrier } from "./barrier.ts";
import { isSharedFilter } from "./covering.ts";
import { LocalInterest, type VersionedChange } from "./local-interest.ts";
import { type RemoteRows, RowsTransfer } from "./rows.ts";

/** Filters in one frame of a transfer: at 64 KiB, the longest filter MQTT allows, a frame stays below its limit. */
const FILTERS_PER_FRAME = 512;

export interface InterestOwner {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Peers that have had a link and are not dead or left. */
  reachablePeers(): Iterable<Peer>;
  /** This node begins or ceases to have members of a `$share/...` filter. */
  localShareChanged(sharedFilter: string, isHeld: boolean): void;
  /** A SUBACK went out before a suspect peer had the row. */
  barrierLate(): void;
}

export class InterestExchange {
  readonly #owner: InterestOwner;
  readonly #clock: Clock;
  readonly #local = new LocalInterest();
  readonly #remote: RemoteRows;
  readonly #barriers = new Map<NodeId, Barrier>();
  readonly #transfers = new WeakMap<Link, RowsTransfer>();

  constructor(owner: InterestOwner, remote: RemoteRows, clock: Clock) {
    this.#owner = owner;
    this.#remote = remote;
    this.#clock = clock;
  }

  /** This node's version, or the version held of another's rows; 0: none. */
  versionOf(node: NodeId, incarnation: Incarnation): number {
    if (node === this.#owner.node) return this.#local.version;
    return this.#remote.versionOf(node, incarnation);
  }

  /** Returns the number of peers whose acknowledgement `done` will be settled for. */
  add(filter: string, done: Completion): number {
    this.#tell(this.#local.add(filter));
    const version = this.#local.versionOf(filter);
    let waits = 0;
    for (const peer of this.#owner.reachablePeers()) {
      if (peer.interestAcked >= version) continue;
      this.#barrierOf(peer.id).wait(version, done);
      waits++;
    }
    return waits;
  }

  remove(filter: string): void {
    this.#tell(this.#local.remove(filter));
  }

  /** The link is up and the peer says that it holds `heldVersion` of this node's rows. */
  linked(peer: Peer, link: Link, heldVersion: number): void {
    peer.isPulling = false;
    const barrier = this.#barrierOf(peer.id);
    barrier.alive();
    // May be lower than before: a peer that took this node for dead has dropped its rows.
    peer.interestAcked = Math.min(heldVersion, this.#local.version);
    barrier.acknowledged(peer.interestAcked);
    if (heldVersion !== this.#local.version) this.#sendRows(link, this.#owner.node);
  }

  suspected(peer: Peer): void {
    this.#barrierOf(peer.id).suspect();
  }

  recovered(peer: Peer): void {
    this.#barrierOf(peer.id).alive();
  }

  /** It is dead, has left or has restarted: nobody waits for it any more. */
  gone(peer: Peer): void {
    peer.interestAcked = 0;
    peer.isPulling = false;
    const barrier = this.#barriers.get(peer.id);
    this.#barriers.delete(peer.id);
    barrier?.gone();
  }

  receiveDelta(peer: Peer, link: Link, body: Uint8Array): void {
    const result = this.#remote.applyDelta(peer.id, decodeInterestDelta(body));
    if (result === "gap") {
      if (!peer.isPulling) this.#pull(link, peer.id);
      peer.isPulling = true;
      return;
    }
    this.#acknowledgeAtTurnEnd(peer, link);
  }

  receiveRows(peer: Peer, link: Link, body: Uint8Array): void {
    let transfer = this.#transfers.get(link);
    if (transfer === undefined) {
      transfer = new RowsTransfer();
      this.#transfers.set(link, transfer);
    }
    const part = decodeInterestRows(body);
    const filters = transfer.add(part);
    if (filters === "broken") {
      throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot take interest rows: part out of place or too many");
    }
    if (filters === undefined || part.node === this.#owner.node) return;
    this.#remote.replace(part.node, part.incarnation, part.version, filters);
    if (part.node !== peer.id) return;
    peer.isPulling = false;
    this.#acknowledgeAtTurnEnd(peer, link);
  }

  receivePull(link: Link, body: Uint8Array): void {
    this.#sendRows(link, decodeInterestPull(body));
  }

  receiveAck(peer: Peer, body: Uint8Array): void {
    const ack = decodeInterestAck(body);
    if (ack.incarnation === this.#owner.incarnation) this.#acknowledged(peer, ack.version);
  }

  /** Writes the acknowledgement that was gathered for `peer`, if any. */
  writeAck(peer: Peer, link: Link): void {
    if (!peer.isInterestAckDue) return;
    peer.isInterestAckDue = false;
    const version = this.#remote.versionOf(peer.id, peer.incarnation);
    encodeInterestAck({ incarnation: peer.incarnation, version }, link.beginFrame(FrameType.interestAck));
    link.endFrame();
  }

  /** A digest of the peer lists `row`: pulls its rows if the peer holds newer ones. `isGone`: nobody needs them. */
  compare(link: Link, row: MemberRow, isGone: boolean): void {
    if (row.node === this.#owner.node || isGone || row.interestVersion === 0) return;
    const held = this.#remote.held(row.node);
    if (held !== undefined && held.incarnation > row.incarnation) return;
    if (this.#remote.versionOf(row.node, row.incarnation) < row.interestVersion) this.#pull(link, row.node);
  }

  #tell(change: VersionedChange | undefined): void {
    if (change === undefined) return;
    for (const filter of change.added)
      if (isSharedFilter(filter)) this.#owner.localShareChanged(filter, true);
    for (const filter of change.removed)
      if (isSharedFilter(filter)) this.#owner.localShareChanged(filter, false);
    for (const peer of this.#owner.reachablePeers()) {
      if (peer.link === undefined) continue;
      const out = peer.link.beginFrame(FrameType.interestDelta);
      encodeInterestDelta({ incarnation: this.#owner.incarnation, ...change }, out);
      peer.link.endFrame();
    }
  }

  #acknowledged(peer: Peer, version: number): void {
    if (version <= peer.interestAcked) return;
    peer.interestAcked = version;
    this.#barrierOf(peer.id).acknowledged(version);
  }

  #acknowledgeAtTurnEnd(peer: Peer, link: Link): void {
    peer.isInterestAckDue = true;
    (peer.link ?? link).writeAtTurnEnd();
  }

  #barrierOf(node: NodeId): Barrier {
    let barrier = this.#barriers.get(node);
    if (barrier === undefined) {
      barrier = new Barrier(this.#clock, () => this.#owner.barrierLate());
      this.#barriers.set(node, barrier);
    }
    return barrier;
  }

  #pull(link: Link, node: NodeId): void {
    link.beginFrame(FrameType.interestPull).text(node);
    link.endFrame();
  }

  /** All rows of `node`, in parts written without a break, so that later deltas follow after them. */
  #sendRows(link: Link, node: NodeId): void {
    const isOwn = node === this.#owner.node;
    const held = isOwn
      ? { incarnation: this.#owner.incarnation, version: this.#local.version }
      : this.#remote.held(node);
    if (held === undefined) return;
    const filters = [...(isOwn ? this.#local.advertised : this.#remote.filtersOf(node))];
    for (let at = 0; at === 0 || at < filters.length; at += FILTERS_PER_FRAME) {
      const part = {
        node,
        incarnation: held.incarnation,
        version: held.version,
        isFirst: at === 0,
        isLast: at + FILTERS_PER_FRAME >= filters.length,
        filters: filters.slice(at, at + FILTERS_PER_FRAME),
      };
      encodeInterestRows(part, link.beginFrame(FrameType.interestRows));
      link.endFrame();
    }
  }
}
