/**
 * Lets another node lead when this one's disk stands still in the middle of a write.
 *
 * Heartbeats do not wait for the disk, so the others notice nothing: only the leader itself can tell that what it leads does not
 * make progress. It gives up the address with the leadership (the lease is released before the successor campaigns). Where
 * nobody else can lead it goes on: an address that answers is worth more than none.
 *
 * Source: architecture.md section 6; reference design, trap 9.
 */

import type { Log, MonotonicMs } from "@skein/kernel";
import type { Driver } from "./driver.ts";

const ASK_AGAIN_MS = 1000;

export class DiskStall {
  readonly #log: Log;
  #askAt = 0;
  #isStalled = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Call about four times a second. */
  tick(driver: Driver | undefined, now: MonotonicMs): void {
    const isStalled = driver?.isStalled(now) === true;
    if (isStalled !== this.#isStalled) {
      this.#isStalled = isStalled;
      if (isStalled) this.#log.warn({}, "the disk has not finished a write for seconds");
      else this.#log.info({}, "the disk works again");
    }
    if (driver === undefined || !isStalled || driver.leadership.role !== "leader" || now < this.#askAt)
      return;
    this.#askAt = now + ASK_AGAIN_MS;
    if (driver.transferLeadership()) this.#log.warn({}, "handing leadership over: the disk stands still");
  }
}
