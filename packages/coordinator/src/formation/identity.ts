/**
 * What a node remembers about itself for ever: file `identity.json` in its data directory.
 *
 * The id is bound to the data directory: a wiped or unreadable directory makes a NEW node, because a voter that lost
 * its memory and came back under its old name could un-commit what it had acknowledged (reference design, traps 5 and
 * 6). The incarnation grows with every start and is on disk before it is used. A damaged file never stops a node
 * (P12): it is kept under another name and the node starts fresh; its replica comes from its peers. The file carries a
 * checksum: one rotten bit in the id would otherwise make a valid file of a node that nobody knows.
 */

import {
  type ClusterId,
  type Disk,
  type DiskDone,
  decodeUtf8,
  encodeUtf8Into,
  type Incarnation,
  isNodeId,
  type Log,
  type NodeId,
  type RandomSource,
  SkeinError,
  utf8Length,
} from "@skein/kernel";
import { crc32c } from "../journal/crc32c.ts";
import type { Identity } from "../options.ts";

const FILE = "identity.json";
/** In place of the machine that the directory was used on last: a copy of it was used on another one. */
const COPIED = "copied";

/**
 * Reads the identity, or makes one, and counts this start. Call once, at start-up.
 *
 * `machine`: what tells this machine from every other (a hash of a hardware number), empty where nothing does. A changed one
 * alone changes no identity: people move SD cards. But it may be a copy, so the node is suspect until it has caught up with a
 * leader (replica-files.ts). So is one of which a copy is known to have been in use ({@link countStarts}).
 *
 * A file that cannot be understood is kept as `identity.json.bad-<8 hexadecimal digits>`.
 *
 * @throws {SkeinError} ERR_SKEIN_DISK if the directory cannot be read or written.
 */
export function loadIdentity(disk: Disk, random: RandomSource, log: Log, machine = ""): Identity {
  const bytes = disk.read(FILE);
  const before = bytes === undefined ? undefined : parse(bytes);
  if (bytes !== undefined && before === undefined) {
    const keptAs = `${FILE}.bad-${hexText(random.bytes(4))}`;
    disk.rename(FILE, keptAs);
    log.warn({ file: FILE, keptAs }, "identity file is damaged; starting as a new node");
  }
  if (before === undefined || before.incarnation === 0) {
    const copyOf = before?.copyOf;
    const made = {
      ...(before ?? newIdentity(random, 1, copyOf)),
      incarnation: 1 as Incarnation,
      home: machine,
      machine,
    };
    settleIdentity(disk, made);
    return made;
  }
  const isElsewhere = machine !== "" && before.machine !== "" && machine !== before.machine;
  const hasMoved = isElsewhere || before.machine === COPIED;
  const identity: Identity = {
    ...before,
    incarnation: (before.incarnation + 1) as Incarnation,
    machine,
    hasMoved,
  };
  // Until the journal says that it is suspect, the file says where it was before.
  settleIdentity(disk, hasMoved || machine === "" ? { ...identity, machine: before.machine } : identity);
  return identity;
}

/** @throws {SkeinError} ERR_SKEIN_DISK */
export function settleIdentity(disk: Disk, identity: Identity): void {
  disk.replaceNow(FILE, serialize(identity));
}

/**
 * Makes a new node of this data directory, durably, then calls `done`. Its next start is its first one and sets the journal of
 * the old node aside (replica-files.ts), so a crash at any point leaves either the old node or the new one.
 */
export function replaceIdentity(
  disk: Disk,
  random: RandomSource,
  copyOf: string | undefined,
  done: DiskDone,
): void {
  saveIdentity(disk, newIdentity(random, 0, copyOf), done);
}

/**
 * A copy of this data directory has been started `starts` times: durably, the next start is behind those, and as suspect as that of a
 * directory that comes from another machine. Then calls `done`.
 */
export function countStarts(disk: Disk, starts: Incarnation, done: DiskDone): void {
  let own: Identity | undefined;
  try {
    const bytes = disk.read(FILE);
    own = bytes === undefined ? undefined : parse(bytes);
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error;
    done(error);
    return;
  }
  if (own === undefined) {
    // A damaged file makes a new node at the next start.
    done(undefined);
    return;
  }
  const incarnation = Math.max(own.incarnation, starts) as Incarnation;
  saveIdentity(disk, { ...own, incarnation, machine: COPIED }, done);
}

/** `starts`: how often it was started, this time included. */
function newIdentity(random: RandomSource, starts: number, copyOf: string | undefined): Identity {
  const node = hexText(random.bytes(8)) as NodeId;
  const place = { home: "", machine: "", hasMoved: false };
  return { node, incarnation: starts as Incarnation, cluster: undefined, ...place, copyOf };
}

/** Writes `identity` durably, then calls `done`. */
export function saveIdentity(disk: Disk, identity: Identity, done: DiskDone): void {
  disk.replace(FILE, serialize(identity), done);
}

/** A random UUID (RFC 9562 version 4) for a new cluster. */
export function newClusterId(random: RandomSource): ClusterId {
  const bytes = new Uint8Array(random.bytes(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = hexText(bytes);
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join("-") as ClusterId;
}

function serialize(identity: Identity): Uint8Array {
  const { node, incarnation, cluster, home, machine, copyOf } = identity;
  const check = checksum(identity);
  const content = { node, incarnation, cluster: cluster ?? null, home, machine, copyOf, check };
  return utf8(`${JSON.stringify(content, undefined, 2)}\n`);
}

/** CRC-32C over the values, whatever the file looks like. */
function checksum({ node, incarnation, cluster, home, machine, copyOf }: Identity): number {
  // Of a file from before there were places it is the checksum of that time.
  const place = home + machine === "" && copyOf === undefined ? "" : ` ${home} ${machine} ${copyOf ?? ""}`;
  return crc32c(utf8(`${node} ${incarnation} ${cluster ?? ""}${place}`));
}

function utf8(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  return bytes;
}

function parse(bytes: Uint8Array): Identity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes, 0, bytes.length));
  } catch {
    // Not UTF-8 or not JSON: damaged, whatever the reason; the caller sets the file aside.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const content = value as Record<string, unknown>;
  const { node, incarnation, cluster, home = "", machine = "", copyOf, check } = content;
  if (typeof node !== "string" || !isNodeId(node)) return undefined;
  if (typeof incarnation !== "number" || !Number.isSafeInteger(incarnation) || incarnation < 0)
    return undefined;
  if (cluster !== null && (typeof cluster !== "string" || !/^[0-9a-f-]{36}$/.test(cluster))) return undefined;
  if (typeof home !== "string" || typeof machine !== "string") return undefined;
  const identity: Identity = {
    node,
    incarnation: incarnation as Incarnation,
    cluster: cluster === null ? undefined : (cluster as ClusterId),
    home,
    machine,
    hasMoved: false,
    copyOf: typeof copyOf === "string" ? copyOf : undefined,
  };
  return check === checksum(identity) ? identity : undefined;
}

function hexText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
