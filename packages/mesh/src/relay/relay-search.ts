/**
 * When a member needs a relay, and which one.
 *
 * A member that is known to be alive, or was a moment ago, and cannot be heard needs one: after a second and a half without a link (dialling it
 * is under way), at once when its link has gone silent or its relay is lost. All nodes with a live link are asked
 * whether they reach it; of those that offer, the one with the least time to this node and on to the member is taken, times
 * compared in whole milliseconds and the lowest id among equals, so that both ends choose the same. Without an offer
 * the question is repeated ever more seldom. The search for a direct way goes on meanwhile (dialer.ts), and ends the relaying.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";

/** The dial of a direct link has this long. The node with the higher id waits longer: most double searches never happen. */
const DIRECT_FIRST_MS = 1500;
const HIGHER_ID_DELAY_MS = 500;
/** Offers later than this are not waited for. */
const OFFERS_WITHIN_MS = 500;
/** A channel that has not become a link by then has failed. */
const OPEN_WITHIN_MS = 2500;
const AGAIN_FIRST_MS = 1000;
const AGAIN_MAX_MS = 15_000;

export interface RelaySearchOwner {
  /** Asks nodes that may be a relay to `target`, others in each round; returns how many. */
  ask(target: NodeId, round: number): number;
  /** Opens a link to `target` through `relay`. */
  open(target: NodeId, relay: NodeId): void;
}

interface Search {
  phase: "waiting" | "asking" | "opening";
  /** When the phase is over. */
  untilMs: number;
  unanswered: number;
  offers: { readonly relay: NodeId; readonly wayMs: number }[];
  rounds: number;
  /** It offered, but no link came of it. */
  failed: NodeId | undefined;
  chosen: NodeId | undefined;
}

export class RelaySearch {
  readonly #own: NodeId;
  readonly #owner: RelaySearchOwner;
  readonly #searches = new Map<NodeId, Search>();

  constructor(own: NodeId, owner: RelaySearchOwner) {
    this.#own = own;
    this.#owner = owner;
  }

  /** `node` is heard, or is not to be reached any more: nothing to search. */
  reached(node: NodeId): void {
    this.#searches.delete(node);
  }

  /** Call it every TICK_MS for each member that should be reached and is not. `isUrgent`: no direct link is to be expected. */
  unreached(node: NodeId, isUrgent: boolean, now: MonotonicMs): void {
    let search = this.#searches.get(node);
    if (search === undefined) {
      const delayMs = isUrgent ? 0 : DIRECT_FIRST_MS + (this.#own > node ? HIGHER_ID_DELAY_MS : 0);
      search = {
        phase: "waiting",
        untilMs: now + delayMs,
        unanswered: 0,
        offers: [],
        rounds: 0,
        failed: undefined,
        chosen: undefined,
      };
      this.#searches.set(node, search);
    }
    if (now < search.untilMs) return;
    if (search.phase === "asking") this.#choose(node, search, now);
    else if (search.phase === "opening") {
      search.failed = search.chosen;
      this.#ask(node, search, now);
    } else this.#ask(node, search, now);
  }

  /** `wayMs`: from this node to the relay and on to `target`; undefined: it does not reach it. */
  offered(target: NodeId, relay: NodeId, wayMs: number | undefined, now: MonotonicMs): void {
    const search = this.#searches.get(target);
    if (search?.phase !== "asking") return;
    search.unanswered--;
    if (wayMs !== undefined) search.offers.push({ relay, wayMs: Math.round(wayMs) });
    if (search.unanswered === 0) this.#choose(target, search, now);
  }

  #ask(target: NodeId, search: Search, now: MonotonicMs): void {
    search.phase = "asking";
    search.untilMs = now + OFFERS_WITHIN_MS;
    search.offers = [];
    search.unanswered = this.#owner.ask(target, search.rounds);
    if (search.unanswered === 0) this.#waitLonger(search, now);
  }

  #choose(target: NodeId, search: Search, now: MonotonicMs): void {
    search.offers.sort((a, b) => a.wayMs - b.wayMs || (a.relay < b.relay ? -1 : 1));
    const best = search.offers.find(({ relay }) => relay !== search.failed) ?? search.offers[0];
    if (best === undefined) {
      this.#waitLonger(search, now);
      return;
    }
    search.phase = "opening";
    search.chosen = best.relay;
    search.untilMs = now + OPEN_WITHIN_MS;
    this.#owner.open(target, best.relay);
  }

  #waitLonger(search: Search, now: MonotonicMs): void {
    search.phase = "waiting";
    search.untilMs = now + Math.min(AGAIN_MAX_MS, AGAIN_FIRST_MS * 2 ** Math.min(search.rounds, 10));
    search.rounds++;
  }
}
