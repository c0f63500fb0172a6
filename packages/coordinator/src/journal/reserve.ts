/**
 * Room held back for the day the disk is full: one file of nothing, given up when a write finds no room.
 *
 * Terms and votes must still be written then, and what other nodes commit, so that a full disk costs new durable messages
 * and not the mesh. The file comes back when there is room again; only then are durable messages taken again.
 *
 * To find out by writing puts up to a megabyte onto a full card each time. So the file system is asked first, and the file written when it says that there
 * is room for it and for as much again, or it would be given up at once. What it says need not be true (quotas, what only root may
 * use), so it is tried now and then in any case, and no more often than that after it was wrong.
 *
 * Source: reference design 1.10 (ENOSPC); etcd and ZooKeeper operators keep such a file by hand.
 */

import { type Disk, SkeinError } from "@skein/kernel";
import { RESERVE_NAME, reservePath } from "./files.ts";

/** The file is tried to be written this often whatever the file system says, in calls of `restore`. */
const CALLS_PER_TRY = 10;

export class Reserve {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #bytes: number;
  #isHeld = false;
  #calls = 0;
  #isTrying = false;
  /** It was written when there was said to be room, and there was none. */
  #isDoubtful = false;

  /** `bytes` 0: no reserve. */
  constructor(disk: Disk, folder: string, bytes: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#bytes = bytes;
  }

  /** Makes the file if it is not there. A disk that is full already goes without. @throws {SkeinError} ERR_SKEIN_DISK */
  hold(): void {
    if (this.#bytes === 0) return;
    try {
      // Replaced as a whole, so what is there is all there; reading a megabyte of nothing would tell no more.
      if (!this.#disk.list(this.#folder).includes(RESERVE_NAME)) {
        this.#disk.replaceNow(reservePath(this.#folder), zeros(this.#bytes));
      }
      this.#isHeld = true;
    } catch (error) {
      if (!(error instanceof SkeinError) || error.code !== "ERR_SKEIN_DISK_FULL") throw error;
    }
  }

  /** Gives the room away. False: there was none left to give. @throws {SkeinError} ERR_SKEIN_DISK */
  release(): boolean {
    if (!this.#isHeld) return false;
    this.#isHeld = false;
    this.#disk.remove(reservePath(this.#folder));
    return true;
  }

  /** Gets the room back if there is some; calls `done` if it is there again. Call about once a second. */
  restore(done: () => void): void {
    const isDue = ++this.#calls % CALLS_PER_TRY === 0;
    if (this.#isTrying || (this.#isDoubtful && !isDue)) return;
    this.#isTrying = true;
    // Without a reserve the room for one block shows as much as can be shown.
    const bytes = Math.max(this.#bytes, 4096);
    if (isDue) this.#try(bytes, false, done);
    else
      this.#disk.freeBytes((free = 0) => {
        if (free >= 2 * bytes) this.#try(bytes, true, done);
        else this.#isTrying = false;
      });
  }

  #try(bytes: number, isRoomSaid: boolean, done: () => void): void {
    this.#disk.replace(reservePath(this.#folder), zeros(bytes), (error) => {
      this.#isTrying = false;
      if (error !== undefined) {
        this.#isDoubtful ||= isRoomSaid;
        return;
      }
      this.#isDoubtful = false;
      if (this.#bytes === 0) this.#disk.remove(reservePath(this.#folder));
      this.#isHeld = this.#bytes > 0;
      done();
    });
  }
}

/** Made once: a disk that stays full is asked again every few seconds. */
let nothing: Uint8Array = new Uint8Array(0);

function zeros(length: number): Uint8Array {
  if (nothing.length < length) nothing = new Uint8Array(length);
  return nothing.subarray(0, length);
}
