/**
 * What a leader knows about one follower, and how much it may send it.
 *
 * `probe`: the leader looks for the place where the logs agree, one message at a time. `replicate`: it pipelines, at
 * most `inflightMax` messages unanswered. `snapshot`: the entries it needs are gone; nothing is sent until a snapshot
 * got there. Thesis 10.2.1 (pipelining); prior art: etcd-io/raft `tracker/progress.go`.
 *
 * Invariant: 0 <= matchIndex < nextIndex.
 */

export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  state: ProgressState = "probe";
  /** Highest index known to be on the follower's disk. */
  matchIndex = 0;
  /** Next index to send. */
  nextIndex: number;
  /** When it was last heard in this term, in ms; undefined before that. */
  lastHeardAt: number | undefined;
  /** Send time of the newest heartbeat it has answered, in ms. */
  ackedSentAt = Number.NEGATIVE_INFINITY;
  /** Highest commit index it was sent with an AppendEntries. */
  sentCommit = 0;
  /** When the leader began to follow it, in ms: silence is counted from here at the earliest. */
  readonly since: number;
  /** State `snapshot`: when the snapshot went out, in ms; undefined while the driver is at it. */
  snapshotSentAt: number | undefined;
  /** State `probe`: true while the one message is unanswered. */
  #isPaused = false;
  /** State `replicate`: last index of each unanswered message. */
  #inflight: number[] = [];
  readonly #inflightMax: number;

  constructor(nextIndex: number, now: number, inflightMax: number) {
    this.nextIndex = nextIndex;
    this.since = now;
    this.#inflightMax = inflightMax;
  }

  get mayAppend(): boolean {
    if (this.state === "snapshot") return false;
    return this.state === "probe" ? !this.#isPaused : this.#inflight.length < this.#inflightMax;
  }

  /** Silence is counted from this instant. */
  get aliveAt(): number {
    return this.lastHeardAt ?? this.since;
  }

  /** A message that ends at `lastIndex` goes out, with or without entries. */
  sent(lastIndex: number, entries: number): void {
    if (this.state === "probe") {
      this.#isPaused = true;
    } else if (entries > 0) {
      this.nextIndex = lastIndex + 1;
      this.#inflight.push(lastIndex);
    }
  }

  /** The follower has everything up to `index`. Returns true if that is news. */
  acknowledged(index: number): boolean {
    const isNews = index > this.matchIndex;
    this.matchIndex = Math.max(this.matchIndex, index);
    this.nextIndex = Math.max(this.nextIndex, this.matchIndex + 1);
    this.#inflight = this.#inflight.filter((last) => last > index);
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
    this.#inflight = [];
    this.snapshotSentAt = undefined;
  }

  /** As `probe`, but only once it has answered a heartbeat. */
  pauseProbe(nextIndex: number): void {
    this.probe(nextIndex);
    this.#isPaused = true;
  }

  /** The entry before `nextIndex` is compacted: only a snapshot helps. */
  awaitSnapshot(): void {
    this.state = "snapshot";
    this.#inflight = [];
    this.snapshotSentAt = undefined;
  }

  /** It answered a heartbeat: a lost probe may be repeated, and a lost message no longer blocks a full window. */
  freeOne(): void {
    this.#isPaused = false;
    if (this.#inflight.length >= this.#inflightMax) this.#inflight.shift();
  }

  #replicate(): void {
    this.state = "replicate";
    this.nextIndex = this.matchIndex + 1;
    this.#inflight = [];
  }
}
