/**
 * Taking over a leader's snapshot (paper section 7), which comes in pieces.
 *
 * Pieces are gathered in one buffer, in order, and every one is answered with how far this server is; so a lost piece or a
 * broken link costs that piece and not the rest. Pieces of different servers are not joined: equal states may be written
 * in different bytes. Only the whole snapshot replaces log and state.
 */

import { assert } from "./assert.ts";
import type { RaftMessage } from "./messages.ts";
import type { Server } from "./server.ts";
import type { ServerId, SnapshotPoint } from "./types.ts";

const SNAPSHOT_BYTES_MAX = 512 * 1024 * 1024;

type InstallSnapshot = Extract<RaftMessage, { readonly kind: "installSnapshot" }>;

/** A snapshot of which the first part is here. */
export class IncomingSnapshot {
  readonly from: ServerId;
  readonly point: SnapshotPoint;
  /** Filled from the front. Memory that no piece has come for yet is not touched: announced bytes cost addresses only. */
  readonly #data: Uint8Array;
  #received = 0;

  constructor(from: ServerId, { point, totalBytes }: InstallSnapshot) {
    this.from = from;
    this.point = point;
    this.#data = new Uint8Array(totalBytes);
  }

  get totalBytes(): number {
    return this.#data.length;
  }

  get received(): number {
    return this.#received;
  }

  isOf(from: ServerId, { point, totalBytes }: InstallSnapshot): boolean {
    const { index, term } = this.point;
    return (
      this.from === from && index === point.index && term === point.term && this.totalBytes === totalBytes
    );
  }

  /** Takes the piece if it is the next one. */
  add(offset: number, piece: Uint8Array): void {
    if (offset !== this.#received) return;
    this.#data.set(piece, offset);
    this.#received += piece.length;
  }

  /** All of it, once everything is received. It is not copied. */
  whole(): Uint8Array {
    assert(this.#received === this.totalBytes, "pieces of", this.point.index, "are missing");
    return this.#data;
  }
}

export function onInstallSnapshot(server: Server, from: ServerId, message: InstallSnapshot): void {
  const { log, options, term } = server;
  const { point, totalBytes } = message;
  if (totalBytes > (options.snapshotBytesMax ?? SNAPSHOT_BYTES_MAX)) {
    server.rejectedMessages++;
    return;
  }
  const isHeld = log.termAt(point.index) === point.term;
  const isCovered = point.index <= log.commitIndex || isHeld;
  const { stateWantedFrom = Number.POSITIVE_INFINITY } = server;
  const isStateWanted = isHeld && point.index >= stateWantedFrom;
  if (isCovered && !server.isContradicted && !isStateWanted) {
    // Step 6: the log already holds what the snapshot says; it is kept, with what follows.
    server.commitTo(point.index);
    answerInstalled(server, from);
    return;
  }
  if (server.incoming?.isOf(from, message) !== true) server.incoming = new IncomingSnapshot(from, message);
  const { incoming } = server;
  incoming.add(message.offset, message.data);
  const { received } = incoming;
  if (received < totalBytes) {
    server.send(from, { kind: "snapshotChunkReply", term, index: point.index, offset: received });
    return;
  }
  server.incoming = undefined;
  const data = incoming.whole();
  if (options.isSnapshotUsable?.(data) === false) {
    // Not answered: the leader starts over after its timeout, not at once.
    server.rejectedMessages++;
    return;
  }
  if (isStateWanted && !server.isContradicted) server.restoreState({ ...incoming.point, data });
  else server.restore({ ...incoming.point, data });
  answerInstalled(server, from);
}

function answerInstalled(server: Server, to: ServerId): void {
  const { term, log } = server;
  server.sendWhenSafe(to, { kind: "installSnapshotReply", term, matchIndex: log.commitIndex });
}
