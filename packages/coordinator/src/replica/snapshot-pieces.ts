/**
 * The saved snapshots that followers far behind are served from, piece by piece.
 *
 * The newest one, and the one before for as long as somebody is in the middle of it: a node snapshots again before a slow
 * follower has all of the last one, and would otherwise never get through with any. One that is large is kept only while somebody
 * asks for it: the next who does waits for a new one.
 */

import type { RaftMessage, Snapshot, SnapshotPoint } from "raft-js";

/** An older snapshot nobody has asked for in this long is let go, in ms. */
const UNUSED_MS = 30_000;
/** So much sooner where somebody is in the middle of the newest one, which would go instead: whoever is reached asks for piece after piece. */
const PAUSED_MS = 5000;
/** A snapshot of more is large: as long as it is kept, all that sessions are owed stands in memory twice. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;

/** A snapshot whose bytes are at hand, or not. */
type SavedSnapshot = SnapshotPoint & Partial<Snapshot>;

export class SnapshotPieces {
  #newest: Snapshot | undefined;
  #older: Snapshot | undefined;
  #olderUsedAt = 0;
  /** When somebody was last in the middle of it; undefined: nobody ever was. */
  #newestUsedAt: number | undefined;
  /** Index of the newest snapshot there was, kept or not. */
  #newestIndex: number | undefined;

  get newest(): Snapshot | undefined {
    return this.#newest;
  }

  /** Index of the newest snapshot that was saved; undefined: there was none. */
  get newestIndex(): number | undefined {
    return this.#newestIndex;
  }

  /** `snapshot` is saved: it is the newest from now on. `isWanted`: somebody waits for it. */
  add(snapshot: SavedSnapshot, now: number, isWanted = false): void {
    this.#newestIndex = snapshot.index;
    this.letGo(now);
    // One that others are in the middle of stays, rather than the one it was replaced by.
    const patienceMs = this.#newestUsedAt === undefined ? UNUSED_MS : PAUSED_MS;
    if (this.#older === undefined || now - this.#olderUsedAt > patienceMs) {
      this.#older = this.#newest;
      this.#olderUsedAt = now;
    }
    this.#newest = isAtHand(snapshot) && (isWanted || !isLarge(snapshot)) ? snapshot : undefined;
    this.#newestUsedAt = isWanted ? now : undefined;
  }

  /** Everything before `snapshot` is void: a leader has replaced the state. */
  reset(snapshot: SavedSnapshot): void {
    this.#newest = isAtHand(snapshot) && !isLarge(snapshot) ? snapshot : undefined;
    this.#newestIndex = snapshot.index;
    this.#newestUsedAt = undefined;
    this.#older = undefined;
  }

  /** Gives back the memory of what nobody has asked for in a while. */
  letGo(now: number): void {
    if (now - this.#olderUsedAt > UNUSED_MS) this.#older = undefined;
    if (this.#newest === undefined || !isLarge(this.#newest)) return;
    if (this.#newestUsedAt === undefined || now - this.#newestUsedAt > UNUSED_MS) this.#newest = undefined;
  }

  /** The piece at `offset` of the snapshot at `index`, or the first of the newest. Undefined: there is none. */
  message(
    term: number,
    index: number | undefined,
    offset: number,
    bytesMax: number,
    now: number,
  ): RaftMessage | undefined {
    this.letGo(now);
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

function isAtHand(snapshot: SavedSnapshot): snapshot is Snapshot {
  return snapshot.data !== undefined;
}

function isLarge({ data }: Snapshot): boolean {
  return data.length > KEPT_BYTES_MAX;
}
