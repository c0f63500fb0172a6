/**
 * Parts of snapshots that never change, in files of their own: each is written once, however many snapshots have it.
 *
 * The journal is given arrays, and knows one that it has written by the array itself, so it needs neither to compare nor to trust a hash.
 * A snapshot's file names the place of every part, and its checksum. The order makes one whole snapshot of every power cut: new parts
 * are on the medium before the file that names them replaces the one before, and what no snapshot names any more goes only after that.
 * So what is found without a name at start is from a snapshot that was not completed, or a removed name that came back.
 *
 * Several parts share a file, because each costs a sync. What is dead in a file stays there until it is more than half of it; then the
 * rest is written again like new parts, so that files are at most twice what is named.
 *
 * Source: Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File System" (1992), for cleaning by copying;
 * LevelDB's version edits, for the order.
 */

import type { Disk, DiskDone, SkeinError } from "@skein/kernel";
import { crc32c } from "./crc32c.ts";
import { listPartFiles, partFilePath, removeOrError } from "./files.ts";

/** Parts are gathered into a file until it has so many bytes: some milliseconds of checksum, and one sync. */
const FILE_BYTES = 4 * 1024 * 1024;

/** Where a part stands. */
export interface PartPlace {
  readonly file: number;
  /** In bytes from the beginning of the file. */
  readonly at: number;
  readonly length: number;
  /** CRC-32C. */
  readonly checksum: number;
}

type Places = ReadonlyMap<Uint8Array, PartPlace>;

/** What the snapshot on the disk names. */
export interface FoundParts {
  readonly places: Places;
  /** Length of each file, in bytes. */
  readonly fileBytes: ReadonlyMap<number, number>;
}

/** Undefined: one of the files could not be written. Else where each part stands, in their order. */
type Written = (places: readonly PartPlace[] | undefined, error: SkeinError | undefined) => void;

export class PartFiles {
  readonly #disk: Disk;
  readonly #folder: string;
  /** Of parts that were written as a whole; their files may have gone since. Keeps none in memory that nobody else has. */
  readonly #places: WeakMap<Uint8Array, PartPlace>;
  /** Of all files, by number; 0: nothing in it is named. */
  readonly #fileBytes: Map<number, number>;
  #nextFile: number;

  constructor(disk: Disk, folder: string, { places, fileBytes }: FoundParts) {
    this.#disk = disk;
    this.#folder = folder;
    this.#places = new WeakMap(places);
    const files = listPartFiles(disk, folder);
    this.#fileBytes = new Map([...files.map((file) => [file, 0] as const), ...fileBytes]);
    this.#nextFile = (files.at(-1) ?? 0) + 1;
  }

  /** Writes those of `parts` durably that are not on the medium yet. Nothing else may be asked before it is done. */
  write(parts: readonly Uint8Array[], done: Written): void {
    const places = new Map(this.#wellKept(parts));
    const files = gathered(parts.filter((part) => !places.has(part)));
    const first = this.#nextFile;
    const next: DiskDone = (error) => {
      const file = error === undefined ? files.shift() : undefined;
      if (file !== undefined) {
        const number = this.#nextFile++;
        for (const [part, place] of placed(file, number)) places.set(part, place);
        this.#fileBytes.set(number, bytesOf(file));
        this.#disk.replace(partFilePath(this.#folder, number), file, next);
        return;
      }
      if (error !== undefined) {
        done(undefined, this.#remove((number) => number >= first) ?? error);
        return;
      }
      for (const [part, place] of places) this.#places.set(part, place);
      done(
        parts.map((part) => places.get(part) as PartPlace),
        undefined,
      );
    };
    next(undefined);
  }

  /** The snapshot on the medium names `parts` and nothing else: all other files go. Returns what went wrong. */
  keepOnly(parts: readonly Uint8Array[]): SkeinError | undefined {
    const files = new Set(parts.map((part) => this.#places.get(part)?.file));
    return this.#remove((number) => !files.has(number));
  }

  /** Those of `parts` that are on the medium, but for what is the smaller half of its file. */
  #wellKept(parts: readonly Uint8Array[]): Places {
    const named = new Map<number, number>();
    const found = new Map<Uint8Array, PartPlace>();
    for (const part of parts) {
      const place = this.#places.get(part);
      if (place === undefined || !this.#fileBytes.has(place.file)) continue;
      found.set(part, place);
      named.set(place.file, (named.get(place.file) ?? 0) + place.length);
    }
    for (const [part, { file }] of found)
      if ((named.get(file) ?? 0) * 2 < (this.#fileBytes.get(file) ?? 0)) found.delete(part);
    return found;
  }

  #remove(isMeant: (file: number) => boolean): SkeinError | undefined {
    for (const file of [...this.#fileBytes.keys()].filter(isMeant)) {
      const error = removeOrError(this.#disk, partFilePath(this.#folder, file));
      if (error !== undefined) return error;
      this.#fileBytes.delete(file);
    }
    return undefined;
  }
}

/** In order, as many to a file as make it large enough. */
function gathered(parts: readonly Uint8Array[]): Uint8Array[][] {
  const files: Uint8Array[][] = [];
  let bytes = FILE_BYTES;
  for (const part of parts) {
    if (bytes >= FILE_BYTES) {
      files.push([]);
      bytes = 0;
    }
    files.at(-1)?.push(part);
    bytes += part.length;
  }
  return files;
}

function placed(parts: readonly Uint8Array[], file: number): Places {
  let at = 0;
  const places = new Map<Uint8Array, PartPlace>();
  for (const part of parts) {
    places.set(part, { file, at, length: part.length, checksum: crc32c(part) });
    at += part.length;
  }
  return places;
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((bytes, part) => bytes + part.length, 0);
}
