/**
 * The bytes of messages and entries, for wire and disk. Shapes only; plausible.ts judges the content.
 *
 * One byte says what it is, then the fields in the order of messages.ts: whole numbers as varints, times as float64.
 * Decoded byte fields are views of the input, not copies. Compatible changes add kinds; nothing is renumbered.
 */

import { unreachable } from "./assert.ts";
import { ByteReader, ByteWriter, RaftFormatError } from "./bytes.ts";
import { decodeConfiguration, encodeConfiguration } from "./configuration.ts";
import type { RaftMessage } from "./messages.ts";
import type { Entry, EntryKind, StateHash } from "./types.ts";

const MESSAGE_KINDS: readonly RaftMessage["kind"][] = [
  "preVote",
  "requestVote",
  "preVoteReply",
  "requestVoteReply",
  "appendEntries",
  "appendEntriesReply",
  "heartbeat",
  "heartbeatReply",
  "installSnapshot",
  "installSnapshotReply",
  "snapshotChunkReply",
  "snapshotRequest",
  "timeoutNow",
  "readIndex",
  "readIndexReply",
  "stateDiverged",
];
const NO_HASH: StateHash = { index: 0, hash: "" };
/** What comes before an entry's data, with some room. */
const ENTRY_HEAD_BYTES = 20;
const ENTRY_KINDS: readonly EntryKind[] = ["command", "configuration", "empty"];

/** The bytes of an entry, for the disk. */
export function encodeEntry(entry: Entry): Uint8Array {
  const writer = new ByteWriter();
  writeEntry(writer, entry);
  return writer.finish();
}

/** The entry again; its data is a view of `bytes`. @throws {RaftFormatError} if they are not what {@link encodeEntry} writes */
export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const entry = readEntry(reader);
  reader.end();
  return entry;
}

/** The bytes of a message, for the wire. Equal messages give equal bytes. */
export function encodeRaftMessage(message: RaftMessage): Uint8Array {
  const writer = new ByteWriter(expectedBytes(message))
    .u8(MESSAGE_KINDS.indexOf(message.kind) + 1)
    .varint(message.term);
  switch (message.kind) {
    case "preVote":
    case "requestVote":
      writer
        .varint(message.lastLogIndex)
        .varint(message.lastLogTerm)
        .u8(message.isTransfer ? 1 : 0);
      break;
    case "preVoteReply":
    case "requestVoteReply":
      writer.u8(message.granted ? 1 : 0).u8(message.isSuspect ? 1 : 0);
      break;
    case "appendEntries":
      writer.varint(message.prevLogIndex).varint(message.prevLogTerm).varint(message.leaderCommit);
      writer.varint(message.entries.length);
      for (const entry of message.entries) writeEntry(writer, entry);
      break;
    case "appendEntriesReply":
      writer.u8(message.success ? 1 : 0).varint(message.matchIndex);
      writer.varint(message.hintIndex).varint(message.hintTerm);
      break;
    case "heartbeat":
      writer.varint(message.commit).varint(message.matchIndex).varint(message.matchTerm);
      writer.varint(message.lastIndex).varint(message.nonce).f64(message.sentAt).varint(message.round);
      break;
    case "heartbeatReply":
      writer.f64(message.sentAt).varint(message.round).varint(message.nonce);
      // Without a hash the text is empty.
      writeStateHash(writer, message.stateHash ?? NO_HASH);
      break;
    case "installSnapshot":
      writer.varint(message.point.index).varint(message.point.term);
      writer.bytes(encodeConfiguration(message.point.configuration));
      writer.varint(message.totalBytes).varint(message.offset).bytes(message.data);
      break;
    case "snapshotChunkReply":
      writer.varint(message.index).varint(message.offset);
      break;
    case "installSnapshotReply":
      writer.varint(message.matchIndex);
      break;
    case "readIndex":
      writer.varint(message.request).varint(message.nonce);
      break;
    case "readIndexReply":
      writer.varint(message.request).varint(message.nonce).varint(message.index);
      break;
    case "stateDiverged":
      writeStateHash(writer, message.stateHash);
      break;
    case "snapshotRequest":
      writer.varint(message.minIndex);
      break;
    case "timeoutNow":
      break;
    default:
      unreachable(message);
  }
  return writer.finish();
}

/**
 * The message again; byte fields are views of `bytes`. It may still be nonsense: {@link RaftNode.step} judges that.
 *
 * @throws {RaftFormatError} if `bytes` are not what {@link encodeRaftMessage} writes
 */
export function decodeRaftMessage(bytes: Uint8Array): RaftMessage {
  const reader = new ByteReader(bytes);
  const message = readMessage(reader);
  reader.end();
  return message;
}

function readMessage(reader: ByteReader): RaftMessage {
  const code = reader.u8();
  const kind = MESSAGE_KINDS[code - 1];
  if (kind === undefined) throw new RaftFormatError(`Cannot decode message: unknown kind ${code}`);
  const term = reader.varint();
  switch (kind) {
    case "preVote":
    case "requestVote":
      return readVoteRequest(reader, kind, term);
    case "preVoteReply":
    case "requestVoteReply": {
      const granted = readFlag(reader);
      return { kind, term, granted, isSuspect: readFlag(reader) };
    }
    case "appendEntries":
      return readAppendEntries(reader, term);
    case "appendEntriesReply": {
      const success = readFlag(reader);
      const matchIndex = reader.varint();
      return { kind, term, success, matchIndex, hintIndex: reader.varint(), hintTerm: reader.varint() };
    }
    case "heartbeat": {
      const commit = reader.varint();
      const matchIndex = reader.varint();
      const matchTerm = reader.varint();
      const lastIndex = reader.varint();
      const nonce = reader.varint();
      const sentAt = reader.f64();
      const known = { commit, matchIndex, matchTerm, lastIndex, nonce };
      return { kind, term, ...known, sentAt, round: reader.varint() };
    }
    case "heartbeatReply": {
      const sentAt = reader.f64();
      const round = reader.varint();
      const nonce = reader.varint();
      const { index, hash } = readStateHash(reader);
      if (hash === "" && index !== NO_HASH.index)
        throw new RaftFormatError("Cannot decode hash: it is empty");
      return { kind, term, sentAt, round, nonce, stateHash: hash === "" ? undefined : { index, hash } };
    }
    case "installSnapshot":
      return readInstallSnapshot(reader, term);
    case "snapshotChunkReply": {
      const index = reader.varint();
      return { kind, term, index, offset: reader.varint() };
    }
    case "installSnapshotReply":
      return { kind, term, matchIndex: reader.varint() };
    case "readIndex":
      return { kind, term, request: reader.varint(), nonce: reader.varint() };
    case "readIndexReply": {
      const request = reader.varint();
      return { kind, term, request, nonce: reader.varint(), index: reader.varint() };
    }
    case "stateDiverged":
      return { kind, term, stateHash: readStateHash(reader) };
    case "snapshotRequest":
      return { kind, term, minIndex: reader.varint() };
    case "timeoutNow":
      return { kind, term };
    default:
      return unreachable(kind);
  }
}

function readAppendEntries(reader: ByteReader, term: number): RaftMessage {
  const prevLogIndex = reader.varint();
  const prevLogTerm = reader.varint();
  const leaderCommit = reader.varint();
  const count = reader.varint();
  const entries: Entry[] = [];
  // A false count ends at the end of the input: every entry takes some of it.
  for (let i = 0; i < count; i++) entries.push(readEntry(reader));
  return { kind: "appendEntries", term, prevLogIndex, prevLogTerm, entries, leaderCommit };
}

function expectedBytes(message: RaftMessage): number {
  if (message.kind === "installSnapshot") return message.data.length + 4096;
  if (message.kind !== "appendEntries") return 64;
  let bytes = 64;
  for (const { data } of message.entries) bytes += data.length + ENTRY_HEAD_BYTES;
  return bytes;
}

function readVoteRequest(reader: ByteReader, kind: "preVote" | "requestVote", term: number): RaftMessage {
  const lastLogIndex = reader.varint();
  const lastLogTerm = reader.varint();
  return { kind, term, lastLogIndex, lastLogTerm, isTransfer: readFlag(reader) };
}

function readInstallSnapshot(reader: ByteReader, term: number): RaftMessage {
  const index = reader.varint();
  const snapshotTerm = reader.varint();
  const configuration = decodeConfiguration(reader.bytes());
  const totalBytes = reader.varint();
  const offset = reader.varint();
  const point = { index, term: snapshotTerm, configuration };
  return { kind: "installSnapshot", term, point, totalBytes, offset, data: reader.bytes() };
}

function writeStateHash(writer: ByteWriter, { index, hash }: StateHash): void {
  writer.varint(index).text(hash);
}

function readStateHash(reader: ByteReader): StateHash {
  const index = reader.varint();
  return { index, hash: reader.text() };
}

function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u8(ENTRY_KINDS.indexOf(entry.kind)).varint(entry.index).varint(entry.term).bytes(entry.data);
}

function readEntry(reader: ByteReader): Entry {
  const code = reader.u8();
  const kind = ENTRY_KINDS[code];
  if (kind === undefined) throw new RaftFormatError(`Cannot decode entry: unknown kind ${code}`);
  return { kind, index: reader.varint(), term: reader.varint(), data: reader.bytes() };
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.u8();
  if (flag > 1) throw new RaftFormatError(`Cannot decode flag: ${flag}`);
  return flag === 1;
}
