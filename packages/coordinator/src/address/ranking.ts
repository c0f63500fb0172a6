/**
 * What a node concludes from the member list for the clients' address: is a leader heard, can one be elected, and who of
 * those in reach would stand in.
 *
 * Every node computes the same from the same list: wired before wireless, because a Wi-Fi access point may answer or drop ARP as
 * it likes (reference design, 2.5), then the lowest id. Only nodes that serve clients and can set the address count; if
 * there is none, those that serve, for the name that leads to their own addresses. Where parts of two clusters are left without a leader, those
 * whose cluster has the better claim go first; each cluster alone may see the other one's claim as the better one, and then that does not count.
 */

import type { NodeId } from "@skein/kernel";
import type { CoordinatorStatus } from "../options.ts";

/** A node in reach, this one included. */
export interface Candidate {
  readonly id: NodeId;
  /** Undefined counts as wireless. */
  readonly isWired: boolean | undefined;
  /** It lets clients in. */
  readonly isServing: boolean;
  /** It is set up with the address, and nothing is known that keeps it from setting it. Undefined: it has not told yet. */
  readonly isAble: boolean | undefined;
  /** It leads, or led until a moment ago, but no quorum has answered it for so long that it has given the address up. */
  readonly isCutOff: boolean;
  /** Another cluster in its sight has the better claim: it stands aside for whoever sees none. */
  readonly isOutranked: boolean;
}

export interface View {
  readonly isLeaderHeard: boolean;
  readonly isElectionExpected: boolean;
  readonly isBest: boolean;
}

/** @param inReach `node` itself, and every node it has a way to */
export function viewOf(node: NodeId, status: CoordinatorStatus, inReach: readonly Candidate[]): View {
  const serving = inReach.filter(({ isServing }) => isServing);
  const able = serving.filter(({ isAble }) => isAble === true);
  const candidates = able.length > 0 ? able : serving;
  const entitled = candidates.filter(({ isOutranked }) => !isOutranked);
  return {
    isLeaderHeard: isLeaderHeard(status, inReach, candidates),
    isElectionExpected: isElectionExpected(node, status, inReach),
    // Who belongs to no cluster yet serves nobody.
    isBest: status.cluster !== undefined && best(entitled.length > 0 ? entitled : candidates)?.id === node,
  };
}

/**
 * A leader that says that it cannot set the address, or lets no clients in yet, where another one does, is none for this purpose; nor is one
 * that says that it has lost its quorum. It goes on sending heartbeats for an election timeout, and who hears them believes in it for one
 * more, in which it has stepped down.
 *
 * @param candidates the best of those in reach that there are: able, or serving, or none
 */
function isLeaderHeard(
  status: CoordinatorStatus,
  inReach: readonly Candidate[],
  candidates: readonly Candidate[],
): boolean {
  if (!isQuorate(status, inReach)) return false;
  const leader = leaderIn(inReach, status);
  const hasTold = leader?.isAble !== undefined;
  return !hasTold || candidates.length === 0 || candidates.includes(leader);
}

function isQuorate(status: CoordinatorStatus, inReach: readonly Candidate[]): boolean {
  return status.hasQuorum && leaderIn(inReach, status)?.isCutOff !== true;
}

function leaderIn(inReach: readonly Candidate[], { coordinator }: CoordinatorStatus): Candidate | undefined {
  return inReach.find(({ id }) => id === coordinator);
}

function isElectionExpected(node: NodeId, status: CoordinatorStatus, inReach: readonly Candidate[]): boolean {
  const { voters, electionWait } = status;
  if (isQuorate(status, inReach) || electionWait !== undefined) return false;
  const present = voters.filter((voter) => {
    return voter === node || inReach.some(({ id }) => id === voter);
  });
  return present.length * 2 > voters.length;
}

function best(candidates: readonly Candidate[]): Candidate | undefined {
  let first = candidates[0];
  for (const candidate of candidates)
    if (first !== undefined && isBefore(candidate, first)) first = candidate;
  return first;
}

function isBefore(a: Candidate, b: Candidate): boolean {
  const [isWired, isOtherWired] = [a.isWired === true, b.isWired === true];
  return isWired === isOtherWired ? a.id < b.id : isWired;
}
