/**
 * The SUBACK barrier (P4): a subscription is acknowledged when every live peer has its row.
 *
 * A wait belongs to one peer and one version of this node's rows, and ends when the peer acknowledges that version or a
 * later one, when it is gone, or, if it is or becomes suspect, 250 ms later: one silent box must not make every
 * SUBACK in the mesh slow. Waits that end that way are counted, because a publish on that peer may be missed.
 *
 * Source: architecture.md section 4 (SUBACK barrier); reference/design.md 3.4, trap 14.
 */

import type { Clock, Completion, Timer } from "@skein/kernel";

/** How long a SUBACK waits for a suspect peer. */
const SUSPECT_WAIT_MS = 250;

interface Wait {
  readonly version: number;
  readonly done: Completion;
  /** When it is given up; undefined while the peer is alive. */
  deadlineMs: number | undefined;
}

/** The waits for one peer. */
export class Barrier {
  readonly #clock: Clock;
  readonly #late: () => void;
  #waits: Wait[] = [];
  #isSuspect = false;
  #timer: Timer | undefined;

  /** `late` is called for each wait that is given up. */
  constructor(clock: Clock, late: () => void) {
    this.#clock = clock;
    this.#late = late;
  }

  /** Settles `done` once, but not before this call has returned. */
  wait(version: number, done: Completion): void {
    const deadlineMs = this.#isSuspect ? this.#clock.monotonicMs() + SUSPECT_WAIT_MS : undefined;
    this.#waits.push({ version, done, deadlineMs });
    // A client may subscribe to thousands of filters at once: while nothing has a deadline there is nothing to look for.
    if (deadlineMs !== undefined) this.#arm();
  }

  acknowledged(version: number): void {
    this.#end((wait) => wait.version <= version);
  }

  suspect(): void {
    this.#isSuspect = true;
    const deadlineMs = this.#clock.monotonicMs() + SUSPECT_WAIT_MS;
    for (const wait of this.#waits) wait.deadlineMs ??= deadlineMs;
    this.#arm();
  }

  alive(): void {
    this.#isSuspect = false;
    for (const wait of this.#waits) wait.deadlineMs = undefined;
    this.#disarm();
  }

  /** The peer is gone: nothing that is published there concerns anybody here. */
  gone(): void {
    this.#disarm();
    this.#end(() => true);
  }

  /** Takes the waits out before it settles any, because a settled SUBACK may lead to the next wait. */
  #end(isOver: (wait: Wait) => boolean): number {
    const over = this.#waits.filter(isOver);
    if (over.length === 0) return 0;
    this.#waits = this.#waits.filter((wait) => !isOver(wait));
    for (const wait of over) wait.done.settle(0);
    return over.length;
  }

  #arm(): void {
    const first = this.#waits.find((wait) => wait.deadlineMs !== undefined)?.deadlineMs;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(Math.max(0, first - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      const now = this.#clock.monotonicMs();
      const lateCount = this.#end((wait) => wait.deadlineMs !== undefined && wait.deadlineMs <= now);
      for (let at = 0; at < lateCount; at++) this.#late();
      this.#arm();
    });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
