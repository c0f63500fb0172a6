/**
 * Leading: appending, replicating, committing, and giving up when the quorum is gone.
 *
 * Raft §5.3 and §5.4.2 (only entries of the own term are committed by counting), §6 (joint consensus), §8 (a no-op at
 * the start of a term); thesis 6.2 and etcd's CheckQuorum (a leader without a quorum steps down), 10.2.1 (pipelining,
 * and writing its own disk while the followers write theirs).
 */

import { assert } from "./assert.ts";
import { encodeConfiguration, firstStep, isJoint, leaveJoint, serversOf } from "./configuration.ts";
import { becomeFollower } from "./follower.ts";
import { hasCommittedInTerm, heartbeatDueAt, sendHeartbeats } from "./heartbeats.ts";
import { leaseUntil, yieldsToOne } from "./lease.ts";
import { entryBytes } from "./log.ts";
import type { RaftMessage } from "./messages.ts";
import { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import { beginReads, confirmReads } from "./read-index.ts";
import type { Server } from "./server.ts";
import { noteLostChunks, sendChunk } from "./snapshot-sending.ts";
import { onReportedHash } from "./state-hash.ts";
import { continueTransfer, endLateTransfer } from "./transfer.ts";
import type { Configuration, Entry, EntryKind, ServerId } from "./types.ts";

const INFLIGHT_BYTES_MAX = 4 * 1024 * 1024;

type Message<Kind extends RaftMessage["kind"]> = RaftMessage & { readonly kind: Kind };

/** A quorum has voted for this server. */
export function becomeLeader(server: Server): void {
  assert(server.role === "candidate", "only a candidate can become leader:", server.role);
  server.role = "leader";
  server.campaigns = 0;
  server.leader = server.id;
  server.votes.clear();
  server.heartbeatRound = 0;
  server.leaseOverAt = Number.NEGATIVE_INFINITY;
  followConfiguration(server, server.log.lastIndex + 1);
  // Raft §8, thesis 6.4: only an entry of its own term lets a leader commit those of earlier ones.
  append(server, "empty", [new Uint8Array(0)]);
  sendHeartbeats(server);
}

/** Appends the application's commands, or refuses them all. */
export function propose(server: Server, commands: readonly Uint8Array[]): void {
  const { log, options } = server;
  if (commands.length === 0) return;
  if (!server.isLeader) {
    server.refuse("commands", "notLeader");
    return;
  }
  if (server.transfer !== undefined) {
    server.refuse("commands", "transferring");
    return;
  }
  const bytes = commands.reduce((sum, data) => sum + entryBytes({ data }), 0);
  if (log.uncommittedBytes > 0 && log.uncommittedBytes + bytes > options.uncommittedBytesMax) {
    server.refuse("commands", "tooMuchUncommitted");
    return;
  }
  append(server, "command", commands);
}

/** Begins a change to `target` (paper section 6), or refuses it. */
export function changeConfiguration(
  server: Server,
  target: { readonly voters: readonly ServerId[]; readonly learners: readonly ServerId[] },
): void {
  const { log } = server;
  if (!server.isLeader) {
    server.refuse("configuration", "notLeader");
    return;
  }
  if (server.transfer !== undefined) {
    server.refuse("configuration", "transferring");
    return;
  }
  // Ongaro, raft-dev 2015: none before an entry of the own term is committed, and one at a time.
  const isSettled = hasCommittedInTerm(server) && log.configurationIndex <= log.commitIndex;
  if (!isSettled || isJoint(log.configuration)) {
    server.refuse("configuration", "changePending");
    return;
  }
  const next = firstStep(log.configuration, target);
  if (next !== undefined) appendConfiguration(server, next);
}

/** The leader's own writes reached the disk: its own vote for them counts now (thesis 10.2.1). */
export function onOwnPersisted(server: Server): void {
  advanceCommit(server);
}

export function onAppendReply(server: Server, from: ServerId, reply: Message<"appendEntriesReply">): void {
  const { log } = server;
  const progress = server.followers.get(from);
  if (progress === undefined) return;
  progress.lastHeardAt = server.now;
  if (!reply.success) {
    const agreed = log.lastIndexNotAbove(reply.hintIndex, reply.hintTerm);
    if (progress.refused(reply.matchIndex, agreed)) replicateTo(server, from, progress, true);
    return;
  }
  // More than was ever sent: not a follower of this log.
  if (reply.matchIndex > log.lastIndex) return;
  // It has come so far without the snapshot after all. One whose state is wrong still needs it.
  const isNeeded = progress.snapshotMinIndex > 0 || !log.holdsFrom(reply.matchIndex + 1);
  if (progress.state === "snapshot" && !isNeeded) progress.probe(reply.matchIndex + 1);
  if (progress.acknowledged(reply.matchIndex)) advanceCommit(server);
  // It may have stepped down: nobody is followed then.
  if (server.followers.has(from)) replicateTo(server, from, progress, false);
  continueTransfer(server);
}

export function onHeartbeatReply(server: Server, from: ServerId, reply: Message<"heartbeatReply">): void {
  const { sentAt, round, nonce, stateHash } = reply;
  const progress = server.followers.get(from);
  // A heartbeat from the future or from before this server led was not answered, it was made up.
  if (progress === undefined || sentAt > server.now || sentAt < progress.since) return;
  if (round > server.heartbeatRound) return;
  progress.lastHeardAt = server.now;
  progress.nonce = nonce;
  progress.ackedSentAt = Math.max(progress.ackedSentAt, sentAt);
  progress.ackedRound = Math.max(progress.ackedRound, round);
  progress.freeOne();
  // What is not acknowledged by now may be lost: an AppendEntries at the end of what was sent will tell.
  const isBehind = progress.matchIndex < server.log.lastIndex;
  if (isBehind) replicateTo(server, from, progress, true);
  confirmReads(server);
  if (stateHash !== undefined) onReportedHash(server, from, stateHash);
}

export function onInstallSnapshotReply(server: Server, from: ServerId, matchIndex: number): void {
  const progress = server.followers.get(from);
  if (progress === undefined || matchIndex > server.log.lastIndex) return;
  progress.lastHeardAt = server.now;
  if (progress.state === "snapshot") progress.probe(matchIndex + 1);
  if (progress.acknowledged(matchIndex)) advanceCommit(server);
  if (server.followers.has(from)) replicateTo(server, from, progress, false);
  continueTransfer(server);
}

/**
 * The follower has committed something else than this log says, and starts over; or its state alone is wrong, and its log
 * counts as before.
 */
export function onSnapshotRequest(server: Server, from: ServerId, minIndex: number): void {
  const progress = server.followers.get(from);
  if (progress === undefined || progress.state === "snapshot") return;
  progress.lastHeardAt = server.now;
  // Not committed here yet, and its entries may be needed for that. It asks again.
  if (minIndex > server.log.commitIndex) return;
  if (minIndex === 0) progress.startOver();
  else progress.awaitSnapshot(minIndex);
  sendChunk(server, from, progress);
}

/** `wakeAt` has come. */
export function onLeaderWake(server: Server): void {
  const { electionMaxMs } = server.options;
  if (server.now >= quorumHeardAt(server) + electionMaxMs) {
    // CheckQuorum: others may have elected someone else already.
    becomeFollower(server, server.term, undefined);
    return;
  }
  endLateTransfer(server);
  if (server.isLeader) settleConfiguration(server);
  if (!server.isLeader || server.now < heartbeatDueAt(server)) return;
  noteLostChunks(server);
  sendHeartbeats(server);
  confirmReads(server);
}

/** When the leader wants to wake, in ms. */
export function leaderWakeAt(server: Server): number {
  const { transfer, options, leaseOverAt, now } = server;
  const giveUpAt = quorumHeardAt(server) + options.electionMaxMs;
  const deadline = transfer?.deadline ?? Number.POSITIVE_INFINITY;
  const leaveAt = leaseOverAt > now ? leaseOverAt : Number.POSITIVE_INFINITY;
  return Math.min(heartbeatDueAt(server), giveUpAt, deadline, leaveAt);
}

function quorumHeardAt(server: Server): number {
  return quorumValue(server.log.configuration, (voter) =>
    voter === server.id ? server.now : (server.followers.get(voter)?.aliveAt ?? Number.NEGATIVE_INFINITY),
  );
}

function append(server: Server, kind: EntryKind, batch: readonly Uint8Array[]): void {
  const { log, term } = server;
  const first = log.lastIndex + 1;
  const entries: Entry[] = batch.map((data, i) => ({ index: first + i, term, kind, data }));
  log.append(entries);
  if (kind === "configuration") followConfiguration(server, first);
  for (const [to, progress] of server.followers) replicateTo(server, to, progress, false);
}

function appendConfiguration(server: Server, configuration: Configuration): void {
  const lease = leaseUntil(server, server.now);
  append(server, "configuration", [encodeConfiguration(configuration)]);
  // There is none from now on, but what was promised stays promised.
  if (lease !== undefined && yieldsToOne(server)) server.leaseOverAt = lease;
}

/**
 * Follows exactly the others of the newest configuration. Newcomers begin at `nextIndex`, an entry that is about to be
 * sent anyway: their refusal tells what they have.
 */
function followConfiguration(server: Server, nextIndex: number): void {
  const { followers, log, options } = server;
  const servers = serversOf(log.configuration);
  for (const id of followers.keys()) {
    if (!servers.has(id)) followers.delete(id);
  }
  for (const id of servers) {
    if (id === server.id || followers.has(id)) continue;
    const { inflightMax, inflightBytesMax = INFLIGHT_BYTES_MAX } = options;
    followers.set(id, new Progress(nextIndex, server.now, inflightMax, inflightBytesMax));
  }
}

/** Sends `to` what it lacks, as much as its window allows; `evenEmpty`: at least one AppendEntries if it allows one. */
function replicateTo(server: Server, to: ServerId, progress: Progress, evenEmpty: boolean): void {
  const { log } = server;
  let sent = 0;
  while (progress.mayAppend && (progress.nextIndex <= log.lastIndex || (evenEmpty && sent === 0))) {
    if (!log.holdsFrom(progress.nextIndex)) {
      // Only for a follower that answers: a dead one needs no snapshot, and asking again costs nothing.
      if (server.now - (progress.lastHeardAt ?? Number.NEGATIVE_INFINITY) > server.options.electionMaxMs)
        return;
      progress.awaitSnapshot(0);
      sendChunk(server, to, progress);
      return;
    }
    sendAppend(server, to, progress);
    sent++;
  }
}

function sendAppend(server: Server, to: ServerId, progress: Progress): void {
  const { log, term } = server;
  const prevLogIndex = progress.nextIndex - 1;
  const prevLogTerm = log.termAt(prevLogIndex);
  assert(prevLogTerm !== undefined, "no term for", prevLogIndex);
  const entries = log.entriesFrom(progress.nextIndex, server.options.appendBytesMax);
  const leaderCommit = log.commitIndex;
  server.send(to, { kind: "appendEntries", term, prevLogIndex, prevLogTerm, entries, leaderCommit });
  progress.sentCommit = leaderCommit;
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  progress.sent(prevLogIndex + entries.length, bytes);
}

/** Raft §5.3, §5.4.2: commits what a quorum has on disk, if it is of this term, and tells the followers. */
function advanceCommit(server: Server): void {
  const { log, followers } = server;
  const index = quorumValue(log.configuration, (voter) =>
    voter === server.id ? server.writes.persistedIndex : (followers.get(voter)?.matchIndex ?? 0),
  );
  // Figure 8: an entry of an earlier term may still be overwritten although a majority has it.
  if (index <= log.commitIndex || log.termAt(index) !== server.term) return;
  log.commitTo(index);
  // Elected by all: what is committed now is what the cluster has.
  server.isSuspect = false;
  for (const [to, progress] of followers) {
    if (progress.state === "replicate" && progress.sentCommit < index)
      replicateTo(server, to, progress, true);
  }
  settleConfiguration(server);
  if (server.isLeader) beginReads(server);
}

/**
 * Raft §6: leaves a committed joint configuration; steps down when a committed one has no vote for this server. The joint
 * one stays until the lease is over that the change has taken: in it nobody leads at once after a restart (lease.ts).
 */
function settleConfiguration(server: Server): void {
  const { configuration, configurationIndex, commitIndex } = server.log;
  if (configurationIndex > commitIndex || !hasCommittedInTerm(server)) return;
  if (!isJoint(configuration)) {
    if (!configuration.voters.includes(server.id)) becomeFollower(server, server.term, undefined);
  } else if (server.now >= server.leaseOverAt) {
    server.leaseOverAt = Number.NEGATIVE_INFINITY;
    appendConfiguration(server, leaveJoint(configuration));
  }
}
