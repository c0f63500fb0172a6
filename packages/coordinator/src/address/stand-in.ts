/**
 * When a node stands in for a coordinator that nobody hears: it takes the clients' address without a quorum.
 *
 * In a part of the network without a leader the best-ranked node does it, and all agree who that is (ranking.ts). Where a
 * majority of the voters is in reach an election is under way, and standing in must not outrun it; where none can come about
 * the wait is over at once, because a node that hears no leader for so long has outlived its lease. The address is asked for on
 * the network first (ARP probe): as long as anybody answers, somebody has it; unless all others have said goodbye, who let go of it before they do:
 * the last of two that is left would be silent for half a second for a question without an answer. It is given back the moment a leader is heard.
 *
 * Like VRRP without its advertisements: what they tell, the member list and the probe tell here. Two that stand in at once
 * (they reach their clients, but not each other) are harmless: neither can commit.
 *
 * Source: RFC 9568 (VRRP); architecture.md section 6; reference design, sections 1.5 and 2.3.
 */

import { type Core, type MonotonicMs, unreachable } from "@skein/kernel";
import { GIVE_UP_MS } from "./holding.ts";

export type StandInEvent =
  /** What this node sees now. Told on every change and every tick. */
  | {
      readonly kind: "view";
      /** A leader with a quorum is heard, or is this node, and can hold the address. */
      readonly isLeaderHeard: boolean;
      /** Enough voters are in reach to elect one. */
      readonly isElectionExpected: boolean;
      /** This node ranks first among those in reach. */
      readonly isBest: boolean;
      /** All other nodes have said goodbye. */
      readonly isLast: boolean;
    }
  | { readonly kind: "probed"; readonly isAnswered: boolean }
  /** Another node answers for the address that this one holds. */
  | { readonly kind: "contested" }
  /** The machine slept: what was seen before is worth nothing. */
  | { readonly kind: "suspended" }
  | { readonly kind: "wake" };

/** Ask the network whether anybody has the address; the answer comes back as `probed`. */
export interface StandInEffect {
  readonly kind: "probe";
}

/** An expected election may fail so often, each time after the longest timeout, before nobody waits for it any more. */
const ELECTIONS_AWAITED = 3;
/** After a probe that was answered: the past holder's kernel keeps the address for 2.5 s at most. */
const PROBE_AGAIN_MS = 250;
/** What comes later was asked before this process stood still, and says nothing of now. A probe takes 0.4 s. */
const PROBE_VALID_MS = 5000;

/** Who has not looked for so long has given the address up meanwhile (holding.ts), and another may have it. It is told what it sees four times a second. */
const STOOD_STILL_MS = GIVE_UP_MS;

const AT_ONCE = Number.NEGATIVE_INFINITY;
const PROBE: readonly StandInEffect[] = [{ kind: "probe" }];

export class StandIn implements Core<StandInEvent, StandInEffect> {
  readonly #electionMaxMs: number;
  #isElectionExpected = false;
  #isBest = false;
  #isLast = false;
  /** Since when no leader has been heard; undefined: one is, or nothing was seen yet. */
  #leaderlessSince: number | undefined;
  #isProbing = false;
  /** Not before; {@link AT_ONCE}: this node has heard a leader, and has not looked away, taken the address or been answered since. */
  #probeAt = 0;
  #askedAt = 0;
  #viewedAt = 0;
  #isStandingIn = false;

  constructor(electionMaxMs: number) {
    this.#electionMaxMs = electionMaxMs;
  }

  get isStandingIn(): boolean {
    return this.#isStandingIn;
  }

  get wakeAt(): MonotonicMs | undefined {
    if (this.#leaderlessSince === undefined || !this.#isBest || this.#isStandingIn || this.#isProbing)
      return undefined;
    return Math.max(this.#waitUntil(this.#leaderlessSince), this.#probeAt) as MonotonicMs;
  }

  step(event: StandInEvent, now: MonotonicMs): readonly StandInEffect[] {
    switch (event.kind) {
      case "view":
        this.#isElectionExpected = event.isElectionExpected;
        this.#isBest = event.isBest;
        this.#isLast = event.isLast;
        if (event.isLeaderHeard) {
          this.#leaderlessSince = undefined;
          this.#probeAt = AT_ONCE;
        } else this.#leaderlessSince ??= now;
        if (event.isLeaderHeard || !event.isBest) this.#isStandingIn = false;
        if (now - this.#viewedAt > STOOD_STILL_MS) {
          this.#isStandingIn = false;
          this.#probeAt = now;
        }
        this.#viewedAt = now;
        break;
      case "probed":
        this.#isProbing = false;
        if (now - this.#askedAt > PROBE_VALID_MS) this.#probeAt = now;
        else if (event.isAnswered) this.#probeAt = now + PROBE_AGAIN_MS;
        else this.#isStandingIn = this.#isWanted(now);
        break;
      case "contested":
        this.#isStandingIn = false;
        this.#probeAt = now + PROBE_AGAIN_MS;
        break;
      case "suspended":
        this.#isStandingIn = false;
        this.#leaderlessSince = undefined;
        this.#probeAt = now;
        return [];
      case "wake":
        break;
      default:
        return unreachable(event);
    }
    if (this.#isStandingIn || this.#isProbing || !this.#isWanted(now) || now < this.#probeAt) return [];
    if (this.#isLast && this.#probeAt === AT_ONCE) {
      this.#isStandingIn = true;
      this.#probeAt = now;
      return [];
    }
    this.#isProbing = true;
    this.#askedAt = now;
    return PROBE;
  }

  #isWanted(now: number): boolean {
    const since = this.#leaderlessSince;
    return since !== undefined && this.#isBest && now >= this.#waitUntil(since);
  }

  #waitUntil(since: number): number {
    return this.#isElectionExpected ? since + ELECTIONS_AWAITED * this.#electionMaxMs : since;
  }
}
