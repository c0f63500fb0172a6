/**
 * The whole replicated state as one run of bytes: what a follower far behind gets, and what replaces the old log.
 *
 * `format u8 = 1 | proposers varint, each: node 8 bytes, incarnation, last, index varint | retained varint, each: an
 * encoded Application Message`. Both lists are sorted and free of repeats, so equal states are equal bytes.
 */

import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  isValidTopicName,
  SkeinError,
} from "@skein/kernel";
import { readNodeId, writeNodeId } from "../wire-ids.ts";
import { PROPOSERS_MAX, type Sequence } from "./sequencer.ts";

/** What a snapshot holds. */
export interface ReplicatedState {
  /** Sorted by node id. */
  readonly proposers: readonly Sequence[];
  /** Sorted by topic. */
  readonly retained: readonly ApplicationMessage[];
}

const FORMAT = 1;

export function encodeSnapshot(state: ReplicatedState): Uint8Array {
  const out = new ByteWriter(4096);
  out.u8(FORMAT).varint(state.proposers.length);
  for (const row of state.proposers) {
    writeNodeId(row.node, out);
    out.varint(row.incarnation).varint(row.last).varint(row.index);
  }
  out.varint(state.retained.length);
  for (const message of state.retained) encodeMessage(message, out);
  return out.finish();
}

/** Payloads are views of `bytes` (no copy). @throws {SkeinError} ERR_SKEIN_MALFORMED, also when a list is not sorted */
export function decodeSnapshot(bytes: Uint8Array): ReplicatedState {
  const input = new ByteReader(bytes);
  const format = input.u8();
  if (format !== FORMAT) throw malformed(`format ${format}`);
  const proposers = readProposers(input);
  const retained: ApplicationMessage[] = [];
  for (let left = input.varint(); left > 0; left--) {
    const message = decodeMessage(input);
    const before = retained.at(-1);
    if (before !== undefined && before.topic >= message.topic) throw malformed("topics are not in order");
    if (!isValidTopicName(message.topic) || message.payload.length === 0) throw malformed("retained message");
    retained.push(message);
  }
  input.end();
  return { proposers, retained };
}

/** Whether `bytes` are a snapshot that {@link decodeSnapshot} reads. */
export function isSnapshot(bytes: Uint8Array): boolean {
  try {
    decodeSnapshot(bytes);
    return true;
  } catch (error) {
    if (error instanceof SkeinError) return false;
    throw error;
  }
}

function readProposers(input: ByteReader): Sequence[] {
  const rows: Sequence[] = [];
  const count = input.varint();
  if (count > PROPOSERS_MAX) throw malformed(`${count} proposers`);
  for (let left = count; left > 0; left--) {
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

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode snapshot: ${what}`);
}
