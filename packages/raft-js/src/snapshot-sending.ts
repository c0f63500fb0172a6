/**
 * Sending a snapshot to a follower whose next entry is gone (paper section 7), one piece at a time.
 *
 * The driver holds the bytes; this file says which piece goes next. A piece is sent when the follower has answered the
 * one before, so a large snapshot shares the link with everything else. The follower says how far it is, and its word
 * counts: after an interruption the leader goes on, or back, to where the follower is.
 *
 * What follows the snapshot in the log stays until the follower has it: a leader that writes faster than the snapshot goes over would else send
 * one after the other, without end.
 */

import type { Progress } from "./progress.ts";
import type { Server } from "./server.ts";
import type { ServerId } from "./types.ts";

const CHUNK_BYTES = 256 * 1024;
/** Most bytes of entries that are kept for the sake of followers that are getting a snapshot (32 are added per entry). */
const KEPT_BYTES_MAX = 32 * 1024 * 1024;

/** Asks the driver for the piece that `to` needs next. */
export function sendChunk(server: Server, to: ServerId, progress: Progress): void {
  progress.snapshotSentAt = undefined;
  server.tellNow({
    kind: "sendSnapshot",
    to,
    term: server.term,
    index: progress.snapshotIndex,
    offset: progress.snapshotIndex === undefined ? 0 : progress.snapshotOffset,
    bytesMax: server.options.snapshotChunkBytes ?? CHUNK_BYTES,
    minIndex: progress.snapshotMinIndex,
  });
}

/** The driver has sent a piece, or could not. */
export function onSnapshotSent(server: Server, to: ServerId, ok: boolean): void {
  const progress = server.followers.get(to);
  if (progress?.state !== "snapshot") return;
  if (ok) progress.snapshotSentAt = server.now;
  // Asked for again when it next answers a heartbeat, not at once: it may be unreachable.
  else progress.pauseProbe(progress.matchIndex + 1);
}

/** The follower has `offset` bytes of the snapshot at `index`. */
export function onChunkReply(server: Server, from: ServerId, index: number, offset: number): void {
  const progress = server.followers.get(from);
  if (progress === undefined) return;
  progress.lastHeardAt = server.now;
  if (progress.state !== "snapshot") return;
  const { snapshotIndex, snapshotOffset } = progress;
  // A repeated answer, or one about a snapshot that has been replaced by a newer one.
  if (snapshotIndex !== undefined && index < snapshotIndex) return;
  if (index === snapshotIndex && offset === snapshotOffset) return;
  // It has restarted and has nothing of it any more, and what follows it is gone: it would need another one after it.
  const isStale = offset === 0 && index < server.log.snapshot.index && !server.log.holdsFrom(index + 1);
  progress.snapshotIndex = isStale ? undefined : index;
  progress.snapshotOffset = offset;
  sendChunk(server, from, progress);
}

/** Gives up waiting for answers that were lost. The next answered heartbeat asks again. */
export function noteLostChunks(server: Server): void {
  for (const progress of server.followers.values()) {
    const sentAt = progress.snapshotSentAt;
    if (sentAt !== undefined && server.now >= sentAt + server.options.electionMaxMs)
      progress.pauseProbe(progress.matchIndex + 1);
  }
}

/** Up to which index entries may go now that there is a snapshot at `index`. */
export function droppableThrough(server: Server, index: number): number {
  const { log, followers, options } = server;
  let through = index - options.entriesKept;
  for (const progress of followers.values()) {
    if (!isGettingSnapshot(server, progress)) continue;
    const needed = progress.snapshotIndex ?? log.snapshot.index;
    if (needed < through && log.holdsFrom(needed + 1) && log.bytesBehind(needed) <= KEPT_BYTES_MAX)
      through = needed;
  }
  return through;
}

/** It answers, and is in the middle of one, or waits for the leader to go on with it. */
function isGettingSnapshot({ now, options }: Server, progress: Progress): boolean {
  const { state, matchIndex, snapshotIndex = 0, lastHeardAt = Number.NEGATIVE_INFINITY } = progress;
  return now - lastHeardAt <= options.electionMaxMs && (state === "snapshot" || snapshotIndex > matchIndex);
}
