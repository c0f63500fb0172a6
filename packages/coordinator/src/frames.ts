/**
 * Control frames: what coordinators say to each other over a link, besides the traffic of clients.
 *
 * `type u8 | cluster text | body`. Every frame names the cluster (Raft group) it is about, and the receiver looks at
 * that before anything else: two clusters that meet must never act on each other's terms (architecture.md section 5).
 * The sender is known from the link; the length from the link's framing. Compatible changes add types; a node ignores those
 * that it does not know. Types from 64 on belong to other parts of the node.
 */

import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  type ClusterId,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  type NodeId,
  SkeinError,
} from "@skein/kernel";
import type { Entry, Snapshot } from "raft-js";
import { decodeRecord, encodeRecord } from "./journal/record.ts";
import { type MergeMessage, readMergeMessage, writeMergeMessage } from "./merge/merge-messages.ts";
import type { Missing } from "./replica/repair.ts";
import { COMMAND_BYTES_MAX } from "./state-machine/commands.ts";
import { readNodeId, writeNodeId } from "./wire-ids.ts";

export type ControlFrame =
  /** `message` in raft-js's own encoding; decoded only once the cluster is found to be ours. */
  | { readonly kind: "raft"; readonly cluster: ClusterId; readonly message: Uint8Array }
  /** Commands of the sender for the leader to append, in the sender's sequence. */
  | { readonly kind: "proposal"; readonly cluster: ClusterId; readonly commands: readonly Uint8Array[] }
  /** `joiner`, a fresh node, asks to become a learner. Members pass it on to the leader once. */
  | { readonly kind: "join"; readonly cluster: ClusterId; readonly joiner: NodeId }
  /** The sender asks the leader not to let it vote for the time being: its disk is dying. */
  | { readonly kind: "resign"; readonly cluster: ClusterId }
  /** The sender asks the leader to take its vote, and if `isReady` to remove it: it leaves. */
  | { readonly kind: "leave"; readonly cluster: ClusterId; readonly isReady: boolean }
  /** The sender asks the leader to remove `target`, which is dead. */
  | { readonly kind: "forget"; readonly cluster: ClusterId; readonly target: NodeId }
  /** The answer; `error` empty: `target` is no member. */
  | { readonly kind: "forgot"; readonly cluster: ClusterId; readonly target: NodeId; readonly error: string }
  /** The leader does not have the receiver in its committed configuration: it was removed. */
  | { readonly kind: "notMember"; readonly cluster: ClusterId }
  /** How far does the receiver's log go? */
  | { readonly kind: "survey"; readonly cluster: ClusterId }
  | { readonly kind: "surveyed"; readonly cluster: ClusterId; readonly index: number; readonly term: number }
  /** To members of `parent`: `cluster` was forked off it behind this entry (fork.ts). */
  | {
      readonly kind: "forked";
      readonly cluster: ClusterId;
      readonly parent: ClusterId;
      readonly index: number;
      readonly term: number;
    }
  /** The leader has the receiver in its committed configuration. */
  | { readonly kind: "joined"; readonly cluster: ClusterId }
  /** What follows the entry (`index`, `term`) in the receiver's log? (repair.ts) */
  | { readonly kind: "repair"; readonly cluster: ClusterId; readonly index: number; readonly term: number }
  /** Say when this entry has been applied (sessions/apply-barrier.ts). */
  | { readonly kind: "reach"; readonly cluster: ClusterId; readonly index: number }
  | { readonly kind: "reached"; readonly cluster: ClusterId; readonly index: number }
  /** How far do the receiver's own proposals go? (peer-writes.ts) */
  | { readonly kind: "count"; readonly cluster: ClusterId; readonly request: number }
  /** The answer: the last that it numbered in this run. */
  | {
      readonly kind: "counted";
      readonly cluster: ClusterId;
      readonly request: number;
      readonly incarnation: Incarnation;
      readonly seq: number;
    }
  /** Say when all that you have proposed, and acknowledged without a quorum, is in the log (sessions/outbox-barrier.ts). */
  | { readonly kind: "outbox"; readonly cluster: ClusterId; readonly request: number }
  | { readonly kind: "written"; readonly cluster: ClusterId; readonly request: number }
  /** Commands of the sender that count for it, because there is no quorum (sessions/early-messages.ts). */
  | { readonly kind: "early"; readonly cluster: ClusterId; readonly commands: readonly Uint8Array[] }
  /** The entry `index` of the log has published the will of this client (sessions/early-wills.ts). */
  | {
      readonly kind: "will";
      readonly cluster: ClusterId;
      readonly index: number;
      readonly publisher: string;
      readonly message: ApplicationMessage;
    }
  /** A client of the sender has acknowledged the message of this command of the receiver, which the log does not have yet. */
  | {
      readonly kind: "had";
      readonly cluster: ClusterId;
      readonly incarnation: Incarnation;
      readonly seq: number;
      readonly clientId: string;
    }
  /** The answer to a `repair` with these numbers. */
  | {
      readonly kind: "repaired";
      readonly cluster: ClusterId;
      readonly index: number;
      readonly term: number;
      readonly missing: Missing;
    }
  /** Between two clusters: `cluster` is the sender's, `to` the receiver's. Members pass it on to the leader once. */
  | {
      readonly kind: "merge";
      readonly cluster: ClusterId;
      readonly to: ClusterId;
      readonly message: MergeMessage;
    };

/** Most commands in one proposal frame. */
export const PROPOSAL_COMMANDS_MAX = 1024;
/** A proposal frame is closed when it holds this many bytes of commands, so that it stays small on a link. */
const PROPOSAL_BYTES_MAX = 256 * 1024;

/** As many of `commands`, from place `at` on, as go into one frame. */
export function batchFrom(commands: readonly { readonly bytes: Uint8Array }[], at: number): Uint8Array[] {
  const batch: Uint8Array[] = [];
  let size = 0;
  for (let next = at; next < commands.length; next++) {
    if (batch.length >= PROPOSAL_COMMANDS_MAX || size >= PROPOSAL_BYTES_MAX) break;
    const { bytes } = commands[next] as { readonly bytes: Uint8Array };
    batch.push(bytes);
    size += bytes.length;
  }
  return batch;
}

/** Largest Raft message: one that holds the largest command, or as many as fit into one AppendEntries. */
const RAFT_BYTES_MAX = COMMAND_BYTES_MAX + 1024 * 1024;

const RAFT = 1;
const PROPOSAL = 2;
const JOIN = 3;
const JOINED = 4;
const REPAIR = 5;
const REPAIRED = 6;
const RESIGN = 7;
const LEAVE = 16;
const FORGET = 17;
const FORGOT = 18;
const NOT_MEMBER = 19;
const SURVEY = 20;
const SURVEYED = 21;
const FORKED = 22;
/** A sentence for the operator. */
const ERROR_TEXT_MAX = 1024;
const MERGE = 8;
const REACH = 9;
const REACHED = 10;
const EARLY = 11;
const HAD = 12;
const OUTBOX = 13;
const WRITTEN = 14;
const WILL = 15;
const COUNT = 23;
const COUNTED = 24;
const CLUSTER_TEXT_MAX = 64;

/** Every frame is put together here; `finish` copies it out. */
const out = new ByteWriter(1024);

export function encodeFrame(frame: ControlFrame): Uint8Array {
  switch (frame.kind) {
    case "raft":
      begin(RAFT, frame.cluster).raw(frame.message);
      break;
    case "proposal":
      begin(PROPOSAL, frame.cluster).varint(frame.commands.length);
      for (const command of frame.commands) out.bytes(command);
      break;
    case "join":
      writeNodeId(frame.joiner, begin(JOIN, frame.cluster));
      break;
    case "joined":
      begin(JOINED, frame.cluster);
      break;
    case "resign":
      begin(RESIGN, frame.cluster);
      break;
    case "leave":
      begin(LEAVE, frame.cluster).u8(frame.isReady ? 1 : 0);
      break;
    case "forget":
      writeNodeId(frame.target, begin(FORGET, frame.cluster));
      break;
    case "forgot":
      writeNodeId(frame.target, begin(FORGOT, frame.cluster));
      out.text(frame.error);
      break;
    case "notMember":
      begin(NOT_MEMBER, frame.cluster);
      break;
    case "survey":
      begin(SURVEY, frame.cluster);
      break;
    case "surveyed":
      begin(SURVEYED, frame.cluster).varint(frame.index).varint(frame.term);
      break;
    case "forked":
      begin(FORKED, frame.cluster).text(frame.parent).varint(frame.index).varint(frame.term);
      break;
    case "repair":
      begin(REPAIR, frame.cluster).varint(frame.index).varint(frame.term);
      break;
    case "repaired":
      begin(REPAIRED, frame.cluster).varint(frame.index).varint(frame.term);
      writeMissing(frame.missing);
      break;
    case "early":
      begin(EARLY, frame.cluster).varint(frame.commands.length);
      for (const command of frame.commands) out.bytes(command);
      break;
    case "will":
      encodeMessage(frame.message, begin(WILL, frame.cluster).varint(frame.index).text(frame.publisher));
      break;
    case "had":
      begin(HAD, frame.cluster).varint(frame.incarnation).varint(frame.seq).text(frame.clientId);
      break;
    case "reach":
      begin(REACH, frame.cluster).varint(frame.index);
      break;
    case "reached":
      begin(REACHED, frame.cluster).varint(frame.index);
      break;
    case "count":
      begin(COUNT, frame.cluster).varint(frame.request);
      break;
    case "counted":
      begin(COUNTED, frame.cluster).varint(frame.request).varint(frame.incarnation).varint(frame.seq);
      break;
    case "outbox":
      begin(OUTBOX, frame.cluster).varint(frame.request);
      break;
    case "written":
      begin(WRITTEN, frame.cluster).varint(frame.request);
      break;
    case "merge":
      writeMergeMessage(frame.message, frame.to, begin(MERGE, frame.cluster));
      break;
  }
  return out.finish();
}

/** Snapshot and entries go in the journal's own form, checksums included. */
function writeMissing({ snapshot, entries }: Missing): void {
  if (snapshot !== undefined) encodeRecord({ kind: "snapshot", snapshot }, out);
  for (const entry of entries) encodeRecord({ kind: "entry", entry, previousTerm: 0 }, out);
}

/**
 * Undefined: a kind that this version does not know. Parts are copies: they are kept in the log, and `bytes` may be a link's
 * read buffer. @throws {SkeinError} ERR_SKEIN_MALFORMED
 */
export function decodeFrame(bytes: Uint8Array): ControlFrame | undefined {
  const input = new ByteReader(bytes);
  const type = input.u8();
  const frame = readBody(type, readCluster(input), input);
  if (frame !== undefined) input.end();
  return frame;
}

function readBody(type: number, cluster: ClusterId, input: ByteReader): ControlFrame | undefined {
  switch (type) {
    case RAFT:
      if (input.remaining > RAFT_BYTES_MAX) throw malformed(`Raft message of ${input.remaining} bytes`);
      return { kind: "raft", cluster, message: input.copy(input.remaining) };
    case PROPOSAL:
      return { kind: "proposal", cluster, commands: readCommands(input) };
    case JOIN:
      return { kind: "join", cluster, joiner: readNodeId(input) };
    case JOINED:
      return { kind: "joined", cluster };
    case RESIGN:
      return { kind: "resign", cluster };
    case LEAVE:
      return { kind: "leave", cluster, isReady: input.u8() === 1 };
    case FORGET:
      return { kind: "forget", cluster, target: readNodeId(input) };
    case FORGOT: {
      const [target, error] = [readNodeId(input), input.text()];
      if (error.length > ERROR_TEXT_MAX) throw malformed("error text");
      return { kind: "forgot", cluster, target, error };
    }
    case NOT_MEMBER:
      return { kind: "notMember", cluster };
    case SURVEY:
      return { kind: "survey", cluster };
    case SURVEYED:
      return { kind: "surveyed", cluster, index: input.varint(), term: input.varint() };
    case FORKED:
      return {
        kind: "forked",
        cluster,
        parent: readCluster(input),
        index: input.varint(),
        term: input.varint(),
      };
    case REPAIR:
      return { kind: "repair", cluster, index: input.varint(), term: input.varint() };
    case REPAIRED: {
      const [index, term] = [input.varint(), input.varint()];
      return { kind: "repaired", cluster, index, term, missing: readMissing(input.raw(input.remaining)) };
    }
    case EARLY:
      return { kind: "early", cluster, commands: readCommands(input) };
    case WILL: {
      const [index, publisher] = [input.varint(), input.text()];
      const message = decodeMessage(new ByteReader(input.copy(input.remaining)));
      return { kind: "will", cluster, index, publisher, message };
    }
    case HAD:
      return {
        kind: "had",
        cluster,
        incarnation: input.varint() as Incarnation,
        seq: input.varint(),
        clientId: input.text(),
      };
    case REACH:
      return { kind: "reach", cluster, index: input.varint() };
    case REACHED:
      return { kind: "reached", cluster, index: input.varint() };
    case COUNT:
      return { kind: "count", cluster, request: input.varint() };
    case COUNTED:
      return {
        kind: "counted",
        cluster,
        request: input.varint(),
        incarnation: input.varint() as Incarnation,
        seq: input.varint(),
      };
    case OUTBOX:
      return { kind: "outbox", cluster, request: input.varint() };
    case WRITTEN:
      return { kind: "written", cluster, request: input.varint() };
    case MERGE:
      return { kind: "merge", cluster, ...readMergeMessage(input) };
    default:
      return undefined;
  }
}

function readCluster(input: ByteReader): ClusterId {
  const cluster = input.text() as ClusterId;
  if (cluster.length === 0 || cluster.length > CLUSTER_TEXT_MAX) throw malformed("cluster id");
  return cluster;
}

function readMissing(bytes: Uint8Array): Missing {
  let snapshot: Snapshot | undefined;
  const entries: Entry[] = [];
  for (let at = 0; at < bytes.length; ) {
    const decoded = decodeRecord(bytes, at);
    if (decoded?.record.kind === "entry") entries.push(decoded.record.entry);
    else if (decoded?.record.kind === "snapshot") snapshot = decoded.record.snapshot;
    else throw malformed("record");
    at = decoded.end;
  }
  return { snapshot, entries };
}

function readCommands(input: ByteReader): Uint8Array[] {
  const count = input.varint();
  if (count > PROPOSAL_COMMANDS_MAX) throw malformed(`${count} commands`);
  const commands: Uint8Array[] = [];
  for (let left = count; left > 0; left--) {
    const length = input.varint();
    if (length > COMMAND_BYTES_MAX) throw malformed(`command of ${length} bytes`);
    commands.push(input.copy(length));
  }
  return commands;
}

function begin(type: number, cluster: ClusterId): ByteWriter {
  return out.reset().u8(type).text(cluster);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode control frame: ${what}`);
}
