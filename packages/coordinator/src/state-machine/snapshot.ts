/**
 * The whole replicated state as one run of bytes: what a follower far behind gets, and what replaces the old log.
 *
 * `format u8 = 13 | proposers varint, each: node 8 bytes, incarnation, last, index varint | retained varint, each: written, expiry varint, an encoded
 * Application Message | newest stamp varint | tombstones varint, each: written, topic text | of those forgotten: stamp, index varint |
 * last conflict, dropped conflicts, conflicts varint, each: id varint, conflict, author | clusters | limits, each: node, bytes varint | recent publications (recent-publications.ts) | sessions | sessions of merges under way | version varint`. Proposers and retained are sorted
 * and free of repeats, the others in the order of the log, so equal states are equal bytes. Written: stamp, index varint, author; author: u8 = 1 and
 * a node of 8 bytes, or 0; expiry: 0, or when it expires and 1. Format 14 is for the disk of one node: messages stand apart in parts (sessions-snapshot.ts).
 * Formats 11 and 12 are these two in the first version of the log (log-version.ts), without messages that may come once more (repeated-messages.ts), for
 * programs that know no other; formats 9 and 10 do not say either what is known of those forgotten; formats 7 and 8 have no expiries (stamps tell them); formats 5 and 6 have no publications either; format 4 has no limits either; format 3 has no authors either; format 2 has no sessions either; format 1 ends
 * behind the retained messages, which have no stamps.
 */

import {
  ByteReader,
  ByteWriter,
  type ClusterId,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  isValidTopicName,
  type NodeId,
  SkeinError,
} from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import { atOnce, type IsPieceFull, type Pieces } from "../pieces.ts";
import { readNodeId, writeNodeId } from "../wire-ids.ts";
import { type ClustersState, NO_CLUSTERS } from "./clusters.ts";
import { readClusters, writeClusters } from "./clusters-codec.ts";
import { CONFLICTS_MAX, type Conflict, readConflict, writeConflict } from "./conflicts.ts";
import { expiryByStamp } from "./expiry.ts";
import { FIRST_LOG_VERSION, NEWEST_LOG_VERSION, unknownVersion } from "./log-version.ts";
import { type PackedPublication, readPublications, writePublications } from "./recent-publications.ts";
import type { RetainedItem, Written } from "./retained-state.ts";
import { PROPOSERS_MAX, type Sequence } from "./sequencer.ts";
import {
  noSessions,
  readSessions,
  type SavedSessions,
  type SessionsWriter,
} from "./sessions/sessions-snapshot.ts";
import { type Arrived, readStaged } from "./sessions/staged-sessions.ts";
import { readStoreLimits, type StoreLimitRow, writeStoreLimits } from "./store-limits.ts";
import { TOMBSTONES_MAX, type Tombstone } from "./tombstones.ts";

/** What a snapshot holds. */
export interface ReplicatedState {
  /** In force (log-version.ts). */
  readonly version: number;
  /** Sorted by node id. */
  readonly proposers: readonly Sequence[];
  /** Sorted by topic. */
  readonly retained: readonly RetainedItem[];
  /** Oldest first. */
  readonly tombstones: readonly Tombstone[];
  /** The newest stamp and index of those forgotten. */
  readonly forgotten: Written;
  /** In order of id. */
  readonly conflicts: readonly Conflict[];
  readonly lastConflict: number;
  readonly droppedConflicts: number;
  readonly clusters: ClustersState;
  readonly newest: Stamp;
  readonly limits: readonly StoreLimitRow[];
  /** In the order of the log. */
  readonly recent: readonly PackedPublication[];
  readonly sessions: SavedSessions;
  readonly staged: readonly (readonly [ClusterId, Arrived])[];
}

const FORMAT_UNSTAMPED = 1;
const FORMAT_SESSIONS = 3;
const FORMAT_AUTHORS = 4;
const FORMAT_LIMITS = 5;
const FORMAT_LIMITS_PARTED = 6;
const FORMAT_PUBLICATIONS = 7;
const FORMAT_EXPIRIES = 9;
const FORMAT_FORGOTTEN = 11;
const FORMAT_FORGOTTEN_PARTED = 12;
const FORMAT = 13;
const FORMAT_PARTED = 14;

/** A piece: a few milliseconds on a small machine. */
const PIECE_BYTES = 512 * 1024;

/**
 * Encodes a state as it is now, a piece with each step: between two of them it may change. Messages and queues are the bulk: the
 * former never change, the latter are copied; all else is written down at once. `expectedBytes`: about how many there will be.
 * `isParted`: messages stand apart, and `sessions` names them.
 */
export function encodeInPieces(
  state: Omit<ReplicatedState, "sessions" | "staged">,
  sessions: SessionsWriter,
  staged: (out: ByteWriter) => void,
  expectedBytes: number,
  isParted = false,
): Pieces<Uint8Array> {
  const rest = new ByteWriter(4096);
  writeRest(state, rest);
  const waiting = new ByteWriter(4096);
  staged(waiting);
  // Nine tenths of the time of a large snapshot go to memory that is touched for the first time, so none is touched twice.
  const out = new ByteWriter(expectedBytes).u8(formatOf(state.version, isParted));
  if (state.version > FIRST_LOG_VERSION) waiting.varint(state.version);
  return pieces(state, rest.take(), sessions, waiting.take(), out);
}

/** Programs that know only the first version read only the formats before. */
function formatOf(version: number, isParted: boolean): number {
  if (version === FIRST_LOG_VERSION) return isParted ? FORMAT_FORGOTTEN_PARTED : FORMAT_FORGOTTEN;
  return isParted ? FORMAT_PARTED : FORMAT;
}

function* pieces(
  { proposers, retained }: Pick<ReplicatedState, "proposers" | "retained">,
  rest: Uint8Array,
  sessions: SessionsWriter,
  staged: Uint8Array,
  out: ByteWriter,
): Pieces<Uint8Array> {
  let pieceEnds = PIECE_BYTES;
  const isPieceFull: IsPieceFull = () => {
    if (out.length < pieceEnds) return false;
    pieceEnds = out.length + PIECE_BYTES;
    return true;
  };
  out.varint(proposers.length);
  for (const row of proposers) {
    writeNodeId(row.node, out);
    out.varint(row.incarnation).varint(row.last).varint(row.index);
  }
  out.varint(retained.length);
  for (const item of retained) {
    writeWritten(item, out).varint(item.expiresAt === undefined ? 0 : item.expiresAt + 1);
    encodeMessage(item.message, out);
    if (isPieceFull()) yield;
  }
  out.raw(rest);
  yield* sessions(out, isPieceFull);
  return out.raw(staged).take();
}

function writeRest(state: Omit<ReplicatedState, "sessions" | "staged">, out: ByteWriter): void {
  out.varint(state.newest).varint(state.tombstones.length);
  for (const tombstone of state.tombstones) writeWritten(tombstone, out).text(tombstone.topic);
  out.varint(state.forgotten.stamp).varint(state.forgotten.index);
  out.varint(state.lastConflict).varint(state.droppedConflicts).varint(state.conflicts.length);
  for (const conflict of state.conflicts) {
    writeConflict(conflict, out.varint(conflict.id));
    writeAuthor(conflict.lost.alone, out);
  }
  writeClusters(state.clusters, out);
  writeStoreLimits(state.limits, out);
  writePublications(state.recent, out);
}

export interface DecodeOptions {
  /** What stands apart from the snapshot's bytes, if they come from the own disk. */
  readonly parts?: readonly Uint8Array[] | undefined;
  /** Of what is owed, see {@link OwedMessages}. */
  readonly slabBytes?: number | undefined;
  /** The newest version of the log that this program knows. */
  readonly known?: number;
  /** After about so many bytes a piece ends. */
  readonly pieceBytes?: number;
}

/**
 * Payloads are views of `bytes` (no copy).
 * @throws {SkeinError} ERR_SKEIN_MALFORMED, also when a list is not sorted; ERR_SKEIN_VERSION
 */
export function decodeSnapshot(bytes: Uint8Array, options: DecodeOptions = {}): ReplicatedState {
  return atOnce(decodeInPieces(bytes, options));
}

/**
 * The same in pieces. Retained messages, those that are owed, and sessions are the bulk; all else is bounded by a megabyte or two, and read at once.
 * `bytes` must not change meanwhile.
 */
export function* decodeInPieces(
  bytes: Uint8Array,
  { parts, slabBytes, known = NEWEST_LOG_VERSION, pieceBytes = Number.POSITIVE_INFINITY }: DecodeOptions,
): Pieces<ReplicatedState> {
  const input = new ByteReader(bytes);
  const isPieceFull = everyBytes(input, pieceBytes);
  const format = input.u8();
  const isParted = format >= FORMAT_LIMITS_PARTED && format % 2 === 0;
  if (format > FORMAT_PARTED) throw unknownVersion(known + 1, known);
  if (format < FORMAT_UNSTAMPED || (isParted && parts === undefined)) throw malformed(`format ${format}`);
  const proposers = readProposers(input);
  const items = yield* readRetained(input, format, isPieceFull);
  const rest = format === FORMAT_UNSTAMPED ? NO_REST : readRest(input, format);
  const sessions =
    format < FORMAT_SESSIONS
      ? noSessions(slabBytes)
      : yield* readSessions(input, isParted ? parts : undefined, slabBytes, format >= FORMAT, isPieceFull);
  const staged = format < FORMAT_SESSIONS ? [] : yield* readStaged(input, isPieceFull);
  const version = format < FORMAT ? FIRST_LOG_VERSION : input.varint();
  if (version > known) throw unknownVersion(version, known);
  input.end();
  const { newest } = rest;
  const retained =
    format < FORMAT_EXPIRIES ? items.map((item) => withExpiry(item, newest, sessions.elapsed)) : items;
  return { version, proposers, retained, ...rest, sessions, staged };
}

const NO_REST: Omit<ReplicatedState, "version" | "proposers" | "retained" | "sessions" | "staged"> = {
  tombstones: [],
  forgotten: { stamp: 0, index: 0 },
  conflicts: [],
  lastConflict: 0,
  droppedConflicts: 0,
  clusters: NO_CLUSTERS,
  newest: 0,
  limits: [],
  recent: [],
};

function writeWritten({ stamp, index, alone }: Written, out: ByteWriter): ByteWriter {
  writeAuthor(alone, out.varint(stamp).varint(index));
  return out;
}

function writeAuthor(alone: NodeId | undefined, out: ByteWriter): void {
  out.u8(alone === undefined ? 0 : 1);
  if (alone !== undefined) writeNodeId(alone, out);
}

function readAuthor(input: ByteReader, format: number): { readonly alone?: NodeId } {
  return format >= FORMAT_AUTHORS && input.u8() === 1 ? { alone: readNodeId(input) } : {};
}

function readWritten(input: ByteReader, format: number): Written {
  if (format === FORMAT_UNSTAMPED) return { stamp: 0, index: 0 };
  return { stamp: input.varint(), index: input.varint(), ...readAuthor(input, format) };
}

/** True where so many bytes were read since it was last true. */
function everyBytes(input: ByteReader, bytes: number): IsPieceFull {
  let left = input.remaining;
  return () => {
    if (left - input.remaining < bytes) return false;
    left = input.remaining;
    return true;
  };
}

function* readRetained(input: ByteReader, format: number, isPieceFull: IsPieceFull): Pieces<RetainedItem[]> {
  const retained: RetainedItem[] = [];
  for (let left = input.varint(); left > 0; left--) {
    const written = readWritten(input, format);
    const expiry = format < FORMAT_EXPIRIES ? 0 : input.varint();
    const message = decodeMessage(input);
    const before = retained.at(-1)?.message;
    if (before !== undefined && before.topic >= message.topic) throw malformed("topics are not in order");
    if (!isValidTopicName(message.topic) || message.payload.length === 0) throw malformed("retained message");
    retained.push({ message, ...written, expiresAt: expiry === 0 ? undefined : expiry - 1 });
    if (isPieceFull()) yield;
  }
  return retained;
}

/** As an earlier version has written it. */
function withExpiry(item: RetainedItem, newest: Stamp, elapsed: number): RetainedItem {
  return { ...item, expiresAt: expiryByStamp(item.message, item.stamp, newest, elapsed) };
}

function readRest(input: ByteReader, format: number): typeof NO_REST {
  const newest = input.varint();
  const tombstones: Tombstone[] = [];
  for (let left = count(input, TOMBSTONES_MAX); left > 0; left--)
    tombstones.push({ ...readWritten(input, format), topic: input.text() });
  const forgotten =
    format < FORMAT_FORGOTTEN ? NO_REST.forgotten : { stamp: input.varint(), index: input.varint() };
  const [lastConflict, droppedConflicts] = [input.varint(), input.varint()];
  const conflicts: Conflict[] = [];
  for (let left = count(input, CONFLICTS_MAX); left > 0; left--) {
    const id = input.varint();
    if (id <= (conflicts.at(-1)?.id ?? 0)) throw malformed("conflicts are not in order");
    const { lost, ...conflict } = readConflict(input);
    conflicts.push({ id, ...conflict, lost: { ...lost, ...readAuthor(input, format) } });
  }
  const clusters = readClusters(input);
  const limits = format < FORMAT_LIMITS ? [] : readStoreLimits(input);
  const recent = format < FORMAT_PUBLICATIONS ? [] : readPublications(input);
  return {
    newest,
    tombstones,
    forgotten,
    lastConflict,
    droppedConflicts,
    conflicts,
    clusters,
    limits,
    recent,
  };
}

function readProposers(input: ByteReader): Sequence[] {
  const rows: Sequence[] = [];
  for (let left = count(input, PROPOSERS_MAX); left > 0; left--) {
    const node = readNodeId(input);
    const before = rows.at(-1);
    if (before !== undefined && before.node >= node) throw malformed("proposers are not in order");
    rows.push({
      node,
      incarnation: input.varint() as Incarnation,
      last: input.varint(),
      index: input.varint(),
    });
  }
  return rows;
}

function count(input: ByteReader, most: number): number {
  const value = input.varint();
  if (value > most) throw malformed(`a list of ${value}`);
  return value;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode snapshot: ${what}`);
}
