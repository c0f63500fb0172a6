/** Time that only moves when a test says so. Equal instants run in the order they were asked for. */

import type { Clock, MonotonicMs, Timer } from "@skein/kernel";

interface Due {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
  isCancelled: boolean;
}

export class VirtualClock implements Clock {
  #now = 1000;
  #order = 0;
  #due: Due[] = [];
  #turnEnd: (() => void)[] = [];

  monotonicMs(): MonotonicMs {
    return this.#now as MonotonicMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#now;
  }

  after(delayMs: number, callback: () => void): Timer {
    const due: Due = {
      at: this.#now + Math.max(0, delayMs),
      order: this.#order++,
      callback,
      isCancelled: false,
    };
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#due[middle]!;
      if (other.at < due.at || (other.at === due.at && other.order < due.order)) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, due);
    return {
      cancel: () => {
        due.isCancelled = true;
      },
    };
  }

  atTurnEnd(callback: () => void): void {
    this.#turnEnd.push(callback);
  }

  /** Timers that will still fire. */
  get pendingCount(): number {
    return this.#due.filter((due) => !due.isCancelled).length;
  }

  /** Ends the turn: what was gathered during a direct call from the test goes out. */
  endTurn(): void {
    while (this.#turnEnd.length > 0) {
      const callbacks = this.#turnEnd;
      this.#turnEnd = [];
      for (const callback of callbacks) callback();
    }
  }

  run(durationMs: number): void {
    const end = this.#now + durationMs;
    this.endTurn();
    for (;;) {
      const next = this.#due[0];
      if (next === undefined || next.at > end) break;
      this.#due.shift();
      if (next.isCancelled) continue;
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      this.endTurn();
    }
    this.#now = end;
  }

  /** Runs until `condition` holds. Throws after `limitMs`. Returns how long it took. */
  runUntil(condition: () => boolean, limitMs: number, what: string): number {
    const start = this.#now;
    while (!condition()) {
      if (this.#now - start > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      this.run(10);
    }
    return this.#now - start;
  }
}
