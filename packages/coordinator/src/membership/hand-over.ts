/**
 * Lets another node lead before this one stops, whether it was asked to or its disk has failed: a second at most.
 *
 * Links must stay open meanwhile. A node that votes for its successor must live until that vote has arrived; one whose disk
 * has failed cannot vote and is done when it does not lead any more.
 */

import type { Clock, Log } from "@skein/kernel";
import type { Driver } from "../replica/driver.ts";

const HAND_OVER_MAX_MS = 1000;

export class HandOver {
  readonly #clock: Clock;
  readonly #log: Log;
  /** Set while it is under way. */
  #end: (() => void) | undefined;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Calls `then` when another node leads, at once if `driver` does not lead or nobody else can. */
  begin(driver: Driver | undefined, then: () => void): void {
    if (driver?.transferLeadership() !== true) {
      then();
      return;
    }
    this.#log.info({}, "handing leadership over");
    const timer = this.#clock.after(HAND_OVER_MAX_MS, () => this.#end?.());
    this.#end = () => {
      this.#end = undefined;
      timer.cancel();
      this.#clock.atTurnEnd(then);
    };
  }

  /** Role or leader changed. */
  leadershipChanged({ leadership: { role, leader }, hasFailed }: Driver): void {
    if (role !== "leader" && (leader !== undefined || hasFailed)) this.#end?.();
  }
}
