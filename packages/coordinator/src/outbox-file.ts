/**
 * What this node has acknowledged without a quorum, on its own disk until it has come through the log.
 *
 * One file of records, `length u32 | crc32c u32 | command`, that is only appended to, and removed as a whole when nothing of it is open
 * any more. A torn end is what was never acknowledged. In `replicated` a record counts as kept once the operating system has it,
 * and goes to the medium within a second; in `disk` once it is on the medium.
 *
 * Source: architecture.md section 5 (without quorum); reference design, section 4.7.
 */

import { type Disk, type DiskDone, type DiskFile, readU32, SkeinError, writeU32 } from "@skein/kernel";
import { crc32c } from "./journal/crc32c.ts";
import type { Durability } from "./journal/stop-mark.ts";

const PATH = "outbox";
const HEAD_BYTES = 8;

export class OutboxFile {
  readonly #disk: Disk;
  readonly #durability: Durability;
  #file: DiskFile | undefined;
  #length = 0;
  #isDirty = false;

  constructor(disk: Disk, durability: Durability) {
    this.#disk = disk;
    this.#durability = durability;
  }

  /** What the last run left, in order. For the start. @throws {SkeinError} ERR_SKEIN_DISK */
  read(): Uint8Array[] {
    const bytes = this.#disk.read(PATH);
    const commands: Uint8Array[] = [];
    this.#length = 0;
    if (bytes === undefined) return commands;
    while (bytes.length - this.#length >= HEAD_BYTES) {
      const begin = this.#length + HEAD_BYTES;
      const end = begin + readU32(bytes, this.#length);
      if (end > bytes.length || crc32c(bytes, 0, begin, end) !== readU32(bytes, this.#length + 4)) break;
      commands.push(new Uint8Array(bytes.subarray(begin, end)));
      this.#length = end;
    }
    return commands;
  }

  /** Appends `commands`; `done` is called when they are kept, unless the file is cleared or closed before. */
  append(commands: readonly Uint8Array[], done: DiskDone): void {
    const record = recordsOf(commands);
    const at = this.#length;
    try {
      this.#file ??= this.#disk.open(PATH);
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      done(error);
      return;
    }
    this.#length += record.length;
    this.#isDirty = true;
    const file = this.#file;
    file.write(at, record, (error) => {
      // It has come through the log meanwhile, or this node stops: nobody waits for it.
      if (this.#file !== file) return;
      if (error !== undefined || this.#durability === "replicated") done(error);
      else file.sync(done);
    });
  }

  /** About once a second: what the operating system holds goes to the medium. */
  flush(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    // If it fails, nothing worse is true than before.
    this.#file?.sync(() => {});
  }

  /** Nothing in it is open any more. */
  clear(): void {
    if (this.#length === 0) return;
    this.close();
    this.#length = 0;
    try {
      this.#disk.remove(PATH);
    } catch (error) {
      // It is read again at the next start, and each command is known by its number.
      if (!(error instanceof SkeinError)) throw error;
    }
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#isDirty = false;
  }
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
