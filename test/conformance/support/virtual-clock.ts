/** Time that passes only when a test says so, and the turns of an event loop that does not exist. */

import type { Clock, MonotonicMs } from "@skein/kernel";

export class VirtualClock implements Pick<Clock, "monotonicMs" | "atTurnEnd"> {
  #now = 1_000_000;
  #turnEnd: (() => void)[] = [];

  monotonicMs(): MonotonicMs {
    return this.#now as MonotonicMs;
  }

  atTurnEnd(callback: () => void): void {
    this.#turnEnd.push(callback);
  }

  /** Ends turn after turn until nothing is asked for any more. Returns how many turns that took. */
  settle(): number {
    let turns = 0;
    while (this.#turnEnd.length > 0) {
      if (++turns > 10_000) throw new Error("the broker never comes to rest");
      const callbacks = this.#turnEnd;
      this.#turnEnd = [];
      for (const callback of callbacks) callback();
    }
    return turns;
  }

  pass(ms: number): MonotonicMs {
    this.#now += ms;
    return this.monotonicMs();
  }
}
