/**
 * What a power cut, a dying card or a careless tool does to the ends of files, by a seed.
 *
 * Each file loses its tail in one of three ways: cut off, zeroed, or with bits flipped in it. How long the tail is, from
 * one byte to the whole file, is drawn so that short ones (a torn record) are as likely as long ones (lost pages).
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Prng } from "@skein/kernel";

type Kind = "truncated" | "zeroed" | "flipped";

/** What was done to one file; printed when a cycle fails. */
export interface Damage {
  readonly file: string;
  readonly kind: Kind;
  /** Bytes from here to the end are touched. */
  readonly from: number;
  readonly size: number;
}

const KINDS: readonly Kind[] = ["truncated", "zeroed", "flipped"];
const FLIPS_MAX = 8;

/** All files below `directory` for which `isWanted` is true, by relative path. */
export function filesIn(directory: string, isWanted: (path: string) => boolean): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .filter(isWanted)
    .sort();
}

/** Damages the tail of every one of `files`. */
export function damageTails(directory: string, files: readonly string[], prng: Prng): readonly Damage[] {
  return files.map((file) => damageTail(directory, file, KINDS[prng.below(KINDS.length)] ?? "zeroed", prng));
}

function damageTail(directory: string, file: string, kind: Kind, prng: Prng): Damage {
  const path = join(directory, file);
  const bytes = readFileSync(path);
  const size = bytes.length;
  const tail = Math.min(size, 1 + prng.below(2 ** (1 + prng.below(16))));
  const from = size - tail;
  if (kind === "truncated") {
    writeFileSync(path, bytes.subarray(0, from));
  } else if (kind === "zeroed") {
    writeFileSync(path, bytes.fill(0, from));
  } else {
    for (let left = size === 0 ? 0 : 1 + prng.below(FLIPS_MAX); left > 0; left--) {
      const at = from + prng.below(tail);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
    }
    writeFileSync(path, bytes);
  }
  return { file, kind, from, size };
}
