/**
 * What stands in a log entry of kind `command` that a node has proposed: who, in which place of its own sequence, when, and
 * what to do. (What a leader appends on its own: cluster-commands.ts.)
 *
 * `format u8 = 2 | node 8 bytes | incarnation varint | seq varint | stamp varint | kind u8 | body`; format 1 has no stamp; format 4 has `cluster text |
 * seen through varint | stamp varint | clients varint, each text` before the kind: it was acknowledged without a quorum (alone-writes.ts); format 6 the
 * same, but nobody has heard of that; format 8 the same as 4, and its client has said PUBREL.
 * Kinds: 1 retained set (body: an encoded Application Message), 2 retained delete (body: topic text), 3 clear the conflicts
 * (body: number of the newest), 4 approve a merge (body: cluster), 5 to 15 sessions (sessions/session-commands.ts), 16 skip (body: last number of the places it takes), 17 most bytes that sessions may be owed
 * (body: varint), 18 a QoS 2 message that came with DUP (body: as 6). The bytes are replicated and kept for years, so
 * numbers are never reused; a form this version does not know is malformed and changes nothing (state-machine.ts).
 *
 * Source: reference design, section 4.3 rule 1 (proposer sequence).
 */

import {
  type ApplicationMessage,
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
import { readClusterId, readNodeId, writeNodeId } from "../wire-ids.ts";
import {
  isRepeatedKind,
  isSessionKind,
  readSessionOperation,
  type SessionOperation,
  writeSessionOperation,
} from "./sessions/session-commands.ts";

/** Place of a command in the sequence of its proposer. */
export interface Envelope {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** 1, 2, 3, ... within (node, incarnation). */
  readonly seq: number;
}

export type Operation =
  /** Sets the retained message of its topic. The payload is not empty. */
  | { readonly kind: "retainedSet"; readonly message: ApplicationMessage }
  | { readonly kind: "retainedDelete"; readonly topic: string }
  /** Forgets the values that gave way to others, up to number `through`. */
  | { readonly kind: "conflictsClear"; readonly through: number }
  /** Somebody here has agreed to merge with `cluster`. */
  | { readonly kind: "mergeApprove"; readonly cluster: ClusterId }
  /** Changes nothing: it takes the places of all commands from its own up to `through`, which will never come. */
  | { readonly kind: "skip"; readonly through: number }
  /** Its node has room for so many bytes of messages that sessions are owed. */
  | { readonly kind: "storeLimit"; readonly owedBytesMax: number }
  | SessionOperation;

/** That a command was acknowledged by its proposer alone, without a quorum: what it says about a retained message may be outdated, and some have its message. */
export interface Alone {
  readonly cluster: ClusterId;
  /** The proposer had applied the log of this cluster up to here; 0: it was the log of another cluster. */
  readonly seenThrough: number;
  /** When it was asked for. */
  readonly stamp: Stamp;
  /** Clients with kept sessions that were handed its message and have acknowledged it. */
  readonly had: readonly string[];
  /** Whoever asked for it may have heard of that. False: its connection was over before, so its client says it again, wherever it comes next. */
  readonly isAcknowledged: boolean;
  /** Its client has said PUBREL: it does not send the message again. */
  readonly isReleased?: true | undefined;
}

export interface Command {
  readonly envelope: Envelope;
  /** When it was proposed (hybrid-clock.ts); 0: not known. */
  readonly stamp: Stamp;
  readonly alone?: Alone | undefined;
  readonly operation: Operation;
}

/** Most bytes of one encoded command; larger messages are not taken into the retained store (0x97). */
export const COMMAND_BYTES_MAX = 4 * 1024 * 1024;

/** By so much a command grows at most when it is acknowledged without a quorum. */
export const ALONE_BYTES_MAX = 64;

const FORMAT_UNSTAMPED = 1;
const FORMAT = 2;
const FORMAT_ALONE = 4;
const FORMAT_ALONE_UNHEARD = 6;
const FORMAT_ALONE_RELEASED = 8;
const FORMATS: readonly number[] = [
  FORMAT_UNSTAMPED,
  FORMAT,
  FORMAT_ALONE,
  FORMAT_ALONE_UNHEARD,
  FORMAT_ALONE_RELEASED,
];
const RETAINED_SET = 1;
const RETAINED_DELETE = 2;
const CONFLICTS_CLEAR = 3;
const MERGE_APPROVE = 4;
const SKIP = 16;
const STORE_LIMIT = 17;

const NO_BYTES = new Uint8Array(0);

/** Every command is put together here; `finish` copies it out. */
const out = new ByteWriter(1024);

/** The operation a PUBLISH with RETAIN asks for: an empty payload deletes [MQTT-3.3.1-6]. */
export function retainedOperation(message: ApplicationMessage): Operation {
  if (message.payload.length === 0) return { kind: "retainedDelete", topic: message.topic };
  return { kind: "retainedSet", message };
}

/** Whether it is what a PUBLISH asks for. */
export function isMessage({ kind }: Operation): boolean {
  return kind === "publish" || kind === "publishOnce" || kind === "retainedSet" || kind === "retainedDelete";
}

/** What deletes the retained message of `topic`. */
export function deletionOf(topic: string): ApplicationMessage {
  return { topic, payload: NO_BYTES, qos: 1, retain: true, properties: undefined };
}

/** The topic whose retained message it changes; undefined: it changes none. */
export function topicOf(operation: Operation): string | undefined {
  if (operation.kind === "retainedDelete") return operation.topic;
  return carriedBy(operation)?.topic;
}

/** The retained message that it sets; undefined: it sets none. */
export function retainedOf(operation: Operation): ApplicationMessage | undefined {
  const message = carriedBy(operation);
  return message === undefined || message.payload.length === 0 ? undefined : message;
}

/** The message that it publishes with RETAIN. */
function carriedBy(operation: Operation): ApplicationMessage | undefined {
  if (operation.kind === "retainedSet") return operation.message;
  const isPublished = operation.kind === "publish" || operation.kind === "publishOnce";
  return isPublished && operation.message.retain ? operation.message : undefined;
}

/** The last place in its proposer's sequence that a command takes. */
export function lastPlaceOf({
  envelope: { seq },
  operation,
}: Pick<Command, "envelope" | "operation">): number {
  return operation.kind === "skip" ? Math.max(seq, operation.through) : seq;
}

export function encodeCommand({ envelope, stamp, alone, operation }: Command): Uint8Array {
  writeNodeId(envelope.node, out.reset().u8(formatOf(alone)));
  out.varint(envelope.incarnation).varint(envelope.seq).varint(stamp);
  if (alone !== undefined) writeAlone(alone);
  switch (operation.kind) {
    case "retainedSet":
      encodeMessage(operation.message, out.u8(RETAINED_SET));
      break;
    case "retainedDelete":
      out.u8(RETAINED_DELETE).text(operation.topic);
      break;
    case "conflictsClear":
      out.u8(CONFLICTS_CLEAR).varint(operation.through);
      break;
    case "storeLimit":
      out.u8(STORE_LIMIT).varint(operation.owedBytesMax);
      break;
    case "skip":
      out.u8(SKIP).varint(operation.through);
      break;
    case "mergeApprove":
      out.u8(MERGE_APPROVE).text(operation.cluster);
      break;
    default:
      writeSessionOperation(operation, out);
  }
  return out.finish();
}

/** What not every member of its cluster knows counts as malformed, so that all make the same of it. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function inForce(command: Command, remembersRepeated: boolean): Command {
  if (!remembersRepeated && saysWhatIsRepeated(command)) throw malformed("not in force yet");
  return command;
}

/** A command as every version knows it: without a word on what its client sends again. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function withoutRepeated(bytes: Uint8Array): Uint8Array {
  if (!mayBeRepeated(bytes)) return bytes;
  const command = decodeCommand(bytes);
  const { operation, alone } = command;
  return encodeCommand({
    ...command,
    alone: alone === undefined ? undefined : { ...alone, isReleased: undefined },
    operation: operation.kind === "publishOnce" ? { ...operation, isRepeated: false } : operation,
  });
}

/** The same of a command that is not decoded: all that go to the log are asked where the first version is in force. */
function mayBeRepeated(bytes: Uint8Array): boolean {
  const input = new ByteReader(bytes);
  const format = readFormat(input);
  if (format === FORMAT_ALONE_RELEASED) return true;
  readEnvelope(format, input);
  if (format >= FORMAT_ALONE) readAlone(input, format);
  return isRepeatedKind(input.u8());
}

function saysWhatIsRepeated({ alone, operation }: Command): boolean {
  return alone?.isReleased === true || (operation.kind === "publishOnce" && operation.isRepeated);
}

/** Only who proposed it and in which place, for the leader's duplicate check. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  const input = new ByteReader(bytes);
  return readEnvelope(readFormat(input), input).envelope;
}

/** Payloads are views of `bytes` (no copy). @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeCommand(bytes: Uint8Array): Command {
  if (bytes.length > COMMAND_BYTES_MAX) throw malformed(`${bytes.length} bytes`);
  const input = new ByteReader(bytes);
  const format = readFormat(input);
  const { envelope, stamp } = readEnvelope(format, input);
  const alone = format >= FORMAT_ALONE ? readAlone(input, format) : undefined;
  const operation = readOperation(input);
  input.end();
  return alone === undefined ? { envelope, stamp, operation } : { envelope, stamp, alone, operation };
}

function formatOf(alone: Alone | undefined): number {
  if (alone === undefined) return FORMAT;
  if (alone.isReleased === true) return FORMAT_ALONE_RELEASED;
  return alone.isAcknowledged ? FORMAT_ALONE : FORMAT_ALONE_UNHEARD;
}

function readFormat(input: ByteReader): number {
  const format = input.u8();
  if (!FORMATS.includes(format)) throw malformed(`format ${format}`);
  return format;
}

function readEnvelope(format: number, input: ByteReader): Pick<Command, "envelope" | "stamp"> {
  const node = readNodeId(input);
  const incarnation = input.varint() as Incarnation;
  const seq = input.varint();
  if (incarnation === 0 || seq === 0) throw malformed("incarnation or sequence number 0");
  const stamp = format === FORMAT_UNSTAMPED ? 0 : input.varint();
  return { envelope: { node, incarnation, seq }, stamp };
}

function writeAlone({ cluster, seenThrough, stamp, had }: Alone): void {
  out.text(cluster).varint(seenThrough).varint(stamp).varint(had.length);
  for (const clientId of had) out.text(clientId);
}

function readAlone(input: ByteReader, format: number): Alone {
  const alone = { cluster: readClusterId(input), seenThrough: input.varint(), stamp: input.varint() };
  const had: string[] = [];
  for (let left = input.varint(); left > 0; left--) had.push(input.text());
  const isAcknowledged = format !== FORMAT_ALONE_UNHEARD;
  const isReleased = format === FORMAT_ALONE_RELEASED ? true : undefined;
  return { ...alone, had, isAcknowledged, isReleased };
}

function readOperation(input: ByteReader): Operation {
  const kind = input.u8();
  if (kind === RETAINED_SET) {
    const message = decodeMessage(input);
    if (!isValidTopicName(message.topic) || message.payload.length === 0) throw malformed("retained set");
    return { kind: "retainedSet", message };
  }
  if (kind === RETAINED_DELETE) {
    const topic = input.text();
    if (!isValidTopicName(topic)) throw malformed("retained delete");
    return { kind: "retainedDelete", topic };
  }
  if (kind === CONFLICTS_CLEAR) return { kind: "conflictsClear", through: input.varint() };
  if (kind === MERGE_APPROVE) return { kind: "mergeApprove", cluster: readClusterId(input) };
  if (kind === STORE_LIMIT) return { kind: "storeLimit", owedBytesMax: input.varint() };
  if (kind === SKIP) return { kind: "skip", through: input.varint() };
  if (isSessionKind(kind)) return readSessionOperation(kind, input);
  throw malformed(`kind ${kind}`);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode command: ${what}`);
}
