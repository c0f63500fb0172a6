/**
 * Waits until this node's replica holds everything that was committed anywhere before now (ReadIndex).
 *
 * All that ask while a question is under way share the next one, so a storm of readers costs one round trip at a time. A
 * question that gets lost is asked again; a node without a quorum says so instead of waiting for ever (promise P3).
 */

import type { Clock } from "@skein/kernel";

/** Most readers that wait; more are told at once that the replica may not be current. */
const WAITING_MAX = 10_000;
const ASK_AGAIN_MS = 500;

/** `isCurrent`: everything committed before the call is applied here. False: no quorum answered in time. */
export type WhenCurrent = (isCurrent: boolean) => void;

interface Waiting {
  readonly done: WhenCurrent;
  readonly giveUpAt: number;
}

export interface CurrentReadsPorts {
  readonly clock: Clock;
  /** Asks Raft under this number, if this node is in a cluster. */
  readonly ask: (request: number) => void;
}

export class CurrentReads {
  readonly #ports: CurrentReadsPorts;
  readonly #patienceMs: number;
  #waiting: Waiting[] = [];
  /** Those the question under way will settle. */
  #asked: Waiting[] = [];
  #request = 0;
  #askedAt = 0;

  /** `patienceMs`: how long a reader waits for a quorum. */
  constructor(patienceMs: number, ports: CurrentReadsPorts) {
    this.#patienceMs = patienceMs;
    this.#ports = ports;
  }

  /** Calls `done` once, now or later. */
  add(done: WhenCurrent): void {
    if (this.#waiting.length + this.#asked.length >= WAITING_MAX) {
      done(false);
      return;
    }
    this.#waiting.push({ done, giveUpAt: this.#ports.clock.monotonicMs() + this.#patienceMs });
    if (this.#asked.length === 0) this.#ask();
  }

  /** These requests may be answered. */
  readable(requests: readonly number[]): void {
    if (this.#asked.length === 0 || !requests.includes(this.#request)) return;
    const settled = this.#asked;
    this.#asked = [];
    for (const { done } of settled) done(true);
    if (this.#asked.length === 0 && this.#waiting.length > 0) this.#ask();
  }

  /** A few times a second: what got lost is asked again, who has waited too long is told. */
  tick(now: number): void {
    const all = [...this.#asked, ...this.#waiting];
    if (all.length === 0) return;
    const late = all.filter(({ giveUpAt }) => giveUpAt <= now);
    this.#asked = this.#asked.filter(({ giveUpAt }) => giveUpAt > now);
    this.#waiting = this.#waiting.filter(({ giveUpAt }) => giveUpAt > now);
    for (const { done } of late) done(false);
    if (this.#asked.length === 0 ? this.#waiting.length > 0 : now >= this.#askedAt + ASK_AGAIN_MS)
      this.#ask();
  }

  #ask(): void {
    this.#asked.push(...this.#waiting);
    this.#waiting = [];
    this.#askedAt = this.#ports.clock.monotonicMs();
    this.#ports.ask(++this.#request);
  }
}
