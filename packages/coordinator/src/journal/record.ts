/**
 * The records a journal is made of, and their one binary form.
 *
 * `length u32 | crc32c u32 | kind u8 | term varint | index varint | body`. `length` counts what follows the checksum;
 * the checksum covers the length and everything after itself, so a flipped bit anywhere in a record is found.
 * A record that does not check is never used in part. Entries are replaced by writing another entry with the same or a
 * lower index: whoever reads the journal lets the later record win, so nothing is ever overwritten in place.
 *
 * Source: reference design 1.9 and 1.10; LevelDB and etcd use the same framing.
 */

import { ByteReader, ByteWriter, SkeinError } from "@skein/kernel";
import type { Configuration, Entry, EntryKind, HardState, Snapshot } from "raft-js";
import { crc32c } from "./crc32c.ts";

export type JournalRecord =
  /** First of every segment: its number, and term and vote as they stood, so that older segments can go. */
  | { readonly kind: "segment"; readonly number: number; readonly hardState: HardState }
  | { readonly kind: "hardState"; readonly hardState: HardState }
  | { readonly kind: "entry"; readonly entry: Entry }
  /** The log starts anew after `index`: a snapshot has replaced everything before. */
  | { readonly kind: "reset"; readonly index: number; readonly term: number }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot };

/** Version of the record format, written into every segment record. */
const FORMAT_VERSION = 1;
/** Bytes before the part that `length` counts. */
export const HEADER_BYTES = 8;
/** Kind, term and index take at least one byte each. */
const PAYLOAD_BYTES_MIN = 3;

const SEGMENT = 1;
const HARD_STATE = 2;
const RESET = 3;
const SNAPSHOT = 4;
/** Entry kinds follow from here, in the order of ENTRY_KINDS. */
const ENTRY = 16;
const ENTRY_KINDS: readonly EntryKind[] = ["command", "configuration", "empty"];

const NO_BYTES = new Uint8Array(0);
const head = new ByteWriter(64);
const lengthBytes = new Uint8Array(4);

/** Appends `record` to `out`. */
export function encodeRecord(record: JournalRecord, out: ByteWriter): void {
  head.reset();
  switch (record.kind) {
    case "segment":
      head.u8(SEGMENT).varint(record.hardState.term).varint(record.number).varint(FORMAT_VERSION);
      encodeVote(record.hardState, head);
      frame(NO_BYTES, out);
      return;
    case "hardState":
      head.u8(HARD_STATE).varint(record.hardState.term).varint(0);
      encodeVote(record.hardState, head);
      frame(NO_BYTES, out);
      return;
    case "reset":
      head.u8(RESET).varint(record.term).varint(record.index);
      frame(NO_BYTES, out);
      return;
    case "snapshot": {
      const { snapshot } = record;
      head.u8(SNAPSHOT).varint(snapshot.term).varint(snapshot.index).varint(FORMAT_VERSION);
      encodeConfiguration(snapshot.configuration, head);
      frame(snapshot.data, out);
      return;
    }
    case "entry": {
      const { entry } = record;
      head
        .u8(ENTRY + ENTRY_KINDS.indexOf(entry.kind))
        .varint(entry.term)
        .varint(entry.index);
      frame(entry.data, out);
      return;
    }
  }
}

/** One record on its own. */
export function encodeAlone(record: JournalRecord): Uint8Array {
  const out = new ByteWriter();
  encodeRecord(record, out);
  return out.finish();
}

/** A record and the place after it. */
export interface DecodedRecord {
  readonly record: JournalRecord;
  readonly end: number;
}

/** The length field at `at` as an end offset, if a record of that length could stand there; undefined if not. Cheap. */
export function plausibleEnd(bytes: Uint8Array, at: number): number | undefined {
  const left = bytes.length - at - HEADER_BYTES;
  if (left < PAYLOAD_BYTES_MIN) return undefined;
  const length = readU32(bytes, at);
  if (length < PAYLOAD_BYTES_MIN || length > left) return undefined;
  const kind = bytes[at + HEADER_BYTES] as number;
  const isKnown =
    (kind >= SEGMENT && kind <= SNAPSHOT) || (kind >= ENTRY && kind < ENTRY + ENTRY_KINDS.length);
  return isKnown ? at + HEADER_BYTES + length : undefined;
}

/** The record at `at`, or undefined if there is no whole, correct one. Entry data is a copy. Never throws for bad bytes. */
export function decodeRecord(bytes: Uint8Array, at: number): DecodedRecord | undefined {
  const end = plausibleEnd(bytes, at);
  if (end === undefined) return undefined;
  const seed = crc32c(bytes, 0, at, at + 4);
  if (crc32c(bytes, seed, at + HEADER_BYTES, end) !== readU32(bytes, at + 4)) return undefined;
  try {
    const record = decodePayload(new ByteReader(bytes.subarray(at + HEADER_BYTES, end)));
    return record === undefined ? undefined : { record, end };
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
    case RESET:
      input.end();
      return { kind: "reset", index, term };
    case SNAPSHOT: {
      if (input.varint() !== FORMAT_VERSION) return undefined;
      const configuration = decodeConfiguration(input);
      const data = input.raw(input.remaining).slice();
      return { kind: "snapshot", snapshot: { index, term, configuration, data } };
    }
    default: {
      const entryKind = ENTRY_KINDS[kind - ENTRY];
      if (entryKind === undefined || index === 0) return undefined;
      // A copy, so that one entry that stays in memory does not hold its whole segment there.
      const data = input.raw(input.remaining).slice();
      return { kind: "entry", entry: { index, term, kind: entryKind, data } };
    }
  }
}

/** Writes the frame around what stands in `head`, followed by `body`. */
function frame(body: Uint8Array, out: ByteWriter): void {
  const start = head.finish();
  const length = start.length + body.length;
  writeU32(lengthBytes, length);
  out
    .u32(length)
    .u32(crc32c(body, crc32c(start, crc32c(lengthBytes))))
    .raw(start)
    .raw(body);
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

function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

function writeU32(bytes: Uint8Array, value: number): void {
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
}
