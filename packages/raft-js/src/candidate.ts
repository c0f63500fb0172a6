/**
 * Campaigning: first asking whether one could win (PreVote, thesis 9.6), then asking for votes (Raft §5.2).
 *
 * A pre-candidate changes nothing, so it may ask again: voters that did not grant are asked once more after a
 * heartbeat interval, then after twice that, and so on. A voter that heard the dead leader a little later than this
 * server refuses at first and grants then, and a lost message costs one interval instead of an election timeout.
 *
 * A server that may have lost acknowledged entries campaigns like everyone else, but wins only if every voter grants
 * (quorum.ts). A server that its leader told to campaign (thesis 3.10) does so at once.
 */

import { isVoter, votersOf } from "./configuration.ts";
import { becomeFollower, campaignTimeoutMs, electionTimeoutMs } from "./follower.ts";
import { becomeLeader } from "./leader.ts";
import type { RaftMessage } from "./messages.ts";
import { electionResult, type Vote } from "./quorum.ts";
import type { Server } from "./server.ts";
import type { ServerId } from "./types.ts";

type VoteReply = Extract<RaftMessage, { readonly kind: "preVoteReply" | "requestVoteReply" }>;

/** May this server campaign? */
export function mayCampaign(server: Server): boolean {
  // Thesis 4.2.2: a server that its newest configuration removed may still be needed until that one is committed.
  const { log, id, isDiverged, isIncomplete } = server;
  return (
    !isDiverged &&
    !isIncomplete &&
    log.configuration.voters.length > 0 &&
    log.configurations.votesSince(log.commitIndex, id)
  );
}

/** The election timeout has passed: asks for pre-votes in the next term. */
export function startPreVote(server: Server): void {
  server.awaited = server.role === "follower" ? [] : votersMissing(server);
  server.role = "preCandidate";
  server.isTransferCandidate = false;
  server.leader = undefined;
  beginRound(server);
  server.votes.set(server.id, ownVote(server));
  if (electionResult(server.log.configuration, server.votes) === "won") startElection(server);
  else ask(server);
}

/** The leader hands over to this server (thesis 3.10): no pre-vote, because the others would rightly refuse it. */
export function onTimeoutNow(server: Server): void {
  if (!mayCampaign(server) || server.isSuspect) return;
  server.isTransferCandidate = true;
  startElection(server);
}

/** A quorum would vote for this server: a new term, and its own vote first. */
function startElection(server: Server): void {
  server.role = "candidate";
  server.leader = undefined;
  server.setHardState(server.term + 1, server.id);
  server.campaigns++;
  beginRound(server);
  server.electionDeadline = server.now + campaignTimeoutMs(server);
  // Its own vote counts once it is safe (ownVotePersisted); the requests leave then, too (paper figure 2).
  ask(server);
}

/** This candidate's own vote is safe. */
export function ownVotePersisted(server: Server): void {
  server.votes.set(server.id, ownVote(server));
  if (electionResult(server.log.configuration, server.votes) === "won") becomeLeader(server);
}

/** `askAt` has come: asks again those who have not answered, or not granted a pre-vote. */
export function askAgain(server: Server): void {
  server.askIntervalMs = Math.min(server.askIntervalMs * 2, server.options.electionMinMs);
  server.askAt = server.now + server.askIntervalMs;
  ask(server);
}

export function onPreVoteReply(server: Server, from: ServerId, reply: VoteReply): void {
  // A refusal is not counted: it may be a grant a moment later. One of a higher term has made this a follower before.
  if (server.role !== "preCandidate" || !reply.granted || reply.term !== server.term + 1) return;
  if (!isVoter(server.log.configuration, from)) return;
  server.votes.set(from, reply.isSuspect ? "ifAll" : "granted");
  if (electionResult(server.log.configuration, server.votes) === "won") startElection(server);
}

export function onRequestVoteReply(server: Server, from: ServerId, reply: VoteReply): void {
  if (server.role !== "candidate" || !isVoter(server.log.configuration, from)) return;
  const vote = !reply.granted ? "refused" : reply.isSuspect ? "ifAll" : "granted";
  // Messages are reordered: a grant is never taken back.
  if (vote !== "refused" || !server.votes.has(from)) server.votes.set(from, vote);
  const result = electionResult(server.log.configuration, server.votes);
  if (result === "won") becomeLeader(server);
  if (result === "lost") concede(server);
}

/** It cannot win any more, but nobody else may have won: it tries again when it would have. */
function concede(server: Server): void {
  const { electionDeadline } = server;
  becomeFollower(server, server.term, undefined);
  server.electionDeadline = electionDeadline;
}

/** Who did not grant in the round that ends, where grants of suspect servers count only together with all others. */
function votersMissing({ votes, log }: Server): ServerId[] {
  if (![...votes.values()].includes("ifAll")) return [];
  const hasGranted = (voter: ServerId): boolean => (votes.get(voter) ?? "refused") !== "refused";
  return [...votersOf(log.configuration)].filter((voter) => !hasGranted(voter)).sort();
}

/** Trusted as little as the server itself. */
function ownVote({ isSuspect }: Server): Vote {
  return isSuspect ? "ifAll" : "granted";
}

function beginRound(server: Server): void {
  server.votes.clear();
  server.electionDeadline = server.now + electionTimeoutMs(server);
  server.askIntervalMs = server.options.heartbeatMs;
  server.askAt = server.now + server.askIntervalMs;
}

function ask(server: Server): void {
  const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = server.log;
  const isPreVote = server.role === "preCandidate";
  const message: RaftMessage = isPreVote
    ? { kind: "preVote", term: server.term + 1, lastLogIndex, lastLogTerm, isTransfer: false }
    : {
        kind: "requestVote",
        term: server.term,
        lastLogIndex,
        lastLogTerm,
        isTransfer: server.isTransferCandidate,
      };
  for (const voter of votersOf(server.log.configuration)) {
    if (voter === server.id || server.votes.has(voter)) continue;
    if (isPreVote) server.send(voter, message);
    else server.sendWhenSafe(voter, message);
  }
}
