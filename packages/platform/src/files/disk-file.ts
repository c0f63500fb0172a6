/**
 * One file that is written and synced, on Node's file descriptors.
 *
 * Writes are carried out one at a time in order, so that a short one can be continued. A sync runs beside them and
 * covers what has called back. `close` waits for everything under way: a descriptor that is closed too early could be
 * reused for another file.
 */

import { close, fdatasync, fsync, open, write } from "node:fs";
import type { DiskDone, DiskFile } from "@skein/kernel";
import { diskError } from "../system-error.ts";

export class WritableFile implements DiskFile {
  readonly #descriptor: number;
  readonly #path: string;
  /** The folder whose entry for this file is not durable yet; undefined once it is. */
  #newIn: string | undefined;
  readonly #waiting: { readonly at: number; readonly bytes: Uint8Array; readonly done: DiskDone }[] = [];
  #isWriting = false;
  #underWay = 0;
  #isClosed = false;

  /** @param newIn absolute path of the folder if the file has just been made, so that the first sync covers its name */
  constructor(descriptor: number, path: string, newIn: string | undefined) {
    this.#descriptor = descriptor;
    this.#path = path;
    this.#newIn = newIn;
  }

  write(at: number, bytes: Uint8Array, done: DiskDone): void {
    this.#begin();
    this.#waiting.push({ at, bytes, done });
    if (!this.#isWriting) this.#writeNext();
  }

  sync(done: DiskDone): void {
    this.#begin();
    const folder = this.#newIn;
    fdatasync(this.#descriptor, (error) => {
      if (error !== null) {
        this.#end(done, error, "sync");
      } else if (folder === undefined) {
        this.#end(done, null, "sync");
      } else {
        syncFolder(folder, (failed) => {
          if (failed === null) this.#newIn = undefined;
          this.#end(done, failed, "sync");
        });
      }
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  #writeNext(): void {
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#isWriting = true;
    this.#write(next.at, next.bytes, (error) => {
      this.#isWriting = false;
      this.#end(next.done, error, "write");
      if (!this.#isWriting) this.#writeNext();
    });
  }

  /** Writes in as many calls as the operating system wants. */
  #write(at: number, bytes: Uint8Array, done: (error: Error | null) => void): void {
    write(this.#descriptor, bytes, 0, bytes.length, at, (error, written) => {
      if (error === null && written < bytes.length) this.#write(at + written, bytes.subarray(written), done);
      else done(error);
    });
  }

  #begin(): void {
    if (this.#isClosed) throw new Error(`file used after close: ${this.#path}`);
    this.#underWay++;
  }

  #end(done: DiskDone, error: Error | null, what: string): void {
    this.#underWay--;
    done(error === null ? undefined : diskError(`${what} "${this.#path}"`, error));
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#isClosed || this.#underWay > 0) return;
    this.#underWay = Number.POSITIVE_INFINITY;
    // Nothing is left to lose: all that was promised has been synced and reported before.
    close(this.#descriptor, () => {});
  }
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string, done: (error: Error | null) => void): void {
  open(path, "r", (openError, descriptor) => {
    if (openError !== null) {
      done(openError);
      return;
    }
    fsync(descriptor, (error) => close(descriptor, (closeError) => done(error ?? closeError ?? null)));
  });
}
