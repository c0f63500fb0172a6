/**
 * Writes that find no room on the disk: that is no failure, it may pass.
 *
 * First the reserve is given up, then the write waits and is tried again now and then, and everything behind it waits with
 * it. `isFull` says so until the reserve is back, so that nothing new is taken that is meant to last.
 *
 * Source: reference design 1.10 (ENOSPC).
 */

import { type DiskDone, type Log, SkeinError } from "@skein/kernel";
import type { Reserve } from "./reserve.ts";

export class Room {
  readonly #reserve: Reserve;
  readonly #log: Log;
  #isFull = false;
  #isClosed = false;
  /** What waits for room. */
  #stalled: { readonly retry: () => void; readonly giveUp: DiskDone } | undefined;

  constructor(reserve: Reserve, log: Log) {
    this.#reserve = reserve;
    this.#log = log;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Carries `work` out, again and again as long as it finds no room. One at a time. */
  carryOut(work: (done: DiskDone) => void, done: DiskDone): void {
    work((error) => {
      if (!isNoRoom(error)) {
        done(error);
        return;
      }
      this.noteFull(error);
      const retry = (): void => this.carryOut(work, done);
      if (this.#isClosed) done(error);
      else if (this.#reserve.release()) retry();
      else this.#stalled = { retry, giveUp: done };
    });
  }

  noteFull(error: SkeinError): void {
    if (this.#isFull) return;
    this.#isFull = true;
    this.#log.error({ error: error.message }, "disk full: no durable messages are taken until there is room");
  }

  /** Tries again what waits, or to get the reserve back. Call about once a second while `isFull`. */
  tryAgain(): void {
    const stalled = this.#stalled;
    if (stalled !== undefined) {
      this.#stalled = undefined;
      stalled.retry();
      return;
    }
    this.#reserve.restore(() => {
      this.#isFull = false;
      this.#log.info({}, "there is room on the disk again");
    });
  }

  /** Nothing waits any more: it is given up. */
  close(): void {
    this.#isClosed = true;
    const stalled = this.#stalled;
    this.#stalled = undefined;
    stalled?.giveUp(new SkeinError("ERR_SKEIN_DISK_FULL", "Cannot write the journal: no space left"));
  }
}

export function isNoRoom(error: SkeinError | undefined): error is SkeinError {
  return error?.code === "ERR_SKEIN_DISK_FULL";
}
