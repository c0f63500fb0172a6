/** How much memory and disk there is for what a node keeps. */

import { readdirSync, statfsSync, statSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { codeOf } from "../system-error.ts";

export interface Room {
  /** Of the machine, or of the container that this process may use. */
  readonly memoryBytes: number;
  /** Free on the disk of the folder, and what the folder has taken of it; undefined: not known. */
  readonly diskBytes: number | undefined;
}

/** As of now. `folder`: absolute path of one that exists. */
export function systemRoom(folder: string): Room {
  const limit = process.constrainedMemory();
  const memoryBytes = limit > 0 ? Math.min(totalmem(), limit) : totalmem();
  try {
    const { bavail, bsize } = statfsSync(folder);
    return { memoryBytes, diskBytes: bavail * bsize + takenBy(folder) };
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return { memoryBytes, diskBytes: undefined };
  }
}

function takenBy(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  return bytes;
}
