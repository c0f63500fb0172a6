/**
 * How the journal was left: closed, by a process that died, or by a machine that stopped.
 *
 * A file stands beside the segments from opening to closing. It names the run of the machine (boot id) and the profile.
 * Where it is found, the stop was not clean: with the same boot id the operating system still had every write; with
 * another one, what had not been flushed is gone. In `replicated` that may include what was acknowledged, which its
 * server must say (architecture.md, section 5).
 */

import { type Disk, decodeUtf8, encodeUtf8Into, SkeinError, utf8Length } from "@skein/kernel";
import { stopMarkPath } from "./files.ts";

/** When entries count as written: once the operating system has them, or once the medium has them. */
export type Durability = "replicated" | "disk";

/** How the last run ended, and the profile it ran with. */
export interface LastStop {
  readonly kind: "clean" | "process" | "machine";
  readonly durability: Durability;
}

const MARK = /^(replicated|disk) (\S+)\n$/;
const NO_BOOT_ID = "unknown";

/** Reads the mark. `bootId`: of the present run of the machine; undefined: not known, so it may be another one. */
export function readStopMark(disk: Disk, folder: string, bootId: string | undefined): LastStop {
  const text = readText(disk, stopMarkPath(folder));
  if (text === undefined) return { kind: "clean", durability: "replicated" };
  const [, durability, bootIdThen] = MARK.exec(text) ?? [];
  const isSameRun = bootId !== undefined && bootIdThen === bootId;
  return {
    kind: isSameRun ? "process" : "machine",
    durability: durability === "disk" ? "disk" : "replicated",
  };
}

/** Says that the journal is open. @throws {SkeinError} ERR_SKEIN_DISK, ERR_SKEIN_DISK_FULL */
export function writeStopMark(
  disk: Disk,
  folder: string,
  durability: Durability,
  bootId: string | undefined,
): void {
  const text = `${durability} ${bootId ?? NO_BOOT_ID}\n`;
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  disk.replaceNow(stopMarkPath(folder), bytes);
}

/** Undefined: there is no mark. A damaged one is a mark of the most that can have happened. */
function readText(disk: Disk, path: string): string | undefined {
  try {
    const bytes = disk.read(path);
    return bytes === undefined ? undefined : decodeUtf8(bytes, 0, bytes.length);
  } catch (error) {
    if (error instanceof SkeinError) return "";
    throw error;
  }
}
