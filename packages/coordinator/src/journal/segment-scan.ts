/**
 * Reads the records of one segment, and tells a clean end, a torn end and rot apart.
 *
 * A write that power or a crash cut short leaves a bad record with nothing but records of its own batch after it: that
 * end was never acknowledged (as far as the profile promises) and may go. A bad record with one of a later batch
 * anywhere after it is damage to something that was complete once, and may have been acknowledged; whoever reads must
 * know, and must still see what stands after it (a vote, for example). The one ambiguity, rot of exactly the last
 * batch, is accepted; recovery.ts says where it still makes a server suspect.
 *
 * Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (reference design 1.10).
 */

import { readU32 } from "@skein/kernel";
import { BatchHash } from "./batch.ts";
import { decodeRecord, HEADER_BYTES, type JournalRecord, plausibleEnd } from "./record.ts";

/** Bytes of checksum work spent on looking for good records after a bad one. When used up, the rest counts as rotten. */
const RESYNC_BYTES_MAX = 128 * 1024 * 1024;

interface ScannedRecord {
  readonly record: JournalRecord;
  /** Offset behind it. */
  readonly end: number;
  /** Hash of its batch as far as it goes with this record: what a batch that follows must name. */
  readonly hash: number;
}

export interface SegmentScan {
  /** The good records from the start on. */
  readonly records: readonly ScannedRecord[];
  /** Length of the good part; where the damage starts, if there is any. */
  readonly goodBytes: number;
  /**
   * `none`: good to the end. `torn`: nothing of a later batch after `goodBytes`. `rotten`: something of a later batch,
   * or too much to tell.
   */
  readonly damage: "none" | "torn" | "rotten";
  /**
   * Good records after the damage. Their order is theirs in the file; what stood between them is unknown. `isInside`: it
   * stands within a bad record whose length seems to be right, so it may be a part of somebody's message.
   */
  readonly after: readonly { readonly record: JournalRecord; readonly isInside: boolean }[];
}

/**
 * Scans the content of the segment of number `generation`. Never throws, whatever `bytes` are.
 *
 * @param expected hash of the batch before the first one; 0: not known
 */
export function scanSegment(bytes: Uint8Array, generation: number, expected = 0): SegmentScan {
  const records: ScannedRecord[] = [];
  const batch = new BatchHash();
  let previous: number | undefined;
  let hash = expected;
  let at = 0;
  for (;;) {
    const decoded = decodeRecord(bytes, at, generation);
    if (decoded === undefined) break;
    if (decoded.previous !== previous) {
      // The first record of a batch: it must name the batch that ends here, unless one of the two is not known.
      const isKnown = previous !== undefined || (hash !== 0 && decoded.previous !== 0);
      if (isKnown && decoded.previous !== hash) break;
      previous = decoded.previous;
      batch.reset();
    }
    batch.add(decoded.checksum);
    hash = batch.seal(decoded.previous);
    at = decoded.end;
    records.push({ record: decoded.record, end: at, hash });
  }
  const { after, isExhausted, isOneBatch } = resynchronize(bytes, at, generation, [previous, hash]);
  const isRotten = isExhausted || (after.length > 0 && !isOneBatch);
  if (isRotten) return { records, goodBytes: at, damage: "rotten", after };
  const isClean = after.length === 0 && isEnd(bytes, at, generation);
  return { records, goodBytes: at, damage: isClean ? "none" : "torn", after };
}

/**
 * Whether the writer stopped at `at` by its own will: behind a batch, or before the first one of this segment. A record of this segment whose
 * length has become 0 looks like the end mark, but for its generation: what stands behind a real one is old, or nothing.
 */
function isEnd(bytes: Uint8Array, at: number, generation: number): boolean {
  if (at === 0) return bytes.length === 0 || isRecycled(bytes);
  if (at + 4 > bytes.length || readU32(bytes, at) !== 0) return false;
  return at + HEADER_BYTES + 4 > bytes.length || readU32(bytes, at + HEADER_BYTES) !== generation;
}

/** A segment that still begins with the record it began with under an earlier number. */
function isRecycled(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES + 4) return false;
  return decodeRecord(bytes, 0, readU32(bytes, HEADER_BYTES))?.record.kind === "segment";
}

/** Finds every good record after the bad one at `damagedAt`; `batches` are what records of the batch in it may name. */
function resynchronize(
  bytes: Uint8Array,
  damagedAt: number,
  generation: number,
  batches: readonly (number | undefined)[],
): { readonly after: SegmentScan["after"]; readonly isExhausted: boolean; readonly isOneBatch: boolean } {
  const after: SegmentScan["after"][number][] = [];
  let isOneBatch = true;
  let work = 0;
  // The length of the bad record is not trusted: a wrong one could jump over a vote.
  let at = damagedAt;
  let badUntil = damagedAt;
  while (at < bytes.length - HEADER_BYTES) {
    const end = plausibleEnd(bytes, at, generation);
    if (end === undefined) {
      at++;
      continue;
    }
    work += end - at;
    if (work > RESYNC_BYTES_MAX) return { after, isExhausted: true, isOneBatch };
    const decoded = decodeRecord(bytes, at, generation);
    if (decoded === undefined) {
      if (at >= badUntil && decodeRecord(bytes, end, generation) !== undefined) badUntil = end;
      at++;
    } else {
      after.push({ record: decoded.record, isInside: at < badUntil });
      isOneBatch &&= decoded.previous !== 0 && batches.includes(decoded.previous);
      at = decoded.end;
    }
  }
  return { after, isExhausted: false, isOneBatch };
}
