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

import { votersOf } from "./configuration.ts";
import { becomeFollower } from "./follower.ts";
import { voteResult } from "./quorum.ts";
import type { Server } from "./server.ts";
import type { ServerId, StateHash } from "./types.ts";

/** Leader: follower `from` has reported `reported`. */
export function onReportedHash(server: Server, from: ServerId, reported: StateHash): void {
  const progress = server.followers.get(from);
  const own = server.stateHashes.at(reported.index);
  if (progress === undefined || own === undefined) return;
  progress.stateHash = reported;
  progress.agreesOnState = own === reported.hash;
  if (progress.agreesOnState) {
    progress.isDivergenceTold = false;
    return;
  }
  const { configuration } = server.log;
  const votes = new Map<ServerId, boolean>();
  for (const voter of votersOf(configuration)) {
    const agrees = voter === server.id || agreesSince(server, voter, reported.index);
    if (agrees !== undefined) votes.set(voter, agrees);
  }
  if (voteResult(configuration, votes) === "won") {
    const { index } = reported;
    server.send(from, { kind: "stateDiverged", term: server.term, stateHash: { index, hash: own } });
    if (!progress.isDivergenceTold) server.tell({ kind: "diverged", server: from, index });
    progress.isDivergenceTold = true;
  } else if (hasQuorumWith(server, reported)) {
    isolate(server, reported.index);
  }
}

/** Whether `voter` had this leader's state at `index` or later. What it had before proves nothing: undefined. */
function agreesSince(server: Server, voter: ServerId, index: number): boolean | undefined {
  const progress = server.followers.get(voter);
  return (progress?.stateHash?.index ?? 0) < index ? undefined : progress?.agreesOnState;
}

/** Follower: a quorum has another hash than this server reported. It believes only what it sees for itself. */
export function onStateDiverged(server: Server, stateHash: StateHash): void {
  const own = server.stateHashes.at(stateHash.index);
  if (own !== undefined && own !== stateHash.hash) isolate(server, stateHash.index);
}

/** A quorum without this server has reported the same hash for the same index. */
function hasQuorumWith(server: Server, { index, hash }: StateHash): boolean {
  const votes = new Map<ServerId, boolean>();
  for (const [id, { stateHash }] of server.followers) {
    if (stateHash?.index === index && stateHash.hash === hash) votes.set(id, true);
  }
  return voteResult(server.log.configuration, votes) === "won";
}

function isolate(server: Server, index: number): void {
  if (server.isDiverged) return;
  server.isDiverged = true;
  server.tell({ kind: "diverged", server: server.id, index });
  if (server.role !== "follower") becomeFollower(server, server.term, undefined);
}
