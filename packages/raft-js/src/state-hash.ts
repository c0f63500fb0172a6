/**
 * Do all replicas still hold the same state?
 *
 * Each application hands in a hash of its state at the same log indexes, and followers report their newest one with the
 * answers to heartbeats. Where a quorum has the leader's hash, whoever has another one has gone wrong; where a quorum
 * has the same other one, the leader has. A server that has gone wrong isolates itself: it neither votes nor leads, so
 * that its state does not become everyone's with its next snapshot. Its log is as good as before and still counts. If its
 * application wants that (`replaceState`), it asks for the leader's state and goes on from there with its own log.
 *
 * Source: reference design, section 5.4, I9; TigerBeetle and CockroachDB compare replicas in production the same way.
 */

import { becomeFollower } from "./follower.ts";
import { voteResult } from "./quorum.ts";
import type { Server } from "./server.ts";
import type { ServerId, StateHash } from "./types.ts";

/** Leader: follower `from` has reported `reported`. */
export function onReportedHash(server: Server, from: ServerId, reported: StateHash): void {
  const { index } = reported;
  const progress = server.followers.get(from);
  const own = server.stateHashes.at(index);
  if (progress === undefined || own === undefined) return;
  progress.stateHash = reported;
  const agreed = agreedHash(server, index, own, reported.hash);
  if (agreed !== undefined && agreed !== own) isolate(server, index);
  else if (agreed !== undefined) tellWhoDiffers(server, { index, hash: agreed });
}

/** Follower: a quorum has another hash than this server reported. It believes only what it sees for itself. */
export function onStateDiverged(server: Server, stateHash: StateHash): void {
  const own = server.stateHashes.at(stateHash.index);
  if (own !== undefined && own !== stateHash.hash) isolate(server, stateHash.index);
}

/**
 * Which of these hashes a quorum has at `index`, if it has one. Only what was said about this very index counts: who
 * agreed before may agree with somebody else now.
 */
function agreedHash(server: Server, index: number, own: string, reported: string): string | undefined {
  const { configuration } = server.log;
  return [own, reported].find((hash) => {
    const votes = new Map([[server.id, own === hash]]);
    for (const [id, { stateHash }] of server.followers) {
      if (stateHash?.index === index) votes.set(id, stateHash.hash === hash);
    }
    return voteResult(configuration, votes) === "won";
  });
}

function tellWhoDiffers(server: Server, agreed: StateHash): void {
  const { index, hash } = agreed;
  for (const [id, progress] of server.followers) {
    if (progress.stateHash?.index !== index) continue;
    const differs = progress.stateHash.hash !== hash;
    if (differs) server.send(id, { kind: "stateDiverged", term: server.term, stateHash: agreed });
    if (differs && !progress.isDivergenceTold) server.tell({ kind: "diverged", server: id, index });
    progress.isDivergenceTold = differs;
  }
}

function isolate(server: Server, index: number): void {
  if (server.isDiverged) return;
  server.isDiverged = true;
  server.tell({ kind: "diverged", server: server.id, index });
  if (server.role !== "follower") becomeFollower(server, server.term, undefined);
}
