/**
 * Bytes of the frame bodies in messages.ts.
 *
 * Every decoder reads exactly one body and throws SkeinError ERR_SKEIN_MALFORMED, and nothing else, on bytes that are
 * not one; the owner of the link answers by dropping it.
 */

import {
  ByteReader,
  type ByteWriter,
  type Incarnation,
  isNodeId,
  isValidTopicFilter,
  type NodeId,
  parseSharedFilter,
  SkeinError,
} from "@skein/kernel";
import { HOMES } from "./link/twins.ts";
import type {
  DataHead,
  Hello,
  InterestAck,
  InterestDelta,
  InterestRows,
  Resume,
  ReturnHead,
} from "./messages.ts";

/** What nearly every frame names, so it is there already. */
const NO_FILTERS: readonly string[] = [];

export function encodeHello(hello: Hello, out: ByteWriter): void {
  const { oldest, newest } = hello.versions;
  // Version 1 knows one number and compares it with its own: it must find the oldest version spoken there.
  out.varint(oldest).text(hello.mesh).text(hello.node).varint(hello.incarnation);
  out.u32(hello.nonce).text(hello.name).u16(hello.linkPort);
  if (newest > 1) out.varint(newest).u8(HOMES.indexOf(hello.home)).varint(hello.uptimeMs);
}

export function decodeHello(body: Uint8Array): Hello {
  const input = new ByteReader(body);
  const oldest = input.varint();
  const said = {
    mesh: input.text(),
    node: nodeId(input),
    incarnation: incarnation(input),
    nonce: input.u32(),
    name: input.text(),
    linkPort: input.u16(),
  };
  // A newer version may say more in its greeting; what this one does not know it passes over.
  const newest = input.remaining === 0 ? oldest : input.varint();
  if (newest < oldest) throw malformed(`hello: versions ${oldest} to ${newest}`);
  const home = (input.remaining === 0 ? undefined : HOMES[input.u8()]) ?? "unknown";
  const uptimeMs = input.remaining === 0 ? 0 : input.varint();
  return { versions: { oldest, newest }, ...said, home, uptimeMs };
}

export function encodeResume(resume: Resume, out: ByteWriter): void {
  out.varint(resume.incarnation).varint(resume.lastSequence).varint(resume.interestVersion);
}

export function decodeResume(body: Uint8Array): Resume {
  const input = new ByteReader(body);
  const resume: Resume = {
    incarnation: incarnation(input),
    lastSequence: input.varint(),
    interestVersion: input.varint(),
  };
  input.end();
  return resume;
}

export function encodeInterestDelta(delta: InterestDelta, out: ByteWriter): void {
  out.varint(delta.incarnation).varint(delta.from).varint(delta.to);
  encodeFilters(delta.added, out);
  encodeFilters(delta.removed, out);
}

export function decodeInterestDelta(body: Uint8Array): InterestDelta {
  const input = new ByteReader(body);
  const delta: InterestDelta = {
    incarnation: incarnation(input),
    from: input.varint(),
    to: input.varint(),
    added: decodeFilters(input),
    removed: decodeFilters(input),
  };
  input.end();
  if (delta.to <= delta.from) throw malformed(`interest delta from ${delta.from} to ${delta.to}`);
  return delta;
}

export function encodeInterestRows(rows: InterestRows, out: ByteWriter): void {
  out.text(rows.node).varint(rows.incarnation).varint(rows.version);
  out.u8((rows.isFirst ? 1 : 0) | (rows.isLast ? 2 : 0));
  encodeFilters(rows.filters, out);
}

export function decodeInterestRows(body: Uint8Array): InterestRows {
  const input = new ByteReader(body);
  const node = nodeId(input);
  const nodeIncarnation = incarnation(input);
  const version = input.varint();
  const flags = input.u8();
  if (flags > 3) throw malformed(`interest rows: flags ${flags}`);
  const filters = decodeFilters(input);
  input.end();
  return {
    node,
    incarnation: nodeIncarnation,
    version,
    isFirst: (flags & 1) !== 0,
    isLast: (flags & 2) !== 0,
    filters,
  };
}

export function decodeInterestPull(body: Uint8Array): NodeId {
  const input = new ByteReader(body);
  const node = nodeId(input);
  input.end();
  return node;
}

export function encodeInterestAck(ack: InterestAck, out: ByteWriter): void {
  out.varint(ack.incarnation).varint(ack.version);
}

export function decodeInterestAck(body: Uint8Array): InterestAck {
  const input = new ByteReader(body);
  const ack: InterestAck = { incarnation: incarnation(input), version: input.varint() };
  input.end();
  return ack;
}

export function decodeDataAck(body: Uint8Array): number {
  const input = new ByteReader(body);
  const sequence = input.varint();
  input.end();
  return sequence;
}

export function encodeDataHead(head: DataHead, out: ByteWriter): void {
  out.u8(head.isOrdinary ? 1 : 0).u8(head.tries);
  encodeFilters(head.sharedFilters, out);
}

/** Reads the head only; the message follows in `input`. */
export function decodeDataHead(input: ByteReader): DataHead {
  const flags = input.u8();
  if (flags > 1) throw malformed(`data: flags ${flags}`);
  return { isOrdinary: flags === 1, tries: input.u8(), sharedFilters: decodeFilters(input) };
}

export function encodeReturnHead(head: ReturnHead, out: ByteWriter): void {
  out.varint(head.sequence).u8(head.tries).text(head.sharedFilter);
}

/** Reads the head only; the message follows in `input`. */
export function decodeReturnHead(input: ByteReader): ReturnHead {
  return { sequence: input.varint(), tries: input.u8(), sharedFilter: input.text() };
}

function encodeFilters(filters: readonly string[], out: ByteWriter): void {
  out.varint(filters.length);
  for (const filter of filters) out.text(filter);
}

/** An invalid filter must never reach the index, which relies on their form. */
function decodeFilters(input: ByteReader): readonly string[] {
  const count = input.varint();
  if (count === 0) return NO_FILTERS;
  const filters: string[] = [];
  for (let left = count; left > 0; left--) {
    const filter = input.text();
    const shared = parseSharedFilter(filter);
    if (shared === "invalid" || (shared === undefined && !isValidTopicFilter(filter))) {
      throw malformed("topic filter is not valid");
    }
    filters.push(filter);
  }
  return filters;
}

function nodeId(input: ByteReader): NodeId {
  const text = input.text();
  if (!isNodeId(text)) throw malformed("node id has the wrong form");
  return text;
}

function incarnation(input: ByteReader): Incarnation {
  return input.varint() as Incarnation;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode frame: ${what}`);
}
