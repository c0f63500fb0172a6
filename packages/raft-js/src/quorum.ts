/**
 * Majority arithmetic, simple and joint.
 *
 * A joint configuration decides only what both of its voter sets decide (paper section 6): the value that a quorum
 * has reached is the smaller of the two sets' values, and a vote is won only when both sets have won it.
 * Prior art: etcd-io/raft `quorum/`.
 */

import { assert } from "./assert.ts";
import type { Configuration, ServerId } from "./types.ts";

/** The largest value that a majority of `configuration` has reached or passed. `-Infinity` if some count as nothing. */
export function quorumValue(configuration: Configuration, reached: (voter: ServerId) => number): number {
  assert(configuration.voters.length > 0, "a quorum needs voters");
  const incoming = majorityValue(configuration.voters, reached);
  if (configuration.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, majorityValue(configuration.votersOutgoing, reached));
}

export type VoteResult = "won" | "lost" | "pending";

/** Counts `votes` (true = granted); whoever is missing has not answered yet. */
export function voteResult(configuration: Configuration, votes: ReadonlyMap<ServerId, boolean>): VoteResult {
  const incoming = majorityVote(configuration.voters, votes);
  if (configuration.votersOutgoing.length === 0) return incoming;
  const outgoing = majorityVote(configuration.votersOutgoing, votes);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "pending";
}

/** An answer to a request for a vote. `ifAll`: granted by a voter that may have lost acknowledged entries. */
export type Vote = "granted" | "ifAll" | "refused";

/**
 * As {@link voteResult}, where suspect voters take part: their grants make no quorum, but if every voter grants, whoever
 * asks has at least what any of them has left, so that is as good (architecture.md section 5: "every voter has answered").
 */
export function electionResult(configuration: Configuration, votes: ReadonlyMap<ServerId, Vote>): VoteResult {
  const plain = new Map<ServerId, boolean>();
  for (const [id, vote] of votes) plain.set(id, vote === "granted");
  const result = voteResult(configuration, plain);
  if (result === "won") return "won";
  const voters = [...configuration.voters, ...configuration.votersOutgoing];
  const answers = voters.map((id) => votes.get(id));
  if (answers.every((vote) => vote === "granted" || vote === "ifAll")) return "won";
  return result === "lost" && answers.includes("refused") ? "lost" : "pending";
}

function majorityValue(voters: readonly ServerId[], reached: (voter: ServerId) => number): number {
  // Sorted in descending order by insertion: there are few, and this is done for every acknowledgement.
  const values: number[] = [];
  for (const voter of voters) {
    const value = reached(voter);
    let at = values.length;
    for (; at > 0 && (values[at - 1] as number) < value; at--) values[at] = values[at - 1] as number;
    values[at] = value;
  }
  // The value at the majority's last seat is what all of the majority have reached.
  return values[Math.floor(voters.length / 2)] as number;
}

function majorityVote(voters: readonly ServerId[], votes: ReadonlyMap<ServerId, boolean>): VoteResult {
  let granted = 0;
  let refused = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === true) granted++;
    if (vote === false) refused++;
  }
  const majority = Math.floor(voters.length / 2) + 1;
  if (granted >= majority) return "won";
  return voters.length - refused < majority ? "lost" : "pending";
}
