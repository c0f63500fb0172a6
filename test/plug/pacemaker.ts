/** Calls on senders in turns, so many times a second in all; who cannot is passed over for the next one who can. */

import { performance } from "node:perf_hooks";

const BEAT_MS = 10;

export class Pacemaker {
  /** Calls that were due when nobody could. */
  missed = 0;
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  /** Runs until {@link Pacemaker.stop}. A sender returns whether it could. */
  constructor(perSecond: number, senders: readonly (() => boolean)[]) {
    let lastAt = performance.now();
    let due = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      due += ((now - lastAt) * perSecond) / 1000;
      lastAt = now;
      for (; due >= 1; due -= 1) if (!this.#callOne(senders)) this.missed += 1;
    }, BEAT_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #callOne(senders: readonly (() => boolean)[]): boolean {
    for (let tried = 0; tried < senders.length; tried += 1) {
      const sender = senders[this.#next++ % senders.length];
      if (sender?.() === true) return true;
    }
    return false;
  }
}
