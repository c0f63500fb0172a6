/**
 * Bytes of a digest: the member rows, in both versions of the protocol.
 *
 * A row of version 2 is a row of version 1 and a part with a length before it. That part grows from version to version: fields are
 * only ever added at its end, a reader takes those it knows and passes over the rest, and what an older writer left out
 * is unknown. So a field more needs no new version.
 */

import {
  ByteReader,
  ByteWriter,
  type ClusterId,
  type Incarnation,
  isNodeId,
  SkeinError,
} from "@skein/kernel";
import { MEMBERS_MAX } from "./limits.ts";
import type { MemberRow, MembersFrame } from "./messages.ts";

const ROLES = ["learner", "voter", "leader"] as const;
const NETWORKS = [undefined, true, false] as const;
/** Bytes of the machine's name, written as 16 hexadecimal digits. */
const MACHINE_BYTES = 8;
const NO_MACHINE = "0".repeat(2 * MACHINE_BYTES);

type GrowingPart = Pick<
  MemberRow,
  "protocolVersion" | "uptimeMs" | "machine" | "isWired" | "flushP99Ms" | "mqttPort" | "httpPort"
>;

export function encodeMembers(frame: MembersFrame, out: ByteWriter): void {
  out.u8(frame.wantsReply ? 1 : 0).varint(frame.rows.length);
  const part = new ByteWriter(64);
  for (const row of frame.rows) {
    encodeRow(row, out);
    encodeGrowingPart(row, part.reset());
    out.bytes(part.finish());
  }
}

export function decodeMembers(body: Uint8Array): MembersFrame {
  const input = new ByteReader(body);
  const flags = input.u8();
  const count = input.varint();
  if (flags > 1 || count > MEMBERS_MAX) throw malformed(`members: flags ${flags}, ${count} rows`);
  const rows: MemberRow[] = [];
  for (let at = 0; at < count; at++) {
    const row = decodeRow(input);
    rows.push({ ...row, ...decodeGrowingPart(new ByteReader(input.bytes())) });
  }
  input.end();
  return { wantsReply: flags === 1, rows };
}

function encodeRow(row: MemberRow, out: ByteWriter): void {
  out.text(row.node).varint(row.incarnation);
  const flags = (row.hasLeft ? 1 : 0) | (row.cluster === undefined ? 0 : 2) | (row.holdsAddress ? 4 : 0);
  out.u8(flags | (ROLES.indexOf(row.role) << 3));
  out.varint(row.heardAgoMs).text(row.address).varint(row.factsVersion).text(row.name);
  if (row.cluster !== undefined) out.text(row.cluster);
  out.varint(row.clients).varint(row.interestVersion);
}

function decodeRow(input: ByteReader): Omit<MemberRow, keyof GrowingPart> {
  const node = input.text();
  if (!isNodeId(node)) throw malformed("node id has the wrong form");
  const incarnation = input.varint() as Incarnation;
  const flags = input.u8();
  const role = ROLES[flags >> 3];
  if (role === undefined) throw malformed(`member row: flags ${flags}`);
  return {
    node,
    incarnation,
    hasLeft: (flags & 1) !== 0,
    heardAgoMs: input.varint(),
    address: input.text(),
    factsVersion: input.varint(),
    name: input.text(),
    cluster: (flags & 2) === 0 ? undefined : (input.text() as ClusterId),
    role,
    clients: input.varint(),
    holdsAddress: (flags & 4) !== 0,
    interestVersion: input.varint(),
  };
}

function encodeGrowingPart(row: GrowingPart, out: ByteWriter): void {
  out.varint(row.protocolVersion).varint(row.uptimeMs);
  out.raw(bytesOfHex(row.machine === "" ? NO_MACHINE : row.machine));
  out.u8(NETWORKS.indexOf(row.isWired)).varint(row.flushP99Ms).u16(row.mqttPort).u16(row.httpPort);
}

/** Fields are read for as long as there are any: the writer may be older (fewer) or newer (more) than this node. */
function decodeGrowingPart(input: ByteReader): GrowingPart {
  const has = (): boolean => input.remaining > 0;
  const protocolVersion = has() ? input.varint() : 1;
  const uptimeMs = has() ? input.varint() : 0;
  const machine = has() ? hexOf(input.raw(MACHINE_BYTES)) : NO_MACHINE;
  return {
    protocolVersion,
    uptimeMs,
    machine: machine === NO_MACHINE ? "" : machine,
    isWired: has() ? NETWORKS[input.u8()] : undefined,
    flushP99Ms: has() ? input.varint() : 0,
    mqttPort: has() ? input.u16() : 0,
    httpPort: has() ? input.u16() : 0,
  };
}

function bytesOfHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode frame: ${what}`);
}
