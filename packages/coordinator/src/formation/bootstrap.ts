/**
 * How a fresh node comes to a cluster: it joins one it can see, or founds one, so that nodes switched on together form
 * exactly one. Every cluster starts with ONE voter, so no quorum is defined before its members know each other.
 *
 * 1. Browse for 3 s and a random 0-2 s. A formed member in sight: ask it to join, every second, until the leader
 *    says that we are in.
 * 2. Only fresh nodes in sight: the one with the lowest id founds, once the set of fresh nodes has been the same for
 *    2 s, so that both ends of a new link have seen each other. The others wait; a node that could have founded and did not
 *    within 15 s is passed over.
 * 3. A node with data never gets here (coordinator.ts): it waits for its voters.
 *
 * Worst case, a first boot inside a network partition: two clusters, each safe by its own UUID.
 *
 * Source: reference design, section 1.3.
 */

import type { ClusterId, Core, MonotonicMs, NodeId, Prng } from "@skein/kernel";
import type { PeerView } from "../options.ts";

export type BootstrapEvent =
  /** The member list, this node itself included or not. */
  | { readonly kind: "peers"; readonly peers: readonly PeerView[] }
  | { readonly kind: "wake" }
  /** The leader of `cluster` has this node in its configuration. */
  | { readonly kind: "joined"; readonly cluster: ClusterId };

export type BootstrapEffect =
  | { readonly kind: "sendJoin"; readonly to: NodeId; readonly cluster: ClusterId }
  /** Take part in `cluster`, as a learner with an empty log. Ends the bootstrap. */
  | { readonly kind: "adopt"; readonly cluster: ClusterId }
  /** Make a cluster of one voter. Ends the bootstrap. */
  | { readonly kind: "found" };

const BROWSE_MS = 3000;
const BROWSE_JITTER_MS = 2000;
const STABLE_MS = 2000;
const PASS_OVER_MS = 15_000;
const JOIN_AGAIN_MS = 1000;

/** A pure core; times are the `now` of its events, in milliseconds. */
export class Bootstrap implements Core<BootstrapEvent, BootstrapEffect> {
  readonly #self: NodeId;
  readonly #browseUntil: number;
  #peers: readonly PeerView[] = [];
  /** Sorted ids of fresh live peers joined by spaces: changes when the set does. */
  #freshKey = "";
  #freshSince: number;
  /** When each fresh peer was seen first. Not forgotten when it goes, so that a flapping one is passed over too. */
  readonly #freshSeenAt = new Map<NodeId, number>();
  #joinAt = 0;
  #joinsSent = 0;
  #asked: ClusterId | undefined;
  #isDone = false;
  #wakeAt: number;

  constructor(self: NodeId, prng: Prng, now: MonotonicMs) {
    this.#self = self;
    this.#browseUntil = now + BROWSE_MS + prng.below(BROWSE_JITTER_MS);
    this.#freshSince = now;
    this.#wakeAt = this.#browseUntil;
  }

  get wakeAt(): MonotonicMs | undefined {
    return this.#isDone ? undefined : (this.#wakeAt as MonotonicMs);
  }

  step(event: BootstrapEvent, now: MonotonicMs): readonly BootstrapEffect[] {
    if (this.#isDone) return [];
    if (event.kind === "joined") return this.#joined(event.cluster);
    if (event.kind === "peers") this.#see(event.peers, now);
    const formed = this.#formed();
    if (formed.length > 0) return this.#askToJoin(formed, now);
    return this.#foundWhenDue(now);
  }

  #joined(cluster: ClusterId): readonly BootstrapEffect[] {
    // Only a cluster that was asked: nobody is taken into a cluster by a stray frame.
    if (cluster !== this.#asked) return [];
    this.#isDone = true;
    return [{ kind: "adopt", cluster }];
  }

  #see(peers: readonly PeerView[], now: number): void {
    this.#peers = peers.filter((peer) => peer.id !== this.#self && isPresent(peer));
    const fresh = this.#peers.filter((peer) => peer.cluster === undefined);
    const ids = fresh.map((peer) => peer.id).sort();
    for (const id of ids) if (!this.#freshSeenAt.has(id)) this.#freshSeenAt.set(id, now);
    const key = ids.join(" ");
    if (key === this.#freshKey) return;
    this.#freshKey = key;
    this.#freshSince = now;
  }

  /** Members of the cluster to join: of two clusters in sight the bigger one, then the lower id. */
  #formed(): readonly PeerView[] {
    const byCluster = new Map<ClusterId, PeerView[]>();
    for (const peer of this.#peers) {
      if (peer.cluster === undefined) continue;
      const members = byCluster.get(peer.cluster);
      if (members === undefined) byCluster.set(peer.cluster, [peer]);
      else members.push(peer);
    }
    const clusters = [...byCluster].sort(([a, ofA], [b, ofB]) => ofB.length - ofA.length || (a < b ? -1 : 1));
    return clusters[0]?.[1] ?? [];
  }

  /** A formed mesh is in sight: never found, ask its linked members in turn. */
  #askToJoin(formed: readonly PeerView[], now: number): readonly BootstrapEffect[] {
    this.#wakeAt = Math.max(this.#joinAt, now + 1);
    if (now < this.#joinAt) return [];
    const linked = formed.filter((peer) => peer.isLinked);
    const target = linked[this.#joinsSent % Math.max(1, linked.length)];
    // Known by hearsay only: ask as soon as the link is up, which comes as a `peers` event.
    if (target?.cluster === undefined) {
      this.#wakeAt = now + JOIN_AGAIN_MS;
      return [];
    }
    this.#joinAt = now + JOIN_AGAIN_MS;
    this.#wakeAt = this.#joinAt;
    this.#joinsSent++;
    this.#asked = target.cluster;
    return [{ kind: "sendJoin", to: target.id, cluster: target.cluster }];
  }

  #foundWhenDue(now: number): readonly BootstrapEffect[] {
    const dueAt = this.#foundAt();
    if (now < dueAt) {
      this.#wakeAt = dueAt;
      return [];
    }
    this.#isDone = true;
    return [{ kind: "found" }];
  }

  /** When this node founds if nothing changes until then. */
  #foundAt(): number {
    const passOverAt = this.#browseUntil + PASS_OVER_MS;
    const stableAt = this.#freshKey === "" ? 0 : Math.min(this.#freshSince + STABLE_MS, passOverAt);
    let at = Math.max(this.#browseUntil, stableAt);
    for (const peer of this.#peers) {
      const seenAt = this.#freshSeenAt.get(peer.id);
      if (seenAt === undefined || peer.id > this.#self) continue;
      at = Math.max(at, Math.max(seenAt, this.#browseUntil) + PASS_OVER_MS);
    }
    return at;
  }
}

/** A suspect peer may be back in a second; its cluster must not be doubled by a founder in a hurry. */
function isPresent(peer: PeerView): boolean {
  return peer.state === "alive" || peer.state === "suspect";
}
