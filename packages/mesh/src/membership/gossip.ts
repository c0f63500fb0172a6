/**
 * Digests: what each node tells the others about everybody it knows, so that all know the same.
 *
 * A digest has one row per member: state, facts and the version of the interest rows held. It goes out in full when a
 * link comes up and every 10 s to one random peer, which answers with the rows in which its own has more; each side takes what is
 * newer and pulls the interest rows it misses. A change of this node's own facts is pushed to all peers at once, four times a second
 * at most.
 *
 * Source: Scuttlebutt anti-entropy (van Renesse et al. 2008); reference/design.md 3.4.
 */

import type { Clock, Prng, Timer } from "@skein/kernel";
import type { InterestExchange } from "../interest/interest-exchange.ts";
import { DIGEST_MS, SUSPECT_AFTER_MS } from "../limits.ts";
import type { Link } from "../link/link.ts";
import { decodeMembers, encodeMembers } from "../member-codec.ts";
import { FrameType, type MemberRow } from "../messages.ts";
import type { Peer } from "../peer.ts";
import type { Membership } from "./membership.ts";

/** Least time between two pushes of own facts: the number of clients may change with every packet. */
const FACTS_PUSH_MS = 250;

export interface GossipOwner {
  linkedPeers(): readonly Peer[];
  /** A peer says that `node` is reached at `address`. */
  addressLearnt(node: Peer["id"], address: string): void;
}

export class Gossip {
  readonly #owner: GossipOwner;
  readonly #membership: Membership;
  readonly #interest: InterestExchange;
  readonly #clock: Clock;
  readonly #prng: Prng;
  #pushedMs = Number.NEGATIVE_INFINITY;
  #pushTimer: Timer | undefined;
  #digestTimer: Timer | undefined;
  #isStopped = false;

  constructor(
    owner: GossipOwner,
    membership: Membership,
    interest: InterestExchange,
    clock: Clock,
    prng: Prng,
  ) {
    this.#owner = owner;
    this.#membership = membership;
    this.#interest = interest;
    this.#clock = clock;
    this.#prng = prng;
  }

  start(): void {
    this.#digestTimer = this.#clock.after(DIGEST_MS, () => {
      const peers = this.#owner.linkedPeers();
      const link = peers.length === 0 ? undefined : peers[this.#prng.below(peers.length)]?.link;
      if (link !== undefined) this.#sendDigest(link, true);
      this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#digestTimer?.cancel();
    this.#pushTimer?.cancel();
  }

  linked(link: Link): void {
    this.#sendDigest(link, false);
  }

  /** This node's facts have changed: tells all peers soon. */
  factsChanged(): void {
    if (this.#pushTimer !== undefined || this.#isStopped) return;
    const waitMs = Math.max(0, this.#pushedMs + FACTS_PUSH_MS - this.#clock.monotonicMs());
    this.#pushTimer = this.#clock.after(waitMs, () => {
      this.#pushTimer = undefined;
      this.#pushedMs = this.#clock.monotonicMs();
      const [own] = this.#rows();
      if (own === undefined) return;
      for (const peer of this.#owner.linkedPeers()) {
        if (peer.link !== undefined) sendRows(peer.link, false, [own]);
      }
    });
  }

  receive(peer: Peer, link: Link, body: Uint8Array): void {
    const { wantsReply, rows } = decodeMembers(body);
    const now = this.#clock.monotonicMs();
    for (const row of rows) {
      const address = this.#membership.gossip(row, row.node === peer.id, now);
      if (address !== undefined) this.#owner.addressLearnt(row.node, address);
      const state = this.#membership.stateOf(row.node);
      this.#interest.compare(link, row, state !== "alive" && state !== "suspect");
    }
    if (wantsReply) this.#answer(link, rows);
  }

  /** With this node's own row at any rate: the word of a node itself is all there is to know of it. */
  #answer(link: Link, rows: readonly MemberRow[]): void {
    const told = new Map(rows.map((row) => [row.node, row]));
    const [own, ...others] = this.#rows();
    if (own === undefined) return;
    sendRows(link, false, [own, ...others.filter((row) => isNews(row, told.get(row.node)))]);
  }

  #sendDigest(link: Link, wantsReply: boolean): void {
    sendRows(link, wantsReply, this.#rows());
  }

  #rows() {
    return this.#membership.rows(this.#clock.monotonicMs(), (node, incarnation) =>
      this.#interest.versionOf(node, incarnation),
    );
  }
}

/** Whether who has `told` about a member learns something from `row`. */
function isNews(row: MemberRow, told: MemberRow | undefined): boolean {
  if (told === undefined || row.incarnation > told.incarnation) return true;
  if (row.incarnation < told.incarnation) return false;
  return (
    row.factsVersion > told.factsVersion ||
    row.interestVersion > told.interestVersion ||
    (row.hasLeft && !told.hasLeft) ||
    (row.address !== "" && row.address !== told.address) ||
    told.heardAgoMs - row.heardAgoMs >= SUSPECT_AFTER_MS
  );
}

function sendRows(link: Link, wantsReply: boolean, rows: readonly MemberRow[]): void {
  encodeMembers({ wantsReply, rows }, link.beginFrame(FrameType.members));
  link.endFrame();
}
