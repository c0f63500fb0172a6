/**
 * How often this node's disk has failed, remembered over the restarts that each failure leads to.
 *
 * One failure may be a loose contact. Twice within an hour means a dying disk, and a node with one should not vote: each
 * failure costs the mesh a voter until the node has caught up. After a day without another one it is trusted again.
 *
 * The times stand in a file on the disk that has just failed, so they are kept as well as that disk can. Where not even that
 * write succeeds, neither does the one that every start begins with (identity.ts), and the node stays away by itself.
 *
 * Source: reference design 1.10 ("twice in an hour -> the node resigns as voter").
 */

import {
  type Clock,
  type Disk,
  decodeUtf8,
  encodeUtf8Into,
  type Log,
  SkeinError,
  utf8Length,
} from "@skein/kernel";

const FILE = "disk-failures.json";
/** Two failures that are not further apart make a dying disk, in ms. */
const TWICE_WITHIN_MS = 60 * 60 * 1000;
/** Without another failure for so long, in ms, it is trusted again. */
const TRUSTED_AFTER_MS = 24 * 60 * 60 * 1000;

const EXPLANATION =
  "Nothing more is acknowledged by this node. It restarts, checks its files and takes what it lacks from the others";

export interface DiskFailuresPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
}

export class DiskFailures {
  readonly #ports: DiskFailuresPorts;
  /** Wall-clock times of the last two, the older one first. */
  #times: readonly number[];
  #isWriting = false;
  #written: (() => void)[] = [];

  constructor(ports: DiskFailuresPorts) {
    this.#ports = ports;
    this.#times = load(ports);
  }

  /** The disk is dying: it failed twice within an hour, less than a day ago. */
  get isDying(): boolean {
    const [first, second] = this.#times;
    if (first === undefined || second === undefined) return false;
    const sinceMs = this.#ports.clock.wallMs() - second;
    // A wall clock that was set back says nothing about the disk.
    return second - first <= TWICE_WITHIN_MS && sinceMs < TRUSTED_AFTER_MS;
  }

  /** The disk has failed just now: `error`, the first of this run. */
  note(error: Error): void {
    const { clock, disk, log } = this.#ports;
    log.error({ error: error.message, explanation: EXPLANATION }, "the disk failed");
    // A full disk, and data that the cluster lost, are other matters.
    if (!(error instanceof SkeinError) || error.code !== "ERR_SKEIN_DISK") return;
    const now = clock.wallMs();
    this.#times = [...this.#times.filter((time) => time <= now), now].slice(-2);
    const text = `${JSON.stringify({ failedAt: this.#times })}\n`;
    const bytes = new Uint8Array(utf8Length(text));
    encodeUtf8Into(text, bytes, 0);
    this.#isWriting = true;
    disk.replace(FILE, bytes, (failed) => {
      if (failed !== undefined) log.warn({ error: failed.message }, "cannot note the failure of the disk");
      this.#isWriting = false;
      for (const written of this.#written.splice(0)) written();
    });
  }

  /** Calls back once nothing is being written. */
  whenWritten(callback: () => void): void {
    if (this.#isWriting) this.#written.push(callback);
    else callback();
  }
}

/** Empty where there is no such file, or none that can be understood (P12). */
function load({ disk, log }: DiskFailuresPorts): readonly number[] {
  try {
    const bytes = disk.read(FILE);
    if (bytes === undefined) return [];
    const content: unknown = JSON.parse(decodeUtf8(bytes, 0, bytes.length));
    const { failedAt } = content as { readonly failedAt?: unknown };
    if (!Array.isArray(failedAt)) return [];
    return failedAt.filter((time): time is number => Number.isFinite(time)).slice(-2);
  } catch (error) {
    log.warn({ file: FILE, reason: String(error) }, "the list of disk failures is unreadable and ignored");
    return [];
  }
}
