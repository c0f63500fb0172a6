/**
 * Reads the snapshot of a journal, with its parts if it has any, and clears away parts that no snapshot names.
 *
 * One bit that is wrong anywhere makes the whole snapshot damaged: it would be another state than the log has made.
 */

import type { Disk } from "@skein/kernel";
import type { Snapshot } from "raft-js";
import { crc32c } from "./crc32c.ts";
import { listPartFiles, partFilePath, readOrDamaged, snapshotPath } from "./files.ts";
import type { FoundParts, PartPlace } from "./part-files.ts";
import { decodeRecord, type PartedSnapshot } from "./record.ts";

/** What a journal has of its snapshot. */
export interface SavedSnapshot {
  /** Undefined: there is none. */
  readonly snapshot: Snapshot | undefined;
  /** What its data need besides; undefined: it was written as a whole. */
  readonly parts: readonly Uint8Array[] | undefined;
  readonly found: FoundParts;
}

export const NO_SNAPSHOT: SavedSnapshot = {
  snapshot: undefined,
  parts: undefined,
  found: { places: new Map(), fileBytes: new Map() },
};

/** Undefined: it is damaged, or one of its parts is. */
export function readSavedSnapshot(disk: Disk, folder: string): SavedSnapshot | undefined {
  const bytes = readOrDamaged(disk, snapshotPath(folder));
  if (bytes === "missing") return NO_SNAPSHOT;
  const decoded = bytes === "unreadable" ? undefined : decodeRecord(bytes, 0);
  if (decoded === undefined || bytes === "unreadable") return undefined;
  const { record, end } = decoded;
  if (record.kind === "snapshot" && end === bytes.length)
    return { ...NO_SNAPSHOT, snapshot: record.snapshot };
  if (record.kind !== "partedSnapshot") return undefined;
  const { parts: places, dataBytes, dataChecksum, ...point } = record.snapshot;
  const data = bytes.slice(end);
  if (data.length !== dataBytes || crc32c(data) !== dataChecksum) return undefined;
  const read = readParts(disk, folder, places);
  return read === undefined ? undefined : { snapshot: { ...point, data }, ...read };
}

/** Removes the files that have no part of `saved`. @throws {SkeinError} ERR_SKEIN_DISK */
export function removeUnnamed(disk: Disk, folder: string, { found }: SavedSnapshot): void {
  for (const file of listPartFiles(disk, folder))
    if (!found.fileBytes.has(file)) disk.remove(partFilePath(folder, file));
}

function readParts(
  disk: Disk,
  folder: string,
  named: PartedSnapshot["parts"],
): Pick<SavedSnapshot, "parts" | "found"> | undefined {
  const parts: Uint8Array[] = [];
  const places = new Map<Uint8Array, PartPlace>();
  const fileBytes = new Map<number, number>();
  let file = -1;
  let bytes: ReturnType<typeof readOrDamaged> = "missing";
  for (const place of named) {
    // Parts that were written together are named together.
    if (place.file !== file) bytes = readOrDamaged(disk, partFilePath(folder, place.file));
    file = place.file;
    if (typeof bytes === "string") return undefined;
    // A copy: each part can be let go of by itself.
    const part = bytes.slice(place.at, place.at + place.length);
    if (part.length !== place.length || crc32c(part) !== place.checksum) return undefined;
    parts.push(part);
    places.set(part, place);
    fileBytes.set(file, bytes.length);
  }
  return { parts, found: { places, fileBytes } };
}
