/**
 * Following: obeying a leader, answering votes, noticing that the leader is gone.
 *
 * Raft §5.2 (elections), §5.3 (AppendEntries); thesis 4.2.3 and 9.6 (PreVote with stickiness: a server that hears a
 * leader does not help to depose it). Candidates and leaders answer votes with the same code.
 */

import { assert } from "./assert.ts";
import { votersOf } from "./configuration.ts";
import type { RaftMessage } from "./messages.ts";
import type { Server } from "./server.ts";
import type { Entry, ServerId } from "./types.ts";

type Message<Kind extends RaftMessage["kind"]> = RaftMessage & { readonly kind: Kind };
type VoteRequest = Extract<RaftMessage, { readonly kind: "preVote" | "requestVote" }>;

/** Where a campaign has an election timeout in any case. */
const DOUBLINGS_MAX = 16;

/** Becomes a follower in `term`, of `leader` if it is known. */
export function becomeFollower(server: Server, term: number, leader: ServerId | undefined): void {
  if (term > server.term) server.setHardState(term, undefined);
  // A mere higher term does not restart a follower's clock: it would let a stale candidate hold up the others.
  if (server.role !== "follower") server.electionDeadline = server.now + electionTimeoutMs(server);
  server.role = "follower";
  server.leader = leader;
  server.votes.clear();
  server.followers.clear();
  server.transfer = undefined;
  server.refuseReads(server.reads.drop(server.id));
}

/**
 * How long to wait for a leader, in ms, in [electionMinMs, electionMaxMs).
 *
 * Raft §5.2 spreads timeouts at random. Here each voter gets a slot of its own by its rank among the voters that are
 * not the leader, rotated by term, and only a quarter of the slot's width is random: followers of the same leader do
 * not collide, and the first slot starts at `electionMinMs`.
 */
export function electionTimeoutMs(server: Server): number {
  const { electionMinMs, electionMaxMs } = server.options;
  const { slot, slots } = slotOf(server);
  return electionMinMs + inSlot(server, slot, (electionMaxMs - electionMinMs) / slots);
}

/**
 * How long a candidate waits to be elected before it tries again, in ms: an election whose votes are split is not won any more.
 *
 * That the leader is silent need not be established once more, and voters go by when they heard it themselves, so this may be short: two
 * heartbeat intervals, for which two disks must be fast enough, and a slot of the server's own. Each further campaign has twice
 * the time, until it is an election timeout: slow disks elect a leader too.
 */
export function campaignTimeoutMs(server: Server): number {
  const unit = server.options.heartbeatMs * 2 ** Math.min(server.campaigns - 1, DOUBLINGS_MAX);
  return Math.min(2 * unit + inSlot(server, slotOf(server).slot, unit), electionTimeoutMs(server));
}

/** Its rank among the voters that are not the leader, rotated by term. */
function slotOf({ id, leader, log, term }: Server): { readonly slot: number; readonly slots: number } {
  const rivals = [...votersOf(log.configuration)].filter((voter) => voter !== leader);
  const slots = Math.max(1, rivals.length);
  return { slot: (rivals.filter((voter) => voter < id).length + term) % slots, slots };
}

/** A time at the beginning of a slot, in ms. */
function inSlot({ options }: Server, slot: number, width: number): number {
  return Math.floor(slot * width) + options.randomBelow(Math.max(1, Math.floor(width / 4)));
}

/** Notes a valid message of the leader of the present term. Returns false if it cannot be one. */
export function hearLeader(server: Server, from: ServerId): boolean {
  // Two leaders of one term cannot be (Raft §5.2): a stranger under a known id, or a forged message.
  if (server.isLeader || (server.leader !== undefined && server.leader !== from)) return false;
  if (server.role !== "follower" || server.leader === undefined) becomeFollower(server, server.term, from);
  server.heardLeaderAt = server.now;
  server.campaigns = 0;
  server.electionDeadline = server.now + electionTimeoutMs(server);
  return true;
}

/**
 * True while this server must not help to depose a leader: it is one, it heard one less than an election timeout ago
 * (thesis 4.2.3), or it restarted less than that ago and may have heard one just before. A leader that hands over has
 * given its lease up before: it and those who heard it vote for its candidate (thesis 3.10), also if they have restarted since. Whoever
 * heard a later leader has that one's term on its disk, and the candidate's is too old for it.
 */
export function withholdsVotes(server: Server, { isTransfer }: VoteRequest): boolean {
  if (server.isLeader) return !isTransfer || server.transfer?.isSent !== true;
  const votesFrom = Math.max(server.votesFrom, server.heardLeaderAt + server.options.electionMinMs);
  return !isTransfer && server.now < votesFrom;
}

function mayVote(server: Server, request: VoteRequest): boolean {
  return !server.isDiverged && !server.isIncomplete && !withholdsVotes(server, request);
}

/**
 * Answers RequestVote (Raft §5.2, §5.4.1). The asker's configuration decides whether this server's vote counts: a
 * learner that has not yet seen its promotion votes like everyone else (thesis 4.2.1).
 */
export function onRequestVote(server: Server, from: ServerId, message: VoteRequest): void {
  const isFree = server.votedFor === undefined || server.votedFor === from;
  const isUpToDate = server.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  const granted = isFree && isUpToDate && server.leader === undefined && mayVote(server, message);
  const { term, isSuspect } = server;
  const reply: RaftMessage = { kind: "requestVoteReply", term, granted, isSuspect };
  if (!granted) {
    server.send(from, reply);
    return;
  }
  if (server.role === "preCandidate") becomeFollower(server, server.term, undefined);
  server.setHardState(server.term, from);
  server.electionDeadline = server.now + electionTimeoutMs(server);
  server.sendWhenSafe(from, reply);
}

/** Answers PreVote (thesis 9.6): promises nothing, changes nothing. */
export function onPreVote(server: Server, from: ServerId, message: VoteRequest): void {
  const couldVote =
    message.term > server.term ||
    (message.term === server.term && (server.votedFor === undefined || server.votedFor === from));
  const isUpToDate = server.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  const granted = couldVote && isUpToDate && mayVote(server, message);
  const term = granted ? message.term : server.term;
  server.send(from, { kind: "preVoteReply", term, granted, isSuspect: server.isSuspect });
}

/** Raft §5.3: AppendEntries of the present term's leader. */
export function onAppendEntries(server: Server, from: ServerId, message: Message<"appendEntries">): void {
  const { log, term } = server;
  const { prevLogIndex, prevLogTerm, entries } = message;
  const contradictedAt = log.contradictedAt(prevLogIndex, prevLogTerm, entries);
  if (contradictedAt !== undefined) {
    onContradiction(server, from, contradictedAt);
    return;
  }
  const { commitIndex } = log;
  // Below the commit index the logs agree (Raft §5.4.3), also where this one has only a snapshot.
  if (prevLogIndex >= commitIndex && log.termAt(prevLogIndex) !== prevLogTerm) {
    refuse(server, from, prevLogIndex, prevLogTerm);
    return;
  }
  const overwrittenFrom = log.merge(entries.slice(Math.max(0, commitIndex - prevLogIndex)));
  if (overwrittenFrom !== undefined) server.writes.overwritten(overwrittenFrom);
  // Whatever was here once, the leader's log is what the cluster has.
  server.isIncomplete = false;
  const matchIndex = prevLogIndex + entries.length;
  server.commitTo(Math.min(message.leaderCommit, matchIndex));
  server.sendWhenSafe(from, appendReply(term, true, matchIndex, 0, 0));
}

/** A heartbeat: proves that the leader lives, and carries the commit index as far as this server is known to match. */
export function onHeartbeat(server: Server, from: ServerId, message: Message<"heartbeat">): void {
  const { log } = server;
  const { sentAt, round, matchIndex, matchTerm } = message;
  const stateHash = server.stateHashes.latest;
  const nonce = server.isSuspect ? server.nonce : 0;
  server.send(from, { kind: "heartbeatReply", term: server.term, sentAt, round, nonce, stateHash });
  // Again and again, also while it comes: another leader may be there by now.
  if (server.stateWantedFrom !== undefined)
    server.send(from, { kind: "snapshotRequest", term: server.term, minIndex: server.stateWantedFrom });
  if (matchIndex > log.commitIndex && log.termAt(matchIndex) !== matchTerm) {
    // This server once acknowledged what it has not: its disk lost a part. The leader must know, or it never resends.
    refuse(server, from, matchIndex, matchTerm);
    return;
  }
  server.commitTo(message.commit);
  if (server.isSuspect && message.nonce === server.nonce) {
    server.suspectTarget ??= message.lastIndex;
    clearSuspicion(server);
  }
}

/**
 * The leader's log is not this server's where this server has committed. Among voters that keep what they acknowledge it
 * cannot be (Raft §5.4.3), but a cluster that has lost a part of its log (the damaged disk of a sole voter) goes on without
 * it, and then a server that still has it must follow: the leader's log is the cluster's. It starts over from a snapshot.
 */
function onContradiction(server: Server, leader: ServerId, index: number): void {
  if (!server.isContradicted) server.tell({ kind: "contradicted", leader, index });
  server.contradictedTerm = server.term;
  server.send(leader, { kind: "snapshotRequest", term: server.term, minIndex: 0 });
}

/**
 * Ends the suspicion if this server has caught up. It has lost entries that it may have acknowledged: they may be
 * committed, or the acknowledgement may still be under way and be counted later. It has them all back when its disk holds
 * everything that a leader of its term had at one moment after its start: what was committed before that leader's election
 * is in the leader's log (Raft §5.4.3), and so is what this server acknowledged to it. A nonce tells that moment from
 * earlier ones, whatever the network does (Liskov and Cowling, Viewstamped Replication Revisited, 2012, section 4.3).
 */
export function clearSuspicion(server: Server): void {
  const { log, writes, suspectTarget: target } = server;
  if (!server.isSuspect || target === undefined || writes.persistedIndex < target) return;
  // Compacted here means committed here, by this leader's word.
  const isLeaders = (log.termAt(target) ?? server.term) === server.term;
  if (!isLeaders || server.isContradicted) return;
  server.isSuspect = false;
  server.electionDeadline = server.now + electionTimeoutMs(server);
}

/**
 * Entries that stood behind the end of this log have been found again. Like those that come from a leader they are written
 * before anything is promised; nobody is told, because nobody leads.
 */
export function recover(server: Server, entries: readonly Entry[], isComplete: boolean): void {
  if (!server.isIncomplete) return;
  const { log } = server;
  for (const { term } of entries) {
    assert(term >= log.lastTerm, "terms only rise:", log.lastTerm, term);
    if (term > server.term) server.setHardState(term, undefined);
  }
  log.append(entries);
  if (!isComplete) return;
  server.isIncomplete = false;
  server.electionDeadline = server.now + electionTimeoutMs(server);
}

/** This log has not the entry (`index`, `term`) that the leader builds on. */
function refuse(server: Server, leader: ServerId, index: number, term: number): void {
  const { log } = server;
  // No entry above the hint can agree; everything committed does. The leader skips the rest in one step (Raft §5.3).
  const agreed = Math.max(log.lastIndexNotAbove(index, term), log.commitIndex);
  server.send(leader, appendReply(server.term, false, index, agreed, log.termAt(agreed) ?? 0));
}

function appendReply(
  term: number,
  success: boolean,
  matchIndex: number,
  hintIndex: number,
  hintTerm: number,
): RaftMessage {
  return { kind: "appendEntriesReply", term, success, matchIndex, hintIndex, hintTerm };
}
