/**
 * What a leader knows about one follower, and how much it may send it.
 *
 * `probe`: the leader looks for the place where the logs agree, one message at a time. `replicate`: it pipelines, at
 * most `inflightMax` messages or `inflightBytesMax` bytes unanswered. `snapshot`: the entries it needs are gone; a
 * snapshot goes there, one piece at a time. Thesis 10.2.1 (pipelining); prior art: etcd-io/raft `tracker/progress.go`.
 *
 * Invariant: 0 <= matchIndex < nextIndex.
 */

import type { StateHash } from "./types.ts";

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  state: ProgressState = "probe";
  /** Highest index known to be on the follower's disk. */
  matchIndex = 0;
  /** Next index to send. */
  nextIndex: number;
  /** When it was last heard in this term, in ms; undefined before that. */
  lastHeardAt: number | undefined;
  /** When it was last sent a heartbeat, in ms. */
  heartbeatAt = Number.NEGATIVE_INFINITY;
  /** Send time of the newest heartbeat it has answered, in ms. */
  ackedSentAt = Number.NEGATIVE_INFINITY;
  /** Highest commit index it was sent with an AppendEntries. */
  sentCommit = 0;
  /** When the leader began to follow it, in ms: silence is counted from here at the earliest. */
  readonly since: number;
  /** The nonce of its latest answer to a heartbeat; 0 if it is not suspect. */
  nonce = 0;
  /** Newest round of heartbeats it has answered; 0 before the first. */
  ackedRound = 0;
  /** State `snapshot`: when the last piece went out, in ms; undefined while the driver is at it. */
  snapshotSentAt: number | undefined;
  /** The snapshot it gets and how much of it has arrived, in bytes; kept over interruptions, so that it is resumed. */
  snapshotIndex: number | undefined;
  /** A snapshot before this index does not help it. */
  snapshotMinIndex = 0;
  snapshotOffset = 0;
  /** What it last said about its application's state. */
  stateHash: StateHash | undefined;
  /** It has gone wrong, and this server's application knows. */
  isDivergenceTold = false;
  /** State `probe`: true while the one message is unanswered. */
  #isPaused = false;
  /** State `replicate`: the unanswered messages with entries, oldest first. */
  readonly #inflight: { readonly lastIndex: number; readonly bytes: number }[] = [];
  #inflightBytes = 0;
  readonly #inflightMax: number;
  readonly #inflightBytesMax: number;

  constructor(nextIndex: number, now: number, inflightMax: number, inflightBytesMax: number) {
    this.nextIndex = nextIndex;
    this.since = now;
    this.#inflightMax = inflightMax;
    this.#inflightBytesMax = inflightBytesMax;
  }

  get mayAppend(): boolean {
    if (this.state === "snapshot") return false;
    return this.state === "probe" ? !this.#isPaused : !this.#isWindowFull;
  }

  /** Silence is counted from this instant. */
  get aliveAt(): number {
    return this.lastHeardAt ?? this.since;
  }

  /** A message that ends at `lastIndex` goes out; `bytes` of entries, 0 without any. */
  sent(lastIndex: number, bytes: number): void {
    if (this.state === "probe") {
      this.#isPaused = true;
    } else if (bytes > 0) {
      this.nextIndex = lastIndex + 1;
      this.#inflight.push({ lastIndex, bytes });
      this.#inflightBytes += bytes;
    }
  }

  /** The follower has everything up to `index`. Returns true if that is news. */
  acknowledged(index: number): boolean {
    const isNews = index > this.matchIndex;
    this.matchIndex = Math.max(this.matchIndex, index);
    this.nextIndex = Math.max(this.nextIndex, this.matchIndex + 1);
    // Oldest first, and each ends above the one before.
    while ((this.#inflight[0]?.lastIndex ?? Number.POSITIVE_INFINITY) <= index) this.#forgetOldest();
    if (this.state === "probe" && index >= this.matchIndex) this.#replicate();
    return isNews;
  }

  /**
   * The follower refused a message after `refusedIndex`; the logs may agree up to `agreeIndex`. Returns false if
   * the refusal is an old one.
   *
   * A follower that says it has less than it once acknowledged has lost a part of its disk (or its message is late):
   * the leader believes it, which costs a little sending at worst and never counts an entry that may be gone.
   */
  refused(refusedIndex: number, agreeIndex: number): boolean {
    // Nothing to learn: the leader would only ask the same again, without end.
    if (agreeIndex >= refusedIndex) return false;
    const hasLost = agreeIndex < this.matchIndex;
    if (!hasLost && this.state === "probe" && refusedIndex !== this.nextIndex - 1) return false;
    if (!hasLost && refusedIndex < this.matchIndex) return false;
    if (this.state === "snapshot") return false;
    this.matchIndex = Math.min(this.matchIndex, agreeIndex);
    this.probe(agreeIndex + 1);
    return true;
  }

  /** Looks for agreement again, from `nextIndex` on. */
  probe(nextIndex: number): void {
    this.state = "probe";
    this.nextIndex = Math.max(nextIndex, this.matchIndex + 1);
    this.#isPaused = false;
    this.#clearInflight();
    this.snapshotSentAt = undefined;
  }

  /** As `probe`, but only once it has answered a heartbeat. */
  pauseProbe(nextIndex: number): void {
    this.probe(nextIndex);
    this.#isPaused = true;
  }

  /** The entry before `nextIndex` is compacted, or its state must be replaced: only a snapshot at `minIndex` or later helps. */
  awaitSnapshot(minIndex: number): void {
    this.state = "snapshot";
    this.snapshotMinIndex = minIndex;
    this.#clearInflight();
    this.snapshotSentAt = undefined;
    // Otherwise it has that one already, and the log has been compacted beyond it since; or that one does not help.
    if ((this.snapshotIndex ?? 0) > (minIndex > 0 ? minIndex - 1 : this.matchIndex)) return;
    this.snapshotIndex = undefined;
    this.snapshotOffset = 0;
  }

  /** It answered a heartbeat: a lost probe may be repeated, and a lost message no longer blocks a full window. */
  freeOne(): void {
    this.#isPaused = false;
    if (this.#isWindowFull) this.#forgetOldest();
  }

  /** Nothing it said about its log holds for this one: a snapshot replaces all of it. */
  startOver(): void {
    this.matchIndex = 0;
    this.snapshotIndex = undefined;
    this.awaitSnapshot(0);
  }

  get #isWindowFull(): boolean {
    return this.#inflight.length >= this.#inflightMax || this.#inflightBytes >= this.#inflightBytesMax;
  }

  #replicate(): void {
    this.state = "replicate";
    this.nextIndex = this.matchIndex + 1;
    this.#clearInflight();
  }

  #forgetOldest(): void {
    this.#inflightBytes -= this.#inflight.shift()?.bytes ?? 0;
  }

  #clearInflight(): void {
    this.#inflight.length = 0;
    this.#inflightBytes = 0;
  }
}
