/**
 * At most one sync of a file at a time; whoever asks meanwhile shares the next one, also of those who ask before it is closed.
 *
 * A sync that is under way may have passed the bytes written since, so it cannot answer for them. Many small syncs are
 * what wears a card out and stalls it (reference design 1.9).
 */

import type { DiskDone, DiskFile } from "@skein/kernel";
import type { FlushTimes } from "./flush-times.ts";

export class SyncGate {
  readonly #file: DiskFile;
  readonly #times: FlushTimes;
  #waiting: DiskDone[] = [];
  #isBusy = false;
  #isClosed = false;

  constructor(file: DiskFile, times: FlushTimes) {
    this.#file = file;
    this.#times = times;
  }

  /** Calls back once everything appended before this call is on the medium. */
  sync(done: DiskDone): void {
    this.#waiting.push(done);
    if (!this.#isBusy) this.#next();
  }

  /** Closes the file once everybody who has asked is answered. */
  close(): void {
    this.#isClosed = true;
    if (!this.#isBusy && this.#waiting.length === 0) this.#file.close();
  }

  #next(): void {
    const served = this.#waiting;
    if (served.length === 0) {
      if (this.#isClosed) this.#file.close();
      return;
    }
    this.#waiting = [];
    this.#isBusy = true;
    const begunAt = this.#times.begun();
    this.#file.sync((error) => {
      this.#isBusy = false;
      this.#times.ended(begunAt);
      for (const done of served) done(error);
      if (!this.#isBusy) this.#next();
    });
  }
}
