/**
 * What this node has acknowledged without a quorum, on its own disk until it has come through the log.
 *
 * One file of records, `length u32 | crc32c u32 | command`, that is only appended to, and removed as a whole when nothing of it is open
 * any more. A torn end is what was never acknowledged. In `replicated` a record counts as kept once the operating system has it,
 * and goes to the medium within a second; in `disk` once it is on the medium.
 *
 * A hole would hide everything behind it. So one thing is done at a time: what a full disk did not take is written over by what comes next, and
 * after a failed sync, which may have dropped what was written, all since the last good one is written once more.
 *
 * Source: architecture.md section 5 (without quorum); reference design, section 4.7.
 */

import { type Disk, type DiskDone, type DiskFile, readU32, SkeinError, writeU32 } from "@skein/kernel";
import { crc32c } from "../journal/crc32c.ts";
import type { Durability } from "../journal/stop-mark.ts";

const PATH = "outbox";
const HEAD_BYTES = 8;

interface Append {
  readonly record: Uint8Array;
  readonly done: DiskDone;
}

export class OutboxFile {
  readonly #disk: Disk;
  readonly #durability: Durability;
  #file: DiskFile | undefined;
  /** Bytes that are on the medium. */
  #safe = 0;
  /** Behind them, written since, in order. */
  #unsafe: Uint8Array[] = [];
  #waiting: Append[] = [];
  #isBusy = false;
  #isFlushDue = false;
  /** A sync has failed: what is not safe must be written again. */
  #isDoubtful = false;

  constructor(disk: Disk, durability: Durability) {
    this.#disk = disk;
    this.#durability = durability;
  }

  /** What the last run left, in order. For the start. @throws {SkeinError} ERR_SKEIN_DISK */
  read(): Uint8Array[] {
    const bytes = this.#disk.read(PATH);
    const commands: Uint8Array[] = [];
    this.#safe = 0;
    if (bytes === undefined) return commands;
    while (bytes.length - this.#safe >= HEAD_BYTES) {
      const begin = this.#safe + HEAD_BYTES;
      const end = begin + readU32(bytes, this.#safe);
      if (end > bytes.length || crc32c(bytes, 0, begin, end) !== readU32(bytes, this.#safe + 4)) break;
      commands.push(new Uint8Array(bytes.subarray(begin, end)));
      this.#safe = end;
    }
    return commands;
  }

  /** Appends `commands`; `done` is called when they are kept, unless the file is cleared or closed before. */
  append(commands: readonly Uint8Array[], done: DiskDone): void {
    this.#waiting.push({ record: recordsOf(commands), done });
    this.#next();
  }

  /** About once a second: what the operating system holds goes to the medium. */
  flush(): void {
    this.#isFlushDue = this.#unsafe.length > 0;
    this.#next();
  }

  /** Nothing in it is open any more. */
  clear(): void {
    if (this.#file === undefined && this.#safe === 0 && this.#unsafe.length === 0) return;
    this.close();
    this.#safe = 0;
    this.#unsafe = [];
    this.#isDoubtful = false;
    try {
      this.#disk.remove(PATH);
    } catch (error) {
      // It is read again at the next start, and each command is known by its number.
      if (!(error instanceof SkeinError)) throw error;
    }
  }

  /** What is appended afterwards (a node that stops takes leave of its clients) still goes behind what was written. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#waiting = [];
    this.#isBusy = false;
    this.#isFlushDue = false;
  }

  #next(): void {
    if (this.#isBusy) return;
    if (this.#waiting.length > 0 || (this.#isDoubtful && this.#isFlushDue)) this.#write();
    else if (this.#isFlushDue) this.#sync([]);
  }

  #write(): void {
    const appends = this.#waiting;
    this.#waiting = [];
    const again = this.#isDoubtful ? this.#unsafe : [];
    const at = this.#safe + (this.#isDoubtful ? 0 : lengthOf(this.#unsafe));
    const fresh = appends.map(({ record }) => record);
    const written = (error: SkeinError | undefined): void => {
      if (error !== undefined) {
        settle(appends, error);
        return;
      }
      this.#unsafe.push(...fresh);
      this.#isDoubtful = false;
      if (this.#durability === "replicated") settle(appends, undefined);
      else this.#sync(appends);
    };
    try {
      this.#file ??= this.#disk.open(PATH);
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      settle(appends, error);
      return;
    }
    const file = this.#file;
    this.#isBusy = true;
    file.write(at, joined([...again, ...fresh]), (error) => this.#completed(file, () => written(error)));
  }

  #sync(appends: readonly Append[]): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#isBusy = true;
    this.#isFlushDue = false;
    file.sync((error) =>
      this.#completed(file, () => {
        this.#isDoubtful = error !== undefined;
        if (error === undefined) {
          this.#safe += lengthOf(this.#unsafe);
          this.#unsafe = [];
        }
        settle(appends, error);
      }),
    );
  }

  #completed(file: DiskFile, then: () => void): void {
    // It has come through the log meanwhile, or this node stops: nobody waits for it.
    if (this.#file !== file) return;
    this.#isBusy = false;
    then();
    this.#next();
  }
}

function settle(appends: readonly Append[], error: SkeinError | undefined): void {
  for (const { done } of appends) done(error);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function recordsOf(commands: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(commands.reduce((sum, { length }) => sum + HEAD_BYTES + length, 0));
  let at = 0;
  for (const command of commands) {
    writeU32(out, at, command.length);
    writeU32(out, at + 4, crc32c(command));
    out.set(command, at + HEAD_BYTES);
    at += HEAD_BYTES + command.length;
  }
  return out;
}
