/**
 * All sessions as bytes: the part of a snapshot that sessions-state.ts is saved as and restored from.
 *
 * `elapsed, hash varint | messages, each: at varint, message | turns, each: text, varint | sessions, each: ... | those without a
 * connection in the order they were left, each: place varint`. A message that is in many queues is written once, and named in them by
 * its place in the list. On the disk of a node that owes much, slabs stand apart in parts of their own, and instead of messages there are
 * `parts varint | open slab: bytes | handles varint, each: place u32` (owed-messages.ts); queues name a message by its handle. Everything else is sorted or in the order of the log, so equal states are equal bytes. A merge uses the same
 * forms (staged-sessions.ts).
 */

import { type ByteReader, ByteWriter, type Incarnation, SkeinError } from "@skein/kernel";
import type { IsPieceFull, Pieces } from "../../pieces.ts";
import { readNodeId, writeNodeId } from "../../wire-ids.ts";
import {
  MessagePlaces,
  type NamedHandles,
  type NamedMessages,
  readMessages,
  readSlabs,
  releaseAll,
} from "./named-messages.ts";
import { NO_ROOM, OwedMessages } from "./owed-messages.ts";
import type { ColumnEntry } from "./queue-columns.ts";
import { readRepeated, writeRepeated } from "./repeated-messages.ts";
import { RunningHash } from "./running-hash.ts";
import {
  readList,
  readLongList,
  readQos,
  readRising,
  readSubscription,
  readWill,
  writeRising,
  writeSubscription,
  writeWill,
} from "./session-commands.ts";
import { SessionQueue } from "./session-queue.ts";
import type { SavedSession, SessionOwner, SessionState } from "./session-state.ts";
import { SESSION_START_MS } from "./session-time.ts";
import type { SessionsState } from "./sessions-state.ts";

const IS_PRESENT = 1;
const IS_WILL_DEFERRED = 2;
const HAS_OWNER = 4;
const HAS_FORMERS = 8;
const RETAIN = 4;
const RELEASED = 8;
const HAS_GROUP = 16;

/** All sessions, as a snapshot holds them. */
export interface SavedSessions {
  /** SessionTime, ms. */
  readonly elapsed: number;
  readonly hash: number;
  readonly turns: readonly (readonly [sharedFilter: string, turn: number])[];
  /** Those that the queues of `sessions` hold. Whoever restores them takes it over. */
  readonly messages: OwedMessages;
  readonly sessions: readonly SavedSession[];
  /** Places in `sessions` of those without a connection, the one longest without first. */
  readonly absent: readonly number[];
}

export function noSessions(slabBytes?: number): SavedSessions {
  return {
    elapsed: SESSION_START_MS,
    hash: new RunningHash().value,
    turns: [],
    messages: new OwedMessages(slabBytes),
    sessions: [],
    absent: [],
  };
}

/** Writes all sessions down as they were, whatever becomes of them meanwhile; it stops where `isPieceFull` says so. */
export type SessionsWriter = (out: ByteWriter, isPieceFull: IsPieceFull) => Pieces<void>;

/** Fixes all sessions as they are now. `hasRepeated`: the form has what may come once more (repeated-messages.ts). */
export function frozenSessions(state: SessionsState, hasRepeated: boolean): SessionsWriter {
  const sessions = inOrder(state);
  const places = new MessagePlaces(state.owed).addQueues(sessions);
  const messages = state.owed.freeze(places.handles);
  const head = headOf(state);
  const rest = frozenRest(state, sessions, places, hasRepeated);
  return function* pieces(into, isPieceFull) {
    into.raw(head).varint(messages.length);
    for (let place = 0; place < messages.length; place++) {
      into.raw(messages.packed(place));
      if (isPieceFull()) yield;
    }
    yield* rest(into, isPieceFull);
  };
}

/** The same for the disk of this node, with slabs that never change any more apart from what is written down. */
export function frozenInParts(
  state: SessionsState,
  hasRepeated: boolean,
): {
  readonly parts: readonly Uint8Array[];
  readonly write: SessionsWriter;
} {
  const { places, closed, open } = state.owed.freezeSlabs();
  const head = headOf(state);
  const rest = frozenRest(state, inOrder(state), { of: (handle) => handle }, hasRepeated);
  return {
    parts: closed,
    write: function* pieces(into, isPieceFull) {
      into.raw(head).varint(closed.length).bytes(open).varint(places.length);
      for (const place of places) {
        into.u32(place);
        if (isPieceFull()) yield;
      }
      yield* rest(into, isPieceFull);
    },
  };
}

function inOrder(state: SessionsState): readonly SessionState[] {
  return [...state.all()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
}

function headOf({ time, hash }: SessionsState): Uint8Array {
  return new ByteWriter(32).varint(time.elapsed).varint(hash.value).finish();
}

/** All that follows the messages, which are named by `places`. */
function frozenRest(
  state: SessionsState,
  sessions: readonly SessionState[],
  places: NamedMessages,
  hasRepeated: boolean,
): SessionsWriter {
  const out = new ByteWriter(4096);
  const turns = state.shared.all();
  out.varint(turns.length);
  for (const [filter, turn] of turns) out.text(filter).varint(turn);
  out.varint(sessions.length);
  const queues = sessions.map((session) => {
    writeSession(session.save(), out, hasRepeated);
    return { end: out.length, columns: session.queue.freeze() };
  });
  const at = new Map(sessions.map((session, place) => [session, place]));
  out.varint(state.absent.count);
  for (const session of state.absent) out.varint(at.get(session) ?? 0);
  const rest = out.take();
  return function* pieces(into, isPieceFull) {
    let from = 0;
    for (const { end, columns } of queues) {
      into.raw(rest.subarray(from, end));
      from = end;
      writeEntries(columns, places, into);
      if (isPieceFull()) yield;
    }
    into.raw(rest.subarray(from));
  };
}

/**
 * Messages are copied; but for `parts`, if they stand apart, which are taken over as they are. `slabBytes`: see {@link OwedMessages}.
 * @throws {SkeinError} ERR_SKEIN_MALFORMED
 */
export function* readSessions(
  input: ByteReader,
  parts: readonly Uint8Array[] | undefined,
  slabBytes: number | undefined,
  hasRepeated: boolean,
  isPieceFull: IsPieceFull,
): Pieces<SavedSessions> {
  const [elapsed, hash] = [input.varint(), input.varint()];
  const { messages, handles } =
    parts === undefined
      ? yield* readMessages(input, slabBytes, isPieceFull)
      : readSlabs(input, parts, slabBytes);
  const turns = readList(input, () => [input.text(), input.varint()] as const);
  const sessions = yield* readLongList(
    input,
    () => readSession(input, messages, handles, hasRepeated),
    isPieceFull,
  );
  yield* releaseAll(handles, messages);
  const absent = readList(input, () => input.varint());
  const left = new Set(absent);
  const isComplete = sessions.every(({ owner }, place) => (owner === undefined) === left.has(place));
  if (!isComplete || left.size !== absent.length) throw malformed("sessions without a connection");
  return { elapsed, hash, turns, messages, sessions, absent };
}

/** All but the entries of its queue, which follow ({@link writeEntries}). */
export function writeSession(session: SavedSession, out: ByteWriter, hasRepeated: boolean): void {
  const { clientId, owner, formers, isPresent, isWillDeferred, subscriptions, queue } = session;
  const bits = (isPresent ? IS_PRESENT : 0) | (isWillDeferred ? IS_WILL_DEFERRED : 0);
  out
    .text(clientId)
    .u8(bits | (owner === undefined ? 0 : HAS_OWNER) | (formers.length === 0 ? 0 : HAS_FORMERS));
  if (owner !== undefined) writeOwner(owner, out);
  if (formers.length > 0) out.varint(formers.length);
  for (const former of formers) writeOwner(former, out);
  out.varint(session.claimedAt).varint(session.expirySeconds).varint(session.keepAliveSeconds);
  out.varint(session.queuedMessagesMax).varint(session.queuedBytesMax);
  writeWill(session.will, out);
  writeOptional(session.willAt, out);
  writeOptional(session.endsAt, out);
  out.varint(subscriptions.length);
  for (const subscription of subscriptions) writeSubscription(subscription, out);
  writeRising(
    session.received.map(([packetId]) => packetId),
    out,
  );
  if (hasRepeated) {
    for (const [, content] of session.received) out.varint(content);
    writeRepeated(session.repeated, out);
  }
  out
    .varint(session.sentThrough + 1)
    .varint(queue.nextOrdinal)
    .varint(queue.length);
}

function readReceived(input: ByteReader, hasContents: boolean): SavedSession["received"] {
  return readRising(input).map((packetId) => [packetId, hasContents ? input.varint() : 0]);
}

export function writeEntries(entries: Iterable<ColumnEntry>, places: NamedMessages, out: ByteWriter): void {
  for (const { ordinal, handle, index, qos, retain, isReleased, group, identifiers = [] } of entries) {
    out.varint(ordinal).varint(places.of(handle)).varint(index);
    out.u8(qos | (retain ? RETAIN : 0) | (isReleased ? RELEASED : 0) | (group === undefined ? 0 : HAS_GROUP));
    if (group !== undefined) out.text(group);
    writeRising(identifiers, out);
  }
}

/**
 * A session, whose queue names messages by their place among `handles`, and holds them. Holds none if it throws.
 * @throws {SkeinError} ERR_SKEIN_MALFORMED
 */
export function readSession(
  input: ByteReader,
  messages: OwedMessages,
  handles: NamedHandles["handles"],
  hasRepeated: boolean,
): SavedSession {
  const clientId = input.text();
  const bits = input.u8();
  const saved = {
    clientId,
    isPresent: (bits & IS_PRESENT) !== 0,
    isWillDeferred: (bits & IS_WILL_DEFERRED) !== 0,
    owner: (bits & HAS_OWNER) === 0 ? undefined : readOwner(input),
    formers: (bits & HAS_FORMERS) === 0 ? [] : readList(input, readOwner),
    claimedAt: input.varint(),
    expirySeconds: input.varint(),
    keepAliveSeconds: input.varint(),
    queuedMessagesMax: input.varint(),
    queuedBytesMax: input.varint(),
    will: readWill(input),
    willAt: readOptional(input),
    endsAt: readOptional(input),
    subscriptions: readList(input, readSubscription),
    received: readReceived(input, hasRepeated),
    repeated: hasRepeated ? readRepeated(input) : [],
    sentThrough: input.varint() - 1,
  };
  const nextOrdinal = input.varint();
  const entries = readList(input, () => readEntry(input, handles));
  for (const [at, { ordinal }] of entries.entries())
    if (ordinal >= nextOrdinal || ordinal <= (entries[at - 1]?.ordinal ?? -1)) throw malformed("ordinals");
  if (nextOrdinal - (entries[0]?.ordinal ?? nextOrdinal) > 0xffff) throw malformed("span of ordinals");
  const queue = new SessionQueue(messages, entries[0]?.ordinal ?? nextOrdinal);
  for (const entry of entries) {
    queue.skipTo(entry.ordinal);
    queue.push(entry.handle, entry, entry.index);
  }
  queue.skipTo(nextOrdinal);
  return { ...saved, queue };
}

function readEntry(input: ByteReader, handles: NamedHandles["handles"]): ColumnEntry {
  const ordinal = input.varint();
  const handle = handles[input.varint()];
  const index = input.varint();
  const bits = input.u8();
  const qos = readQos(bits & 3);
  if (handle === undefined || handle === NO_ROOM || qos === 0) throw malformed("queue");
  const group = (bits & HAS_GROUP) === 0 ? undefined : input.text();
  const identifiers = readRising(input);
  return {
    ordinal,
    handle,
    index,
    qos,
    retain: (bits & RETAIN) !== 0,
    isReleased: (bits & RELEASED) !== 0,
    identifiers: identifiers.length === 0 ? undefined : identifiers,
    group,
  };
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
