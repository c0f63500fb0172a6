/**
 * Handing leadership over on purpose (thesis 3.10), so that an orderly stop costs a round trip and not an election.
 *
 * The target is told to campaign at once (TimeoutNow), and the others vote for it although they have just heard the
 * leader. That breaks what a lease rests on, hence the order: the leader takes no more proposals and has no lease from the
 * first moment; the driver releases what the lease protected and says so; the target's log is brought up to date; then
 * only TimeoutNow goes out. After that the lease does not come back: if nothing comes of it, the leader steps down.
 */

import { becomeFollower } from "./follower.ts";
import type { Server } from "./server.ts";
import type { ServerId } from "./types.ts";

/** A transfer under way. */
export interface Transfer {
  /** Counts the transfers since this server started. */
  readonly number: number;
  readonly to: ServerId;
  /** When to give up, in ms. */
  readonly deadline: number;
  /** The driver holds nothing any more that the lease protected. */
  isReleased: boolean;
  /** TimeoutNow is out. */
  isSent: boolean;
}

export function transferLeadership(server: Server, to: ServerId | undefined): void {
  if (!server.isLeader) {
    server.refuse("transfer", "notLeader");
    return;
  }
  if (server.transfer !== undefined) {
    server.refuse("transfer", "transferring");
    return;
  }
  const target = to === undefined ? bestTarget(server) : isTarget(server, to) ? to : undefined;
  if (target === undefined) {
    server.refuse("transfer", "noTarget");
    return;
  }
  const deadline = server.now + server.options.electionMinMs;
  const number = ++server.transferCount;
  server.transfer = { number, to: target, deadline, isReleased: false, isSent: false };
  server.tell({ kind: "leaseGivenUp", transfer: number });
}

/** The driver has released what the lease protected; `number` says for which transfer. */
export function onLeaseReleased(server: Server, number: number | undefined): void {
  const { transfer } = server;
  if (transfer === undefined || (number ?? transfer.number) !== transfer.number) return;
  transfer.isReleased = true;
  continueTransfer(server);
}

/** Sends TimeoutNow once everything is ready for it. Call when the target has acknowledged something. */
export function continueTransfer(server: Server): void {
  const { transfer, log, term } = server;
  if (transfer === undefined || !transfer.isReleased || transfer.isSent) return;
  if (server.followers.get(transfer.to)?.matchIndex !== log.lastIndex) return;
  transfer.isSent = true;
  server.send(transfer.to, { kind: "timeoutNow", term });
}

/** Ends a transfer that has taken too long. */
export function endLateTransfer(server: Server): void {
  const { transfer } = server;
  if (transfer === undefined || server.now < transfer.deadline) return;
  if (transfer.isSent) becomeFollower(server, server.term, undefined);
  else server.transfer = undefined;
}

/** The voter with most of the log among those heard lately; the lowest id among equals. */
function bestTarget(server: Server): ServerId | undefined {
  let best: ServerId | undefined;
  let bestMatch = -1;
  for (const id of server.log.configuration.voters.toSorted()) {
    const matchIndex = server.followers.get(id)?.matchIndex ?? -1;
    if (!isTarget(server, id) || matchIndex <= bestMatch) continue;
    best = id;
    bestMatch = matchIndex;
  }
  return best;
}

/** A voter that was heard lately and lacks nothing that it once acknowledged: one that may would not campaign. */
function isTarget(server: Server, id: ServerId): boolean {
  const progress = server.followers.get(id);
  if (id === server.id || progress?.lastHeardAt === undefined || progress.nonce !== 0) return false;
  const silenceMs = server.now - progress.lastHeardAt;
  return server.log.configuration.voters.includes(id) && silenceMs < server.options.electionMinMs;
}
