/**
 * Reads the records of one segment, and tells a torn end from rot.
 *
 * A write that power or a crash cut short leaves a bad record with nothing after it: that end was never acknowledged
 * and may go. A bad record with a good one anywhere after it is damage to something that was complete once, and may
 * have been acknowledged; whoever reads must know, and must still see what stands after it (a vote, for example).
 * The one ambiguity, rot of exactly the last record, is accepted.
 *
 * Source: Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018 (reference design 1.10).
 */

import { decodeRecord, HEADER_BYTES, type JournalRecord, plausibleEnd } from "./record.ts";

/** Bytes of checksum work spent on looking for good records after a bad one. When used up, the rest counts as rotten. */
const RESYNC_BYTES_MAX = 128 * 1024 * 1024;

export interface SegmentScan {
  /** The good records from the start on, and the offset after each. */
  readonly records: readonly { readonly record: JournalRecord; readonly end: number }[];
  /** Length of the good part; where the damage starts, if there is any. */
  readonly goodBytes: number;
  /** `none`: good to the end. `torn`: nothing good after `goodBytes`. `rotten`: something good, or too much to tell. */
  readonly damage: "none" | "torn" | "rotten";
  /** Good records after the damage. Their order is theirs in the file; what stood between them is unknown. */
  readonly after: readonly JournalRecord[];
}

/** Scans the whole content of a segment. Never throws, whatever `bytes` are. */
export function scanSegment(bytes: Uint8Array): SegmentScan {
  const records: { record: JournalRecord; end: number }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const decoded = decodeRecord(bytes, at);
    if (decoded === undefined) break;
    records.push(decoded);
    at = decoded.end;
  }
  if (at === bytes.length) return { records, goodBytes: at, damage: "none", after: [] };
  const { after, isExhausted } = resynchronize(bytes, at);
  const damage = after.length > 0 || isExhausted ? "rotten" : "torn";
  return { records, goodBytes: at, damage, after };
}

/** Finds every good record after the bad one at `damagedAt`. */
function resynchronize(
  bytes: Uint8Array,
  damagedAt: number,
): { readonly after: readonly JournalRecord[]; readonly isExhausted: boolean } {
  const after: JournalRecord[] = [];
  let work = 0;
  // The length of the bad record is not trusted: a wrong one could jump over a vote.
  let at = damagedAt + 1;
  while (at < bytes.length - HEADER_BYTES) {
    const end = plausibleEnd(bytes, at);
    if (end === undefined) {
      at++;
      continue;
    }
    work += end - at;
    if (work > RESYNC_BYTES_MAX) return { after, isExhausted: true };
    const decoded = decodeRecord(bytes, at);
    if (decoded === undefined) {
      at++;
    } else {
      after.push(decoded.record);
      at = decoded.end;
    }
  }
  return { after, isExhausted: false };
}
