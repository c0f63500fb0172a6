/**
 * Taking over a leader's snapshot (paper section 7), which comes in pieces.
 *
 * Pieces are gathered in one buffer, in order, and every one is answered with how far this server is; so a lost piece or a
 * broken link costs that piece and not the rest. Pieces of different servers are not joined: equal states may be written
 * in different bytes. Only the whole snapshot replaces log and state, and only once the application has said that it can use it: to find out may
 * take it many turns. Meanwhile this server is what it was: it follows, applies and votes.
 */

import { assert } from "./assert.ts";
import { becomeFollower } from "./follower.ts";
import type { RaftMessage } from "./messages.ts";
import type { Server } from "./server.ts";
import type { ServerId, Snapshot, SnapshotPoint } from "./types.ts";

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

/** A whole snapshot; whether it can be used is not known yet. */
export interface CheckedSnapshot {
  /** Counts the checks since this server started. */
  readonly check: number;
  readonly from: ServerId;
  /** In which `from` led. */
  readonly term: number;
  readonly snapshot: Snapshot;
}

export function onInstallSnapshot(server: Server, from: ServerId, message: InstallSnapshot): void {
  const { options, term } = server;
  const { point, totalBytes } = message;
  if (totalBytes > (options.snapshotBytesMax ?? SNAPSHOT_BYTES_MAX)) {
    server.rejectedMessages++;
    return;
  }
  if (replacedBy(server, point) === "nothing") {
    // Step 6: the log already holds what the snapshot says; it is kept, with what follows.
    server.commitTo(point.index);
    answerInstalled(server, from);
    return;
  }
  // One that is checked is not given up for another, or a slow server would get through with none. Not answered: that one comes again.
  if (server.checking !== undefined) return;
  if (server.incoming?.isOf(from, message) !== true) server.incoming = new IncomingSnapshot(from, message);
  const { incoming } = server;
  incoming.add(message.offset, message.data);
  const { received } = incoming;
  if (received < totalBytes) {
    server.send(from, { kind: "snapshotChunkReply", term, index: point.index, offset: received });
    return;
  }
  server.incoming = undefined;
  const check = ++server.checks;
  const snapshot = { ...incoming.point, data: incoming.whole() };
  server.checking = { check, from, term, snapshot };
  server.tell({ kind: "checkSnapshot", check, snapshot });
}

/**
 * The application has looked at a snapshot. It counts as if its last piece had come now, because log, term and leader may be others than when
 * that came. What is in it was committed in any case (Raft §5.4.3), but only the present leader's takes back what was committed here.
 */
export function onSnapshotChecked(server: Server, check: number, isUsable: boolean): void {
  const { checking } = server;
  if (checking?.check !== check) return;
  server.checking = undefined;
  if (!isUsable) {
    // Not answered: the leader starts over after its timeout, not at once.
    server.rejectedMessages++;
    return;
  }
  const { from, term, snapshot } = checking;
  if (server.isLeader || (server.isContradicted && term !== server.term)) return;
  // Its candidacy was for the log that it had.
  if (server.role !== "follower") becomeFollower(server, server.term, undefined);
  install(server, snapshot);
  if (server.leader === from) answerInstalled(server, from);
}

function install(server: Server, snapshot: Snapshot): void {
  switch (replacedBy(server, snapshot)) {
    case "nothing":
      server.commitTo(snapshot.index);
      break;
    case "state":
      server.restoreState(snapshot);
      break;
    case "everything":
      server.restore(snapshot);
      break;
  }
}

/** What a snapshot at this point replaces here: nothing, if the log holds what it says; the state alone, if that is wrong; or both. */
function replacedBy(server: Server, { index, term }: SnapshotPoint): "nothing" | "state" | "everything" {
  const { log, stateWantedFrom = Number.POSITIVE_INFINITY } = server;
  if (server.isContradicted) return "everything";
  const isHeld = log.termAt(index) === term;
  if (isHeld && index >= stateWantedFrom) return "state";
  return isHeld || index <= log.commitIndex ? "nothing" : "everything";
}

function answerInstalled(server: Server, to: ServerId): void {
  const { term, log } = server;
  server.sendWhenSafe(to, { kind: "installSnapshotReply", term, matchIndex: log.commitIndex });
}
