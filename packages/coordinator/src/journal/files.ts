/** Names of the files in a journal's folder, and the rule for those that are set aside. */

import { type Disk, type Log, SkeinError } from "@skein/kernel";

/** Damaged files kept for whoever wants to look; older ones are removed, so that a dying card cannot fill itself. */
const SET_ASIDE_MAX = 16;

const SEGMENT_NAME = /^(\d{10})\.log$/;
const PART_NAME = /^(\d{10})\.part$/;
export const RESERVE_NAME = "reserve";
const SET_ASIDE_NAME = /\.bad-\d+$/;

export function segmentPath(folder: string, number: number): string {
  return `${folder}/${String(number).padStart(10, "0")}.log`;
}

/** Parts of snapshots; see part-files.ts. */
export function partFilePath(folder: string, number: number): string {
  return `${folder}/${String(number).padStart(10, "0")}.part`;
}

export function snapshotPath(folder: string): string {
  return `${folder}/snapshot`;
}

/** Exists while entries that were acknowledged may be missing here; holds term and vote as far as they were found. */
export function suspectPath(folder: string): string {
  return `${folder}/suspect`;
}

/** Exists while the journal is open, and after it was not closed; see stop-mark.ts. */
export function stopMarkPath(folder: string): string {
  return `${folder}/running`;
}

/** Bytes held back for a full disk; see reserve.ts. */
export function reservePath(folder: string): string {
  return `${folder}/${RESERVE_NAME}`;
}

/** Numbers of the segments in `folder`, ascending. @throws {SkeinError} ERR_SKEIN_DISK */
export function listSegments(disk: Disk, folder: string): readonly number[] {
  return listNumbers(disk, folder, SEGMENT_NAME);
}

/** Numbers of the files with parts of snapshots, ascending. @throws {SkeinError} ERR_SKEIN_DISK */
export function listPartFiles(disk: Disk, folder: string): readonly number[] {
  return listNumbers(disk, folder, PART_NAME);
}

function listNumbers(disk: Disk, folder: string, form: RegExp): readonly number[] {
  const numbers: number[] = [];
  for (const name of disk.list(folder)) {
    const match = form.exec(name);
    if (match?.[1] !== undefined) numbers.push(Number(match[1]));
  }
  return numbers.sort((a, b) => a - b);
}

/** The content of `path`, or undefined where the medium cannot give it back (which is damage, not an error). */
export function readOrDamaged(disk: Disk, path: string): Uint8Array | "missing" | "unreadable" {
  try {
    return disk.read(path) ?? "missing";
  } catch (error) {
    if (error instanceof SkeinError) return "unreadable";
    throw error;
  }
}

/** Removes `path`; returns why it cannot. */
export function removeOrError(disk: Disk, path: string): SkeinError | undefined {
  try {
    disk.remove(path);
    return undefined;
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
}

/** Renames `path` to its damaged name and returns that. @throws {SkeinError} ERR_SKEIN_DISK */
export function setAside(disk: Disk, path: string, wallMs: number): string {
  const kept = asidePath(path, wallMs);
  disk.rename(path, kept);
  return kept;
}

/** Keeps a copy of a damaged file whose good part lives on under the old name. @throws {SkeinError} ERR_SKEIN_DISK */
export function keepCopy(disk: Disk, path: string, bytes: Uint8Array, wallMs: number): string {
  const kept = asidePath(path, wallMs);
  disk.replaceNow(kept, bytes);
  return kept;
}

/** Removes the files that were set aside first, until few enough are left; none that is needed, set aside at `neededSince` or later. */
export function pruneSetAside(disk: Disk, folder: string, log: Log, neededSince: number): void {
  const kept = disk.list(folder).filter(isAside);
  kept.sort((a, b) => asideTime(a) - asideTime(b));
  for (const name of kept.slice(0, Math.max(0, kept.length - SET_ASIDE_MAX))) {
    if (asideTime(name) >= neededSince) return;
    disk.remove(`${folder}/${name}`);
    log.info({ file: `${folder}/${name}` }, "removed an old damaged file");
  }
}

/** The name under which a damaged file, or a wrong state, is kept. */
export function asidePath(path: string, wallMs: number): string {
  return `${path}.bad-${Math.max(0, Math.floor(wallMs))}`;
}

/** Whether `name` is that of a file that was set aside. */
export function isAside(name: string): boolean {
  return SET_ASIDE_NAME.test(name);
}

/** When the file of this name was set aside. */
export function asideTime(name: string): number {
  return Number(name.slice(name.lastIndexOf("-") + 1));
}
