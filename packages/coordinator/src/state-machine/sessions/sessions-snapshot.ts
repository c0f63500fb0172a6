/**
 * All sessions as bytes: the part of a snapshot that sessions-state.ts is saved as and restored from.
 *
 * `elapsed, hash varint | messages, each: at varint, message | turns, each: text, varint | sessions, each: ... | those without a
 * connection in the order they were left, each: place varint`. A message that is in many queues is written once, and named in them by
 * its place in the list. Everything is sorted or in the order of the log, so equal states are equal bytes. A merge uses the same
 * forms (staged-sessions.ts).
 */

import {
  type ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  type Incarnation,
  SkeinError,
} from "@skein/kernel";
import { readNodeId, writeNodeId } from "../../wire-ids.ts";
import { ownCopy } from "../take-merge.ts";
import { RunningHash } from "./running-hash.ts";
import {
  readList,
  readQos,
  readRising,
  readSubscription,
  readWill,
  writeRising,
  writeSubscription,
  writeWill,
} from "./session-commands.ts";
import { QueueEntry } from "./session-queue.ts";
import type { SavedSession, SessionOwner, SessionState } from "./session-state.ts";
import { SESSION_START_MS } from "./session-time.ts";
import type { SessionsState } from "./sessions-state.ts";
import { type StoredMessage, storedMessage } from "./stored-message.ts";

const IS_PRESENT = 1;
const IS_WILL_DEFERRED = 2;
const HAS_OWNER = 4;
const RETAIN = 4;
const RELEASED = 8;
const HAS_GROUP = 16;

/** All sessions, as a snapshot holds them. */
export interface SavedSessions {
  /** SessionTime, ms. */
  readonly elapsed: number;
  readonly hash: number;
  readonly turns: readonly (readonly [sharedFilter: string, turn: number])[];
  readonly sessions: readonly SavedSession[];
  /** Places in `sessions` of those without a connection, the one longest without first. */
  readonly absent: readonly number[];
}

export const NO_SESSIONS: SavedSessions = {
  elapsed: SESSION_START_MS,
  hash: new RunningHash().value,
  turns: [],
  sessions: [],
  absent: [],
};

/** All sessions as of one moment: what stands before the messages (their number included), the messages, and what stands behind. */
export interface SessionParts {
  readonly head: Uint8Array;
  readonly messages: readonly StoredMessage[];
  readonly tail: Uint8Array;
}

export function sessionParts(state: SessionsState): SessionParts {
  const sessions = [...state.all()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  const places = placesOf(sessions);
  const out = new ByteWriter(4096);
  out.varint(state.time.elapsed).varint(state.hash.value).varint(places.size);
  const head = out.finish();
  out.reset();
  const turns = state.shared.all();
  out.varint(turns.length);
  for (const [filter, turn] of turns) out.text(filter).varint(turn);
  out.varint(sessions.length);
  for (const session of sessions) writeSession(session.save(), places, out);
  const at = new Map(sessions.map((session, place) => [session, place]));
  out.varint(state.absent.count);
  for (const session of state.absent) out.varint(at.get(session) ?? 0);
  return { head, messages: [...places.keys()], tail: out.take() };
}

/** Payloads are copied. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readSessions(input: ByteReader): SavedSessions {
  const [elapsed, hash] = [input.varint(), input.varint()];
  const messages = readList(input, readStored);
  const turns = readList(input, () => [input.text(), input.varint()] as const);
  const sessions = readList(input, () => readSession(input, messages));
  const absent = readList(input, () => input.varint());
  const left = new Set(absent);
  const isComplete = sessions.every(({ owner }, place) => (owner === undefined) === left.has(place));
  if (!isComplete || left.size !== absent.length) throw malformed("sessions without a connection");
  return { elapsed, hash, turns, sessions, absent };
}

/** The messages in the queues of `sessions`, each with its place among them. */
export function placesOf(sessions: Iterable<SessionState>): Map<StoredMessage, number> {
  const places = new Map<StoredMessage, number>();
  for (const { queue } of sessions)
    for (const { stored } of queue) if (!places.has(stored)) places.set(stored, places.size);
  return places;
}

export function writeStored({ message, at }: StoredMessage, out: ByteWriter): void {
  encodeMessage(message, out.varint(at));
}

/** The payload is copied. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readStored(input: ByteReader): StoredMessage {
  const at = input.varint();
  return storedMessage(ownCopy(decodeMessage(input)), at);
}

export function writeSession(
  session: SavedSession,
  places: ReadonlyMap<StoredMessage, number>,
  out: ByteWriter,
): void {
  const { clientId, owner, isPresent, isWillDeferred, subscriptions, queue } = session;
  const bits = (isPresent ? IS_PRESENT : 0) | (isWillDeferred ? IS_WILL_DEFERRED : 0);
  out.text(clientId).u8(bits | (owner === undefined ? 0 : HAS_OWNER));
  if (owner !== undefined) writeOwner(owner, out);
  out.varint(session.claimedAt).varint(session.expirySeconds).varint(session.keepAliveSeconds);
  out.varint(session.queuedMessagesMax).varint(session.queuedBytesMax);
  writeWill(session.will, out);
  writeOptional(session.willAt, out);
  writeOptional(session.endsAt, out);
  out.varint(subscriptions.length);
  for (const subscription of subscriptions) writeSubscription(subscription, out);
  writeRising(session.received, out);
  out
    .varint(session.sentThrough + 1)
    .varint(session.nextOrdinal)
    .varint(queue.length);
  for (const entry of queue) writeEntry(entry, places, out);
}

/** `messages`: those that its queue names. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readSession(input: ByteReader, messages: readonly StoredMessage[]): SavedSession {
  const clientId = input.text();
  const bits = input.u8();
  const saved: SavedSession = {
    clientId,
    isPresent: (bits & IS_PRESENT) !== 0,
    isWillDeferred: (bits & IS_WILL_DEFERRED) !== 0,
    owner: (bits & HAS_OWNER) === 0 ? undefined : readOwner(input),
    claimedAt: input.varint(),
    expirySeconds: input.varint(),
    keepAliveSeconds: input.varint(),
    queuedMessagesMax: input.varint(),
    queuedBytesMax: input.varint(),
    will: readWill(input),
    willAt: readOptional(input),
    endsAt: readOptional(input),
    subscriptions: readList(input, readSubscription),
    received: readRising(input),
    sentThrough: input.varint() - 1,
    nextOrdinal: input.varint(),
    queue: readList(input, () => readEntry(input, messages)),
  };
  const { queue, nextOrdinal } = saved;
  for (const [at, { ordinal }] of queue.entries())
    if (ordinal >= nextOrdinal || ordinal <= (queue[at - 1]?.ordinal ?? -1)) throw malformed("ordinals");
  if (nextOrdinal - (queue[0]?.ordinal ?? nextOrdinal) > 0xffff) throw malformed("span of ordinals");
  return saved;
}

function writeEntry(entry: QueueEntry, places: ReadonlyMap<StoredMessage, number>, out: ByteWriter): void {
  const { ordinal, stored, index, qos, retain, isReleased, group, identifiers = [] } = entry;
  out
    .varint(ordinal)
    .varint(places.get(stored) ?? 0)
    .varint(index);
  out.u8(qos | (retain ? RETAIN : 0) | (isReleased ? RELEASED : 0) | (group === undefined ? 0 : HAS_GROUP));
  if (group !== undefined) out.text(group);
  writeRising(identifiers, out);
}

function readEntry(input: ByteReader, messages: readonly StoredMessage[]): QueueEntry {
  const ordinal = input.varint();
  const stored = messages[input.varint()];
  const index = input.varint();
  const bits = input.u8();
  const qos = readQos(bits & 3);
  if (stored === undefined || qos === 0) throw malformed("queue");
  const group = (bits & HAS_GROUP) === 0 ? undefined : input.text();
  const identifiers = readRising(input);
  const form = {
    qos,
    retain: (bits & RETAIN) !== 0,
    identifiers: identifiers.length === 0 ? undefined : identifiers,
    group,
  };
  const entry = new QueueEntry(ordinal, stored, form, index);
  entry.isReleased = (bits & RELEASED) !== 0;
  return entry;
}

function writeOwner({ node, incarnation, claim }: SessionOwner, out: ByteWriter): void {
  writeNodeId(node, out);
  out.varint(incarnation).varint(claim);
}

function readOwner(input: ByteReader): SessionOwner {
  return { node: readNodeId(input), incarnation: input.varint() as Incarnation, claim: input.varint() };
}

/** 0: undefined. */
function writeOptional(value: number | undefined, out: ByteWriter): void {
  out.varint(value === undefined ? 0 : value + 1);
}

function readOptional(input: ByteReader): number | undefined {
  const value = input.varint();
  return value === 0 ? undefined : value - 1;
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode sessions: ${what}`);
}
