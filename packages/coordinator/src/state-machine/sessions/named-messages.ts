/**
 * Messages that are owed, as the bytes of sessions have them: each once in a list, and named in queues by its place there.
 *
 * On the disk of a node that owes much the list is slabs that stand apart, and a message is named by its handle (owed-messages.ts).
 */

import { AssertionError, type ByteReader, decodeMessage, SkeinError } from "@skein/kernel";
import type { IsPieceFull, Pieces } from "../../pieces.ts";
import { type MessageHandle, NO_ROOM, OwedMessages } from "./owed-messages.ts";
import { readLongList } from "./session-commands.ts";
import type { SessionState } from "./session-state.ts";

/** Messages that are let go of in one piece: about a millisecond on a small machine. */
const RELEASED_IN_PIECE = 16_384;

/** Messages, and the handle of each by the number that names it; {@link NO_ROOM}: it names none. */
export interface NamedHandles {
  readonly messages: OwedMessages;
  readonly handles: Uint32Array | readonly MessageHandle[];
}

/** Copies them. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function* readMessages(
  input: ByteReader,
  slabBytes: number | undefined,
  isPieceFull: IsPieceFull,
): Pieces<NamedHandles> {
  const messages = new OwedMessages(slabBytes);
  return { messages, handles: yield* readLongList(input, () => readOwed(input, messages), isPieceFull) };
}

/** Whoever has read them holds them no longer; queues do. */
export function* releaseAll(handles: NamedHandles["handles"], messages: OwedMessages): Pieces<void> {
  for (let place = 0; place < handles.length; place++) {
    const handle = handles[place] ?? NO_ROOM;
    if (handle !== NO_ROOM) messages.release(handle);
    if ((place + 1) % RELEASED_IN_PIECE === 0) yield;
  }
}

/** Takes closed slabs over as they are. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readSlabs(
  input: ByteReader,
  closed: readonly Uint8Array[],
  slabBytes: number | undefined,
): NamedHandles {
  if (input.varint() !== closed.length) throw malformed("parts");
  const open = input.bytes();
  const count = input.varint();
  if (count * 4 > input.remaining) throw malformed("places");
  const places = new Uint32Array(count);
  for (let handle = 0; handle < count; handle++) places[handle] = input.u32();
  const messages = OwedMessages.adopt({ places, closed, open }, slabBytes);
  return { messages, handles: places.map((place, handle) => (place === 0 ? NO_ROOM : handle)) };
}

/** What a message is written down as in a queue. */
export interface NamedMessages {
  of(handle: MessageHandle): number;
}

/** Messages, each once, and where in that list each stands. */
export class MessagePlaces {
  readonly #handles: Uint32Array;
  /** By handle: its place and 1; 0: it has none. */
  readonly #places: Uint32Array;
  #count = 0;

  /** For any messages of `messages`. */
  constructor(messages: OwedMessages) {
    this.#handles = new Uint32Array(messages.count);
    this.#places = new Uint32Array(messages.handlesEnd);
  }

  /** In the order in which they were added first. */
  get handles(): Uint32Array {
    return this.#handles.subarray(0, this.#count);
  }

  /** Puts it behind the others, unless it is there. */
  add(handle: MessageHandle): void {
    if (this.#places[handle] !== 0) return;
    this.#handles[this.#count++] = handle;
    this.#places[handle] = this.#count;
  }

  /** Adds the messages of all these queues. */
  addQueues(sessions: Iterable<SessionState>): this {
    for (const { queue } of sessions) queue.forEachHandle((handle) => this.add(handle));
    return this;
  }

  of(handle: MessageHandle): number {
    const place = this.#places[handle] ?? 0;
    if (place === 0) throw new AssertionError(`message ${handle} has no place`);
    return place - 1;
  }
}

/** Reads a message as `packed` gives it; the caller holds it. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readOwed(input: ByteReader, messages: OwedMessages): MessageHandle {
  const at = input.varint();
  return messages.put(decodeMessage(input), at);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode sessions: ${what}`);
}
