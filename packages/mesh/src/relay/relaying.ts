/**
 * Relaying as a part of the mesh: which members need it, over which links it may go, and when its streams end.
 *
 * The streams are in relays.ts, the choice is in relay-search.ts. A link through a relay is a link as any other to the rest of
 * the mesh; only here and in the choice between two links (link-set.ts) it matters that it is one.
 */

import type { Clock, NodeId, Prng } from "@skein/kernel";
import { SUSPECT_AFTER_MS } from "../limits.ts";
import type { Link } from "../link/link.ts";
import type { Member } from "../members.ts";
import { RelaySearch } from "./relay-search.ts";
import type { RelayedStream } from "./relayed-stream.ts";
import { Relays } from "./relays.ts";

/** Nodes asked at once whether they reach a member. */
const ASKED_MAX = 16;

export interface RelayingOwner {
  readonly node: NodeId;
  /** The link to each node that has one, relayed ones included. */
  readonly links: ReadonlyMap<NodeId, Link>;
  members(): readonly Member[];
  /** Begins a conversation with another node through `relay`. */
  addStream(stream: RelayedStream, isDialled: boolean, relay: NodeId): void;
  /** A frame of another node's stream was passed on. */
  passedOn(): void;
}

export class Relaying {
  readonly #owner: RelayingOwner;
  readonly #clock: Clock;
  readonly #relays: Relays;
  readonly #search: RelaySearch;

  constructor(owner: RelayingOwner, clock: Clock, prng: Prng) {
    this.#owner = owner;
    this.#clock = clock;
    this.#relays = new Relays(
      {
        directLink: (node) => this.#directLink(node),
        accepted: (stream) => owner.addStream(stream, false, stream.route.relay),
        offered: (relay, target, rttMs) => this.#offered(relay, target, rttMs),
        passedOn: owner.passedOn,
      },
      prng.below(2 ** 32),
    );
    this.#search = new RelaySearch(owner.node, {
      ask: (target, round) => this.#ask(target, round),
      open: (target, relay) => owner.addStream(this.#relays.open(relay, target), true, relay),
    });
  }

  /** Call it every TICK_MS. */
  tick(): void {
    const now = this.#clock.monotonicMs();
    for (const { id, state } of this.#owner.members()) {
      if (id === this.#owner.node) continue;
      const link = this.#owner.links.get(id);
      const isHeard = link !== undefined && now - link.receivedMs < SUSPECT_AFTER_MS;
      if (isHeard || (state !== "alive" && state !== "suspect")) this.#search.reached(id);
      else this.#search.unreached(id, link !== undefined, now);
    }
  }

  /** The link to `node` is lost. If it was relayed, another relay is looked for at once. */
  lost(node: NodeId, wasRelayed: boolean): void {
    if (wasRelayed) this.#search.unreached(node, true, this.#clock.monotonicMs());
    else this.#relays.lost(node);
  }

  /** Nobody needs to reach it any more. */
  forget(node: NodeId): void {
    this.#search.reached(node);
  }

  /** A frame came over the link of `from`; one that came through a relay itself goes no further. */
  receive(from: NodeId, link: Link, body: Uint8Array): void {
    if (link.relay === undefined) this.#relays.receive(from, link, body);
  }

  #ask(target: NodeId, round: number): number {
    const links = [...this.#owner.links].filter(
      ([id]) => id !== target && this.#directLink(id) !== undefined,
    );
    links.sort(([a, one], [b, other]) => rttOf(one) - rttOf(other) || (a < b ? -1 : 1));
    const rounds = Math.max(1, Math.ceil(links.length / ASKED_MAX));
    const first = (round % rounds) * ASKED_MAX;
    const asked = links.slice(first, first + ASKED_MAX);
    for (const [, link] of asked) this.#relays.ask(link, target);
    return asked.length;
  }

  #offered(relay: NodeId, target: NodeId, rttMs: number | undefined): void {
    const link = this.#directLink(relay);
    const wayMs = link === undefined || rttMs === undefined ? undefined : rttMs + rttOf(link);
    this.#search.offered(target, relay, wayMs, this.#clock.monotonicMs());
  }

  /** A link of its own to `node` that is heard. */
  #directLink(node: NodeId): Link | undefined {
    const link = this.#owner.links.get(node);
    if (link === undefined || link.relay !== undefined) return undefined;
    return this.#clock.monotonicMs() - link.receivedMs < SUSPECT_AFTER_MS ? link : undefined;
  }
}

function rttOf(link: Link): number {
  return link.roundTrip.medianMs ?? 0;
}
