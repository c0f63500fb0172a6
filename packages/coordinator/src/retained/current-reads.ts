/**
 * When a reader may look at this node's replica: as soon as it holds everything that was committed anywhere before the
 * reader came (ReadIndex), everything that this node itself has proposed before that, and what the others had (peer-writes.ts).
 *
 * The second is what lets a client read its own write, acknowledged or not, without anybody being shown what may still
 * be lost; the third, that between what it reads and what it hears from then on nothing is missing. All that come while a question is under way share the next one, so a storm of readers costs one round trip
 * at a time. A question that gets lost is asked again.
 *
 * Nobody waits long for a quorum (promise P3): a node that knows of no leader answers at once, one that believes in a leader which
 * does not answer within a second then, that its replica may not be current. Where a quorum has answered and the replica alone is behind,
 * because it is being filled by a snapshot, the reader waits for that: a minute at most, and as long as there is a leader.
 *
 * Source: Ongaro's thesis, section 6.4; reference design, 1.7 and 4.3 rule 5.
 */

import type { Clock } from "@skein/kernel";

/** Most readers that wait; more are told at once that the replica may not be current. */
const WAITING_MAX = 10_000;
/** With the tick of the coordinator, which looks four times a second, nobody waits longer than a second. */
const PATIENCE_MS = 750;
/** A full snapshot over slow Wi-Fi takes its time. */
const CATCHING_UP_MS = 60_000;
const ASK_AGAIN_MS = 300;
/** A gap between ticks from which on this process must have stood still. */
const STALL_MS = 500;
/** Numbers of questions of one incarnation; Raft takes numbers up to 2^48. */
const QUESTIONS_MAX = 2 ** 32;
const INCARNATIONS_MAX = 2 ** 16;

export interface CurrentReadsPorts<Reader> {
  readonly clock: Clock;
  /** A leader is known. */
  readonly hasLeader: () => boolean;
  /** Asks Raft, and the others, under this number. */
  readonly ask: (request: number) => void;
  /** The newest number up to which the replica holds what the others had proposed when they were asked. */
  readonly heldThrough: () => number;
  /** Number of this node's newest proposal, and up to which they have come back through the log. */
  readonly proposedSeq: () => number;
  readonly settledSeq: () => number;
  /**
   * The replica is current, or may not be. Called once for each reader, possibly before {@link CurrentReads.add}
   * returns.
   */
  readonly answer: (reader: Reader, isCurrent: boolean) => void;
}

interface Waiting<Reader> {
  readonly reader: Reader;
  readonly giveUpAt: number;
  /** This node's own proposals that it waits for. */
  readonly proposedSeq: number;
  /** The first question that was asked after it came; undefined: none yet. */
  request: number | undefined;
  /** A quorum has answered that, and the replica is waited for until then; undefined: it has not. */
  catchesUpUntil: number | undefined;
  /** Everything committed elsewhere is here. */
  isConfirmed: boolean;
}

export class CurrentReads<Reader> {
  readonly #ports: CurrentReadsPorts<Reader>;
  /** In the order in which they came. */
  #waiting: Waiting<Reader>[] = [];
  #request: number;
  /** The newest question has no answer yet. */
  #isAsking = false;
  #askedAt = 0;
  #tickedAt = 0;
  #uncertain = 0;

  /** `incarnation` keeps answers to questions of an earlier life of this node apart from those of this one. */
  constructor(incarnation: number, ports: CurrentReadsPorts<Reader>) {
    this.#ports = ports;
    this.#request = (incarnation % INCARNATIONS_MAX) * QUESTIONS_MAX;
  }

  /** Readers that were told that the replica may not be current. */
  get uncertain(): number {
    return this.#uncertain;
  }

  /** `reader` comes now, and is answered now or later. */
  add(reader: Reader): void {
    const { clock, hasLeader, proposedSeq } = this.#ports;
    if (!hasLeader() || this.#waiting.length >= WAITING_MAX) {
      this.#answer(reader, false);
      return;
    }
    const waiting = {
      reader,
      giveUpAt: clock.monotonicMs() + PATIENCE_MS,
      proposedSeq: proposedSeq(),
      request: undefined,
      catchesUpUntil: undefined,
      isConfirmed: false,
    };
    this.#waiting.push(waiting);
    if (!this.#isAsking) this.#ask();
  }

  /** A quorum has answered these questions; {@link confirmed} follows when this replica has come so far. */
  answered(requests: readonly number[]): void {
    const catchesUpUntil = this.#ports.clock.monotonicMs() + CATCHING_UP_MS;
    for (const waiting of this.#settledBy(requests)) waiting.catchesUpUntil ??= catchesUpUntil;
  }

  /** What was committed before these questions is applied here. Nobody is answered before {@link settle}. */
  confirmed(requests: readonly number[]): void {
    for (const waiting of this.#settledBy(requests)) waiting.isConfirmed = true;
  }

  /** Another node leads now, or the way to the leader is open again: what was asked may be lost. */
  askAgain(): void {
    if (this.#waiting.some(isOpen)) this.#ask();
  }

  /** Answers those whose wait is over. Call it at the end of each turn in which Raft made a step. */
  settle(): void {
    if (this.#waiting.length === 0) return;
    const settledSeq = this.#ports.settledSeq();
    const heldThrough = this.#ports.heldThrough();
    this.#answerThose(
      ({ isConfirmed, proposedSeq, request = 0 }) =>
        isConfirmed && proposedSeq <= settledSeq && request <= heldThrough,
    );
    if (!this.#isAsking && this.#waiting.some(({ request }) => request === undefined)) this.#ask();
  }

  /** A few times a second: who has waited long enough is answered, what got lost is asked again. */
  tick(now: number): void {
    const hasStalled = now - this.#tickedAt > STALL_MS;
    this.#tickedAt = now;
    // After a standstill the answers of all that time are still unread.
    if (hasStalled || this.#waiting.length === 0) return;
    const isLed = this.#ports.hasLeader();
    this.#answerThose(({ giveUpAt, catchesUpUntil = 0, isConfirmed }) => {
      return giveUpAt <= now && (isConfirmed || !isLed || catchesUpUntil <= now);
    });
    if (now >= this.#askedAt + ASK_AGAIN_MS) this.askAgain();
  }

  /** Those that came before the newest of these questions was asked. */
  #settledBy(requests: readonly number[]): readonly Waiting<Reader>[] {
    const newest = Math.max(...requests);
    if (newest === this.#request) this.#isAsking = false;
    return this.#waiting.filter(({ request }) => request !== undefined && request <= newest);
  }

  #ask(): void {
    this.#isAsking = true;
    this.#askedAt = this.#ports.clock.monotonicMs();
    const request = ++this.#request;
    for (const waiting of this.#waiting) waiting.request ??= request;
    this.#ports.ask(request);
  }

  #answerThose(isOver: (waiting: Waiting<Reader>) => boolean): void {
    const over: Waiting<Reader>[] = [];
    const left: Waiting<Reader>[] = [];
    for (const waiting of this.#waiting) (isOver(waiting) ? over : left).push(waiting);
    if (over.length === 0) return;
    this.#waiting = left;
    if (left.length === 0) this.#isAsking = false;
    for (const { reader, isConfirmed } of over) this.#answer(reader, isConfirmed);
  }

  #answer(reader: Reader, isCurrent: boolean): void {
    if (!isCurrent) this.#uncertain++;
    this.#ports.answer(reader, isCurrent);
  }
}

/** No quorum has answered it. */
function isOpen({ isConfirmed, catchesUpUntil }: Waiting<unknown>): boolean {
  return !isConfirmed && catchesUpUntil === undefined;
}
