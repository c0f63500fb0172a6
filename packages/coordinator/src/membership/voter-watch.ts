/**
 * What a leader has seen for how long: who has kept up, who is dead, who is surpassed. Durations keep the voters steady: a
 * second's silence, a slow minute or a number that jitters moves nobody.
 *
 * Dead is a voter only if Raft has not heard it for 30 s and the member list agrees. Raft alone would call one dead whose
 * replies are lost; the list alone one whose link flaps. A new leader counts from the beginning of its term.
 *
 * Source: reference design, sections 1.2 and 1.6 (figures: Consul autopilot).
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftStatus } from "raft-js";
import type { PeerView } from "../options.ts";
import { SCORE_MARGIN, scoreOf } from "./node-score.ts";
import { PROMOTION_LAG_ENTRIES } from "./voter-policy.ts";

const SETTLED_AFTER_MS = 10_000;
const DEAD_AFTER_MS = 30_000;
/** A learner that is away for so long is not a member any more. */
const GONE_AFTER_MS = 24 * 60 * 60 * 1000;
const SURPASSED_AFTER_MS = 600_000;

export interface WatchInput {
  readonly now: MonotonicMs;
  readonly self: NodeId;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly raft: Pick<RaftStatus, "followers" | "lastIndex">;
  /** Every member that this node knows of, itself included. */
  readonly peers: ReadonlyMap<NodeId, PeerView>;
  /** A node not heard by Raft for this long has not caught up, in ms. */
  readonly silenceMs: number;
}

export interface Seen {
  readonly caughtUp: ReadonlySet<NodeId>;
  readonly settled: ReadonlySet<NodeId>;
  readonly dead: ReadonlySet<NodeId>;
  /** Learners that have been away for a day. */
  readonly gone: ReadonlySet<NodeId>;
  readonly surpassed: ReadonlySet<NodeId>;
  /** The voter that has been clearly better than the leader for long. */
  readonly successor: NodeId | undefined;
  readonly score: (node: NodeId) => number;
  readonly machine: (node: NodeId) => string;
}

export class VoterWatch {
  #since: MonotonicMs | undefined;
  readonly #caughtUpSince = new Map<NodeId, MonotonicMs>();
  readonly #surpassedSince = new Map<NodeId, MonotonicMs>();

  /** This node does not lead (any more), or leads anew. */
  reset(): void {
    this.#since = undefined;
    this.#caughtUpSince.clear();
    this.#surpassedSince.clear();
  }

  /** A few times a second, while this node leads. */
  look(input: WatchInput): Seen {
    const { now, self, voters, learners, peers } = input;
    this.#since ??= now;
    const caughtUp = new Set(learners.filter((node) => isCaughtUp(node, input)));
    const settled = lasting(this.#caughtUpSince, caughtUp, now, SETTLED_AFTER_MS);
    // Each is asked for many times: whoever is to be promoted is sorted by it.
    const scores = new Map([...peers].map(([node, peer]) => [node, scoreOf(peer)]));
    const score = (node: NodeId): number => scores.get(node) ?? 0;
    const bestLearner = Math.max(0, ...[...settled].map(score));
    const isSurpassed = (node: NodeId): boolean => bestLearner >= score(node) + SCORE_MARGIN;
    const better = voters
      .filter((node) => node !== self && isCaughtUp(node, input) && isBetterLeader(node, self, peers))
      .sort((a, b) => score(b) - score(a) || (a < b ? -1 : 1));
    // The leader stands in the list as long as any voter would lead better.
    const passed = new Set(voters.filter((node) => (node === self ? better.length > 0 : isSurpassed(node))));
    const surpassed = lasting(this.#surpassedSince, passed, now, SURPASSED_AFTER_MS);
    return {
      caughtUp,
      settled,
      dead: new Set(voters.filter((node) => this.#isAway(node, input, DEAD_AFTER_MS))),
      gone: new Set(learners.filter((node) => this.#isAway(node, input, GONE_AFTER_MS))),
      surpassed,
      successor: surpassed.has(self) ? better[0] : undefined,
      score,
      machine: (node) => peers.get(node)?.machine ?? "",
    };
  }

  #isAway(node: NodeId, { now, self, raft, peers }: WatchInput, afterMs: number): boolean {
    const state = peers.get(node)?.state;
    if (node === self || state === "alive" || state === "suspect") return false;
    const heardAt = Math.max(raft.followers.get(node)?.lastHeardAt ?? 0, this.#since ?? now);
    return now - heardAt >= afterMs;
  }
}

function isCaughtUp(node: NodeId, { now, raft, silenceMs }: WatchInput): boolean {
  const follower = raft.followers.get(node);
  if (follower?.lastHeardAt === undefined || now - follower.lastHeardAt > silenceMs) return false;
  return follower.matchIndex > 0 && raft.lastIndex - follower.matchIndex <= PROMOTION_LAG_ENTRIES;
}

/** A leader has no way to itself, so the ways do not count between the two. */
function isBetterLeader(node: NodeId, leader: NodeId, peers: ReadonlyMap<NodeId, PeerView>): boolean {
  const [other, own] = [peers.get(node), peers.get(leader)];
  if (other === undefined || own === undefined) return false;
  const score = (peer: PeerView): number => scoreOf({ ...peer, rttMs: undefined });
  return score(other) >= score(own) + SCORE_MARGIN;
}

/** Of `nodes` those that have been in it for `forMs` without a break. */
function lasting(
  since: Map<NodeId, MonotonicMs>,
  nodes: ReadonlySet<NodeId>,
  now: MonotonicMs,
  forMs: number,
): ReadonlySet<NodeId> {
  for (const node of since.keys()) if (!nodes.has(node)) since.delete(node);
  for (const node of nodes) if (!since.has(node)) since.set(node, now);
  return new Set([...nodes].filter((node) => now - (since.get(node) ?? now) >= forMs));
}
