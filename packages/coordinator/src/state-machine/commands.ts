/**
 * What stands in a log entry of kind `command`: who proposed it, in which place of its own sequence, and what to do.
 *
 * `format u8 = 1 | node 8 bytes | incarnation varint | seq varint | kind u8 | body`. Kinds: 1 retained set (body: an
 * encoded Application Message), 2 retained delete (body: topic text). The bytes are replicated and kept for years, so
 * numbers are never reused; a form this version does not know is malformed and changes nothing (state-machine.ts).
 *
 * Source: reference design, section 4.3 rule 1 (proposer sequence).
 */

import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  isValidTopicName,
  type NodeId,
  SkeinError,
} from "@skein/kernel";
import { readNodeId, writeNodeId } from "../wire-ids.ts";

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
  | { readonly kind: "retainedDelete"; readonly topic: string };

export interface Command {
  readonly envelope: Envelope;
  readonly operation: Operation;
}

/** Most bytes of one encoded command; larger messages are not taken into the retained store (0x97). */
export const COMMAND_BYTES_MAX = 4 * 1024 * 1024;

const FORMAT = 1;
const RETAINED_SET = 1;
const RETAINED_DELETE = 2;

/** Every command is put together here; `finish` copies it out. */
const out = new ByteWriter(1024);

/** The operation a PUBLISH with RETAIN asks for: an empty payload deletes [MQTT-3.3.1-6]. */
export function retainedOperation(message: ApplicationMessage): Operation {
  if (message.payload.length === 0) return { kind: "retainedDelete", topic: message.topic };
  return { kind: "retainedSet", message };
}

export function topicOf(operation: Operation): string {
  return operation.kind === "retainedSet" ? operation.message.topic : operation.topic;
}

export function encodeCommand(command: Command): Uint8Array {
  const { envelope, operation } = command;
  writeNodeId(envelope.node, out.reset().u8(FORMAT));
  out.varint(envelope.incarnation).varint(envelope.seq);
  if (operation.kind === "retainedSet") encodeMessage(operation.message, out.u8(RETAINED_SET));
  else out.u8(RETAINED_DELETE).text(operation.topic);
  return out.finish();
}

/** Only who proposed it and in which place, for the leader's duplicate check. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeEnvelope(bytes: Uint8Array): Envelope {
  return readEnvelope(new ByteReader(bytes));
}

/** Payloads are views of `bytes` (no copy). @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeCommand(bytes: Uint8Array): Command {
  if (bytes.length > COMMAND_BYTES_MAX) throw malformed(`${bytes.length} bytes`);
  const input = new ByteReader(bytes);
  const envelope = readEnvelope(input);
  const operation = readOperation(input);
  input.end();
  return { envelope, operation };
}

function readEnvelope(input: ByteReader): Envelope {
  const format = input.u8();
  if (format !== FORMAT) throw malformed(`format ${format}`);
  const node = readNodeId(input);
  const incarnation = input.varint() as Incarnation;
  const seq = input.varint();
  if (incarnation === 0 || seq === 0) throw malformed("incarnation or sequence number 0");
  return { node, incarnation, seq };
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
  throw malformed(`kind ${kind}`);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode command: ${what}`);
}
