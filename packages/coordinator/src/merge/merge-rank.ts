/**
 * Which of two clusters takes the other one in, and whether they may do so without being asked.
 *
 * Rank: more voters, then whoever has data, then the longer log, then the higher id. Both sides compute it from the same two
 * summaries; a cluster only offers what it computes with its own newest numbers, and only accepts what it computes itself, so
 * that numbers which change meanwhile make both wait instead of both giving up.
 *
 * Automatic when one side is a single node or younger than ten minutes, as its own log counts them: then it
 * is a newcomer of this house. Two grown meshes may be neighbours with the same key by mistake: that is a human's decision.
 *
 * Source: reference design, section 1.4.
 */

import type { ClusterId } from "@skein/kernel";
import { RETAINED_BYTES_MAX, RETAINED_TOPICS_MAX } from "../state-machine/retained-state.ts";
import type { Summary } from "./merge-messages.ts";

export interface Ranked {
  readonly cluster: ClusterId;
  readonly summary: Summary;
}

/** Whether `a` takes `b` in, and not the other way round. */
export function isHigher(a: Ranked, b: Ranked): boolean {
  const differences = [
    a.summary.voters - b.summary.voters,
    Number(a.summary.retainedCount > 0) - Number(b.summary.retainedCount > 0),
    a.summary.commitIndex - b.summary.commitIndex,
  ];
  const decisive = differences.find((difference) => difference !== 0);
  return decisive === undefined ? a.cluster > b.cluster : decisive > 0;
}

/** Nobody needs to be asked, or somebody has agreed. */
export function mayMerge(a: Summary, b: Summary, newbornMinutes: number): boolean {
  const isNewcomer = ({ nodes, ageMinutes }: Summary): boolean => nodes === 1 || ageMinutes < newbornMinutes;
  return isNewcomer(a) || isNewcomer(b) || a.isApproved || b.isApproved;
}

/** Why the two cannot merge, whoever agrees: what both have must fit into one store, and be understood. */
export function obstacle(winner: Summary, loser: Summary): "tooMuch" | "tooNew" | undefined {
  if (winner.exportFormat < loser.exportFormat) return "tooNew";
  const isTooMuch =
    winner.retainedCount + loser.retainedCount > RETAINED_TOPICS_MAX ||
    winner.retainedBytes + loser.retainedBytes > RETAINED_BYTES_MAX;
  return isTooMuch ? "tooMuch" : undefined;
}
