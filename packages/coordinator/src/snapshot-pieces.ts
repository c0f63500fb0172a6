/**
 * The saved snapshots that followers far behind are served from, piece by piece.
 *
 * The newest one, and the one before for as long as somebody is in the middle of it: a node snapshots again before a slow
 * follower has all of the last one, and would otherwise never get through with any.
 */

import type { RaftMessage, Snapshot } from "raft-js";

/** An older snapshot nobody has asked for in this long is let go, in ms. */
const UNUSED_MS = 30_000;
/** So much sooner where somebody is in the middle of the newest one, which would go instead: whoever is reached asks for piece after piece. */
const PAUSED_MS = 5000;

export class SnapshotPieces {
  #newest: Snapshot | undefined;
  #older: Snapshot | undefined;
  #olderUsedAt = 0;
  /** When somebody was last in the middle of it; undefined: nobody ever was. */
  #newestUsedAt: number | undefined;

  get newest(): Snapshot | undefined {
    return this.#newest;
  }

  /** `snapshot` is saved: it is the newest from now on. */
  add(snapshot: Snapshot, now: number): void {
    // One that others are in the middle of stays, rather than the one it was replaced by.
    const patienceMs = this.#newestUsedAt === undefined ? UNUSED_MS : PAUSED_MS;
    if (this.#older === undefined || now - this.#olderUsedAt > patienceMs) {
      this.#older = this.#newest;
      this.#olderUsedAt = now;
    }
    this.#newest = snapshot;
    this.#newestUsedAt = undefined;
  }

  /** Everything before `snapshot` is void: a leader has replaced the state. */
  reset(snapshot: Snapshot): void {
    this.#newest = snapshot;
    this.#newestUsedAt = undefined;
    this.#older = undefined;
  }

  /** The piece at `offset` of the snapshot at `index`, or the first of the newest. Undefined: there is none. */
  message(
    term: number,
    index: number | undefined,
    offset: number,
    bytesMax: number,
    now: number,
  ): RaftMessage | undefined {
    if (now - this.#olderUsedAt > UNUSED_MS) this.#older = undefined;
    const isOlder = index !== undefined && index === this.#older?.index;
    if (isOlder) this.#olderUsedAt = now;
    else if (index !== undefined && index === this.#newest?.index) this.#newestUsedAt = now;
    const snapshot = isOlder ? this.#older : this.#newest;
    if (snapshot === undefined) return undefined;
    const { data, ...point } = snapshot;
    const from = index === point.index && offset <= data.length ? offset : 0;
    const piece = data.subarray(from, from + bytesMax);
    return { kind: "installSnapshot", term, point, totalBytes: data.length, offset: from, data: piece };
  }
}
