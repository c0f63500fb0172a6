/**
 * The records a journal is made of, and their one binary form.
 *
 * `length u32 | crc32c u32 | generation u32 | previous u32 | kind u8 | term varint | index varint | body`. `length`
 * counts what follows the checksum; the checksum covers the length and everything after itself, so a flipped bit
 * anywhere in a record is found. A record that does not check is never used in part. `generation` is the number of the
 * segment it was written to: segments are recycled, and what an earlier one has left in the file never parses as a
 * record of this one. `previous` is the hash of the batch (one append) before (batch.ts). Entries are replaced by writing another entry with the same or a
 * lower index: whoever reads the journal lets the later record win, so nothing is ever overwritten in place. The body of an
 * entry begins with the term of the entry before it, which says what it continues where records between are lost (remains.ts).
 *
 * Source: reference design 1.9 and 1.10; the framing is LevelDB's with a log number (RocksDB "recyclable record").
 */

import { ByteReader, ByteWriter, readU32, SkeinError, writeU32 } from "@skein/kernel";
import type { Configuration, Entry, EntryKind, HardState, Snapshot, SnapshotPoint } from "raft-js";
import { crc32c } from "./crc32c.ts";
import type { PartPlace } from "./part-files.ts";

export type JournalRecord =
  /** First of every segment: its number, and term and vote as they stood, so that older segments can go. */
  | { readonly kind: "segment"; readonly number: number; readonly hardState: HardState }
  | { readonly kind: "hardState"; readonly hardState: HardState }
  /** `previousTerm`: of the entry before it in the log; 0: not known, or there is none. */
  | { readonly kind: "entry"; readonly entry: Entry; readonly previousTerm: number }
  /** The log starts anew after `index`: a snapshot has replaced everything before. */
  | { readonly kind: "reset"; readonly index: number; readonly term: number }
  /** Entries from this index on are void: what was set aside at this time had taken their place. */
  | { readonly kind: "superseded"; readonly from: number }
  /** Entries up to `index` are committed. Stands behind them. */
  | { readonly kind: "committed"; readonly index: number }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  /** A snapshot whose data stand behind the record, and need parts that stand in other files (part-files.ts). */
  | { readonly kind: "partedSnapshot"; readonly snapshot: PartedSnapshot }
  /** Of a suspect server: term and vote as far as they were found, and since when files were set aside (0: none were). */
  | { readonly kind: "suspect"; readonly asideSince: number; readonly hardState: HardState };

export interface PartedSnapshot extends SnapshotPoint {
  readonly dataBytes: number;
  /** CRC-32C. */
  readonly dataChecksum: number;
  readonly parts: readonly PartPlace[];
}

/** What a record says about its place; zeros where it stands alone in its file. */
export interface Stamp {
  /** Number of the segment. */
  readonly generation: number;
  /** Hash of the batch before; 0: not known. */
  readonly previous: number;
}

/** Version of the record format, written into every segment record. */
const FORMAT_VERSION = 3;
/** Bytes before the part that `length` counts. */
export const HEADER_BYTES = 8;
const STAMP_BYTES = 8;
/** Stamp, and at least one byte each of kind, term and index. */
const PAYLOAD_BYTES_MIN = STAMP_BYTES + 3;

const SEGMENT = 1;
const HARD_STATE = 2;
const RESET = 3;
const SNAPSHOT = 4;
const SUSPECT = 5;
const SUPERSEDED = 6;
const COMMITTED = 7;
const PARTED_SNAPSHOT = 8;
/** Entry kinds follow from here, in the order of ENTRY_KINDS. */
const ENTRY = 16;
const ENTRY_KINDS: readonly EntryKind[] = ["command", "configuration", "empty"];

const NO_BYTES = new Uint8Array(0);
const ALONE: Stamp = { generation: 0, previous: 0 };
const head = new ByteWriter(64);
const lengthBytes = new Uint8Array(4);

/** Appends `record` to `out`. Returns its checksum. */
export function encodeRecord(record: JournalRecord, out: ByteWriter, stamp: Stamp = ALONE): number {
  head.reset();
  head.u32(stamp.generation).u32(stamp.previous);
  switch (record.kind) {
    case "segment":
      head.u8(SEGMENT).varint(record.hardState.term).varint(record.number).varint(FORMAT_VERSION);
      encodeVote(record.hardState, head);
      return frame(NO_BYTES, out);
    case "hardState":
      head.u8(HARD_STATE).varint(record.hardState.term).varint(0);
      encodeVote(record.hardState, head);
      return frame(NO_BYTES, out);
    case "reset":
      head.u8(RESET).varint(record.term).varint(record.index);
      return frame(NO_BYTES, out);
    case "superseded":
      head.u8(SUPERSEDED).varint(0).varint(record.from);
      return frame(NO_BYTES, out);
    case "committed":
      head.u8(COMMITTED).varint(0).varint(record.index);
      return frame(NO_BYTES, out);
    case "suspect":
      head.u8(SUSPECT).varint(record.hardState.term).varint(record.asideSince);
      encodeVote(record.hardState, head);
      return frame(NO_BYTES, out);
    case "snapshot":
      snapshotHead(record.snapshot, stamp);
      return frame(record.snapshot.data, out);
    case "partedSnapshot":
      pointHead(PARTED_SNAPSHOT, record.snapshot, stamp);
      return frame(encodeParts(record.snapshot), out);
    case "entry": {
      const { entry } = record;
      head
        .u8(ENTRY + ENTRY_KINDS.indexOf(entry.kind))
        .varint(entry.term)
        .varint(entry.index)
        .varint(record.previousTerm);
      return frame(entry.data, out);
    }
  }
}

/** What stands before its data; it stands in `head`, too. */
function snapshotHead(snapshot: Snapshot, stamp: Stamp): Uint8Array {
  return pointHead(SNAPSHOT, snapshot, stamp);
}

function pointHead(kind: number, { term, index, configuration }: SnapshotPoint, stamp: Stamp): Uint8Array {
  head.reset().u32(stamp.generation).u32(stamp.previous);
  head.u8(kind).varint(term).varint(index).varint(FORMAT_VERSION);
  encodeConfiguration(configuration, head);
  return head.finish();
}

/** One record on its own. */
export function encodeAlone(record: JournalRecord): Uint8Array {
  const out = new ByteWriter();
  encodeRecord(record, out);
  return out.finish();
}

/** About a millisecond of checksum. */
const CHECKED_BYTES = 512 * 1024;

/**
 * A snapshot as the record that its file is, head and data apart, because a large one must not stand in memory twice. Stops every
 * {@link CHECKED_BYTES}.
 */
export function* snapshotFrame(snapshot: Snapshot): Generator<undefined, readonly Uint8Array[]> {
  const { data } = snapshot;
  const start = snapshotHead(snapshot, ALONE);
  const out = new ByteWriter(64).u32(start.length + data.length);
  const checksum = yield* checksumInPieces(data, crc32c(start, crc32c(out.finish())));
  return [out.u32(checksum).raw(start).take(), data];
}

/** Continues `seed`. Stops every {@link CHECKED_BYTES}. */
export function* checksumInPieces(data: Uint8Array, seed = 0): Generator<undefined, number> {
  let checksum = seed;
  for (let at = 0; at < data.length; at += CHECKED_BYTES) {
    if (at > 0) yield;
    checksum = crc32c(data, checksum, at, Math.min(data.length, at + CHECKED_BYTES));
  }
  return checksum;
}

/** A record and the place after it. */
export interface DecodedRecord {
  readonly record: JournalRecord;
  readonly end: number;
  /** See {@link Stamp}. */
  readonly previous: number;
  readonly checksum: number;
}

/**
 * The length field at `at` as an end offset, if a record of that length and `generation` could stand there; undefined if
 * not. Cheap.
 */
export function plausibleEnd(bytes: Uint8Array, at: number, generation: number): number | undefined {
  const left = bytes.length - at - HEADER_BYTES;
  if (left < PAYLOAD_BYTES_MIN) return undefined;
  const length = readU32(bytes, at);
  if (length < PAYLOAD_BYTES_MIN || length > left) return undefined;
  if (readU32(bytes, at + HEADER_BYTES) !== generation) return undefined;
  const kind = bytes[at + HEADER_BYTES + STAMP_BYTES] as number;
  const isKnown =
    (kind >= SEGMENT && kind <= PARTED_SNAPSHOT) || (kind >= ENTRY && kind < ENTRY + ENTRY_KINDS.length);
  return isKnown ? at + HEADER_BYTES + length : undefined;
}

/**
 * The record of `generation` at `at`, or undefined if there is no whole, correct one. Entry data is a copy. Never throws
 * for bad bytes.
 */
export function decodeRecord(bytes: Uint8Array, at: number, generation = 0): DecodedRecord | undefined {
  const end = plausibleEnd(bytes, at, generation);
  if (end === undefined) return undefined;
  const checksum = readU32(bytes, at + 4);
  const seed = crc32c(bytes, 0, at, at + 4);
  if (crc32c(bytes, seed, at + HEADER_BYTES, end) !== checksum) return undefined;
  const payload = at + HEADER_BYTES + STAMP_BYTES;
  try {
    const record = decodePayload(new ByteReader(bytes, payload, end));
    return record === undefined
      ? undefined
      : { record, end, previous: readU32(bytes, payload - 4), checksum };
  } catch (error) {
    if (error instanceof SkeinError) return undefined;
    throw error;
  }
}

function decodePayload(input: ByteReader): JournalRecord | undefined {
  const kind = input.u8();
  const term = input.varint();
  const index = input.varint();
  switch (kind) {
    case SEGMENT:
      if (input.varint() !== FORMAT_VERSION) return undefined;
      return { kind: "segment", number: index, hardState: decodeHardState(term, input) };
    case HARD_STATE:
      return { kind: "hardState", hardState: decodeHardState(term, input) };
    case SUPERSEDED:
      input.end();
      return { kind: "superseded", from: index };
    case SUSPECT:
      return { kind: "suspect", asideSince: index, hardState: decodeHardState(term, input) };
    case RESET:
      input.end();
      return { kind: "reset", index, term };
    case COMMITTED:
      input.end();
      return { kind: "committed", index };
    case SNAPSHOT: {
      if (input.varint() !== FORMAT_VERSION) return undefined;
      const configuration = decodeConfiguration(input);
      const data = input.copy(input.remaining);
      return { kind: "snapshot", snapshot: { index, term, configuration, data } };
    }
    case PARTED_SNAPSHOT: {
      if (input.varint() !== FORMAT_VERSION) return undefined;
      const configuration = decodeConfiguration(input);
      return { kind: "partedSnapshot", snapshot: { index, term, configuration, ...decodeParts(input) } };
    }
    default: {
      const entryKind = ENTRY_KINDS[kind - ENTRY];
      if (entryKind === undefined || index === 0) return undefined;
      const previousTerm = input.varint();
      // A copy, so that one entry that stays in memory does not hold its whole segment there.
      const data = input.copy(input.remaining);
      return { kind: "entry", entry: { index, term, kind: entryKind, data }, previousTerm };
    }
  }
}

/** Writes the frame around what stands in `head`, followed by `body`. Returns the checksum. */
function frame(body: Uint8Array, out: ByteWriter): number {
  const start = head.finish();
  const length = start.length + body.length;
  writeU32(lengthBytes, 0, length);
  const checksum = crc32c(body, crc32c(start, crc32c(lengthBytes)));
  out.u32(length).u32(checksum).raw(start).raw(body);
  return checksum;
}

function encodeParts({ dataBytes, dataChecksum, parts }: PartedSnapshot): Uint8Array {
  const out = new ByteWriter(1024).varint(dataBytes).u32(dataChecksum).varint(parts.length);
  for (const { file, at, length, checksum } of parts)
    out.varint(file).varint(at).varint(length).u32(checksum);
  return out.finish();
}

function decodeParts(input: ByteReader): Pick<PartedSnapshot, "dataBytes" | "dataChecksum" | "parts"> {
  const [dataBytes, dataChecksum] = [input.varint(), input.u32()];
  const parts: PartPlace[] = [];
  for (let left = input.varint(); left > 0; left--)
    parts.push({ file: input.varint(), at: input.varint(), length: input.varint(), checksum: input.u32() });
  input.end();
  return { dataBytes, dataChecksum, parts };
}

function encodeVote(hardState: HardState, out: ByteWriter): void {
  if (hardState.votedFor === undefined) out.u8(0);
  else out.u8(1).text(hardState.votedFor);
}

function decodeHardState(term: number, input: ByteReader): HardState {
  const votedFor = input.u8() === 0 ? undefined : input.text();
  input.end();
  return { term, votedFor };
}

function encodeConfiguration(configuration: Configuration, out: ByteWriter): void {
  for (const ids of [configuration.voters, configuration.votersOutgoing, configuration.learners]) {
    out.varint(ids.length);
    for (const id of ids) out.text(id);
  }
}

function decodeConfiguration(input: ByteReader): Configuration {
  const readIds = (): string[] => {
    const ids: string[] = [];
    for (let left = input.varint(); left > 0; left--) ids.push(input.text());
    return ids;
  };
  return { voters: readIds(), votersOutgoing: readIds(), learners: readIds() };
}
