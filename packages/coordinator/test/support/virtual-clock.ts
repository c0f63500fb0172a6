/** Time that passes only when the test says so. Calls happen in order of their time, then of their making. */

import type { Clock, MonotonicMs, Timer } from "@skein/kernel";

interface Call {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  #calls: Call[] = [];
  #turnEnd: (() => void)[] = [];
  /** Called after every turn: the place where a world looks at what its parts want. */
  afterTurn: () => void = () => {};

  monotonicMs(): MonotonicMs {
    return this.#now as MonotonicMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const call: Call = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    const at = this.#calls.findLastIndex((other) => other.at <= call.at);
    this.#calls.splice(at + 1, 0, call);
    return {
      cancel: () => {
        const found = this.#calls.indexOf(call);
        if (found !== -1) this.#calls.splice(found, 1);
      },
    };
  }

  atTurnEnd(callback: () => void): void {
    this.#turnEnd.push(callback);
  }

  /** Ends the turn that the test itself is in. */
  endTurn(): void {
    for (let i = 0; this.#turnEnd.length > 0; i++) {
      if (i > 10_000) throw new Error("a turn that never ends");
      this.#turnEnd.shift()?.();
    }
    this.afterTurn();
  }

  /** Lets `ms` pass, and everything happen that is due in them. */
  advance(ms: number): void {
    const until = this.#now + ms;
    this.endTurn();
    for (let next = this.#calls[0]; next !== undefined && next.at <= until; next = this.#calls[0]) {
      this.#calls.shift();
      this.#now = next.at;
      next.callback();
      this.endTurn();
    }
    this.#now = until;
  }

  /** Lets time pass until `condition` holds. Throws after `limitMs`. */
  advanceUntil(condition: () => boolean, limitMs: number, what = "condition"): void {
    this.endTurn();
    for (let passed = 0; !condition(); passed += 10) {
      if (passed >= limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      this.advance(10);
    }
  }
}
