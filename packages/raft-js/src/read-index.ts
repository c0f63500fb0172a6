/**
 * Reads that see everything written before them, without a log entry and without a clock (ReadIndex, thesis 6.4).
 *
 * The leader notes its commit index, then asks a quorum whether it still leads: one round of heartbeats for all reads
 * that came until then. Nobody else can have committed anything between the question and the answer, so a replica that
 * has applied the noted index may answer. Followers ask the leader and answer from their own replica.
 */

import { hasCommittedInTerm, sendHeartbeats } from "./heartbeats.ts";
import type { RaftMessage } from "./messages.ts";
import { quorumValue } from "./quorum.ts";
import type { Batch, Read } from "./read-queue.ts";
import type { Server } from "./server.ts";
import type { ServerId } from "./types.ts";

type Message<Kind extends RaftMessage["kind"]> = RaftMessage & { readonly kind: Kind };

/** A read of this server's own application. */
export function requestRead(server: Server, request: number): void {
  const { leader, reads, term, nonce } = server;
  if (server.isLeader && !reads.isFull) admit(server, { from: server.id, request, nonce });
  else if (leader !== undefined && leader !== server.id)
    server.send(leader, { kind: "readIndex", term, request, nonce });
  else server.refuseReads([request]);
}

/** A follower's read. What does not fit is dropped: it asks again. */
export function onReadIndex(server: Server, from: ServerId, { request, nonce }: Message<"readIndex">): void {
  if (server.followers.has(from) && !server.reads.isFull) admit(server, { from, request, nonce });
}

/** The leader's answer to a question of this life. */
export function onReadIndexReply(server: Server, from: ServerId, reply: Message<"readIndexReply">): void {
  if (from === server.leader && reply.nonce === server.nonce) server.allowReads([reply.request], reply.index);
}

/** Settles the reads whose round a quorum has answered, and begins the next round if more came meanwhile. */
export function confirmReads(server: Server): void {
  const { reads } = server;
  while (reads.isUnderWay) {
    const round = quorumValue(server.log.configuration, (voter) =>
      voter === server.id ? Number.POSITIVE_INFINITY : (server.followers.get(voter)?.ackedRound ?? 0),
    );
    for (const batch of reads.confirmed(round)) answer(server, batch);
    if (reads.isUnderWay || !reads.hasWaiting) return;
    sendHeartbeats(server);
  }
}

/** Begins a round for the reads that wait, unless one is under way or the leader cannot tell yet what is committed. */
export function beginReads(server: Server): void {
  const { reads } = server;
  if (!reads.hasWaiting || reads.isUnderWay || !hasCommittedInTerm(server)) return;
  sendHeartbeats(server);
  confirmReads(server);
}

function admit(server: Server, read: Read): void {
  server.reads.add(read);
  beginReads(server);
}

function answer(server: Server, { index, reads }: Batch): void {
  const { id, term } = server;
  for (const { from, request, nonce } of reads) {
    if (from !== id) server.send(from, { kind: "readIndexReply", term, request, nonce, index });
  }
  const own = reads.filter(({ from }) => from === id).map(({ request }) => request);
  if (own.length > 0) server.allowReads(own, index);
}
