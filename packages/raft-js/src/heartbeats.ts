/**
 * Rounds of heartbeats: each shows that the leader lives, and the number of the round lets a read wait for a quorum's
 * answer to a question that was asked after it (thesis 6.4). Clocks would not do: two events can share an instant.
 */

import { votersOf } from "./configuration.ts";
import type { Server } from "./server.ts";

/**
 * A learner gets one in so many intervals. No quorum waits for its answer, and commits reach it at once: it needs only to
 * know that there is a leader, and to be asked for what it lacks. In a mesh of twenty that is half of a leader's work.
 */
const LEARNER_INTERVALS = 4;

/** Sends one to every voter, to the learners whose turn it is, and begins the next interval. */
export function sendHeartbeats(server: Server): void {
  const { log, term, now } = server;
  server.nextHeartbeatAt = now + server.options.heartbeatMs;
  const round = ++server.heartbeatRound;
  const voters = votersOf(log.configuration);
  const learnersSince = now - (LEARNER_INTERVALS - 0.5) * server.options.heartbeatMs;
  if (hasCommittedInTerm(server)) server.reads.begin(round, log.commitIndex);
  for (const [to, progress] of server.followers) {
    if (progress.heartbeatAt > learnersSince && !voters.includes(to)) continue;
    progress.heartbeatAt = now;
    // Where the term is compacted away, only a snapshot helps the follower.
    const matchTerm = log.termAt(progress.matchIndex) ?? 0;
    const matchIndex = matchTerm === 0 ? 0 : progress.matchIndex;
    const commit = Math.min(matchIndex, log.commitIndex);
    const { nonce } = progress;
    const known = { commit, matchIndex, matchTerm, lastIndex: log.lastIndex, nonce };
    server.send(to, { kind: "heartbeat", term, ...known, sentAt: now, round });
  }
}

/** Before that a leader may not know all that is committed (paper section 8). */
export function hasCommittedInTerm({ log, term }: Server): boolean {
  return log.termAt(log.commitIndex) === term;
}
