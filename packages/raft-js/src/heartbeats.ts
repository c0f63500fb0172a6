/**
 * Rounds of heartbeats: each shows that the leader lives, and the number of the round lets a read wait for a quorum's
 * answer to a question that was asked after it (thesis 6.4). Clocks would not do: two events can share an instant.
 */

import { votersOf } from "./configuration.ts";
import type { Progress } from "./progress.ts";
import { quorumValue } from "./quorum.ts";
import type { Server } from "./server.ts";
import type { ServerId } from "./types.ts";

/**
 * A learner gets one in so many intervals. No quorum waits for its answer, and commits reach it at once: it needs only to
 * know that there is a leader, and to be asked for what it lacks. In a mesh of twenty that is half of a leader's work.
 */
const LEARNER_INTERVALS = 4;

/**
 * With so many followers heartbeats are most of what an idle leader does. Then learners get one in {@link LEARNER_INTERVALS_OF_MANY}
 * intervals, and a round that a quorum has answered is followed by the next one after two intervals. One that is not answered
 * is followed after one, so a leader that is being cut off notices it as soon as one of few does.
 */
const MANY_FOLLOWERS = 8;
const LEARNER_INTERVALS_OF_MANY = 6;

/**
 * When the next round is due, in ms: at a whole multiple of the interval, so that an embedder that does its other work at such moments, too,
 * wakes up once for both; but not sooner than half an interval after the last one.
 */
export function heartbeatDueAt(server: Server): number {
  const { heartbeatAt, options } = server;
  const { heartbeatMs } = options;
  const intervals = hasMany(server) && isAnswered(server) ? 2 : 1;
  const multiple = heartbeatAt - (heartbeatAt % heartbeatMs) + intervals * heartbeatMs;
  return Math.max(multiple, heartbeatAt + heartbeatMs / 2);
}

/** Sends one to every voter, to the learners whose turn it is, and begins the next interval. */
export function sendHeartbeats(server: Server): void {
  const { log, now } = server;
  server.heartbeatAt = now;
  const round = ++server.heartbeatRound;
  const voters = votersOf(log.configuration);
  const learnerIntervals = hasMany(server) ? LEARNER_INTERVALS_OF_MANY : LEARNER_INTERVALS;
  const learnersSince = now - (learnerIntervals - 0.5) * server.options.heartbeatMs;
  if (hasCommittedInTerm(server)) server.reads.begin(round, log.commitIndex);
  for (const [to, progress] of server.followers) {
    if (progress.heartbeatAt > learnersSince && !voters.includes(to)) continue;
    sendHeartbeat(server, to, progress);
  }
}

/** `to` has missed some, perhaps: it gets one of the newest round. */
export function greet(server: Server, to: ServerId): void {
  const progress = server.isLeader ? server.followers.get(to) : undefined;
  if (progress !== undefined) sendHeartbeat(server, to, progress);
}

function sendHeartbeat(server: Server, to: ServerId, progress: Progress): void {
  const { log, term, now, heartbeatRound: round } = server;
  progress.heartbeatAt = now;
  // Where the term is compacted away, only a snapshot helps the follower.
  const matchTerm = log.termAt(progress.matchIndex) ?? 0;
  const matchIndex = matchTerm === 0 ? 0 : progress.matchIndex;
  const commit = Math.min(matchIndex, log.commitIndex);
  const { nonce } = progress;
  const known = { commit, matchIndex, matchTerm, lastIndex: log.lastIndex, nonce };
  server.send(to, { kind: "heartbeat", term, ...known, sentAt: now, round });
}

/** Before that a leader may not know all that is committed (paper section 8). */
export function hasCommittedInTerm({ log, term }: Server): boolean {
  return log.termAt(log.commitIndex) === term;
}

function hasMany({ followers }: Server): boolean {
  return followers.size >= MANY_FOLLOWERS;
}

/** A quorum has answered the newest round. */
function isAnswered({ id, log, followers, heartbeatRound }: Server): boolean {
  const round = quorumValue(log.configuration, (voter) =>
    voter === id ? heartbeatRound : (followers.get(voter)?.ackedRound ?? 0),
  );
  return round === heartbeatRound;
}
