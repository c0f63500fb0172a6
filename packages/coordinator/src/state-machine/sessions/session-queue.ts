/**
 * What one session is owed, in the order of the log: each message under an ordinal that it keeps until it is acknowledged.
 *
 * The span from the oldest ordinal that is owed to the newest is bounded below the number of packet identifiers, so that an
 * identifier is never given to a second message while the first is under way.
 *
 * Source: reference design, sections 4.3 (rule 8) and 4.4.
 */

import type { MessageHandle, OwedMessages } from "./owed-messages.ts";
import { QueueColumns, type QueueEntry, type QueueForm } from "./queue-columns.ts";

/** Most messages one session is owed, whatever the node that opens it allows. The next one is refused: its publisher hears 0x97. */
export const QUEUED_MESSAGES_MAX = 10_000;
/** Most bytes of them, as they are packed; the same answer. */
export const QUEUED_BYTES_MAX = 8 * 1024 * 1024;
/** From the oldest owed ordinal to the newest: fewer than there are packet identifiers. */
const SPAN_MAX = 60_000;

/** What one session may be owed. It may change: what is owed beyond it then stays. */
export interface QueueLimits {
  readonly queuedMessagesMax: number;
  readonly queuedBytesMax: number;
}

/** Holds each of its messages once. Whoever is done with it calls {@link clear}. */
export class SessionQueue {
  readonly #messages: OwedMessages;
  #columns: QueueColumns;
  #count = 0;
  #bytes = 0;

  /** An empty one, whose first message has this ordinal. */
  constructor(messages: OwedMessages, nextOrdinal: number) {
    this.#messages = messages;
    this.#columns = new QueueColumns(messages, nextOrdinal);
  }

  get length(): number {
    return this.#count;
  }

  /** Bytes of what is owed, as it is packed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The ordinal of the next message. */
  get nextOrdinal(): number {
    return this.#columns.nextOrdinal;
  }

  /** What this replica has set aside for its entries. */
  get bufferBytes(): number {
    return this.#columns.bufferBytes;
  }

  /** Whether one more message may be owed. */
  hasRoomFor(handle: MessageHandle, { queuedMessagesMax, queuedBytesMax }: QueueLimits): boolean {
    return (
      this.#count < queuedMessagesMax &&
      this.#bytes + this.#messages.sizeOf(handle) <= queuedBytesMax &&
      this.#columns.span < SPAN_MAX
    );
  }

  push(handle: MessageHandle, form: QueueForm, index: number): void {
    this.#columns.push(handle, form, index);
    this.#count++;
    this.#bytes += this.#messages.sizeOf(handle);
    this.#messages.hold(handle);
  }

  /** The next message has this ordinal at least. */
  skipTo(ordinal: number): void {
    if (this.#count === 0)
      this.#columns = new QueueColumns(this.#messages, Math.max(ordinal, this.nextOrdinal));
    while (this.nextOrdinal < ordinal) this.#columns.pushHole();
  }

  get(ordinal: number): QueueEntry | undefined {
    return this.#columns.entry(ordinal);
  }

  /** The first entry whose ordinal is greater. */
  after(ordinal: number): QueueEntry | undefined {
    const next = this.#columns.after(ordinal);
    return next === undefined ? undefined : this.#columns.entry(next);
  }

  /** It is owed no longer. False: it was not. */
  remove(ordinal: number): boolean {
    const handle = this.#columns.handle(ordinal);
    if (handle === undefined) return false;
    this.#columns.remove(ordinal);
    this.#count--;
    this.#bytes -= this.#messages.sizeOf(handle);
    this.#messages.release(handle);
    return true;
  }

  /** The client has got it (QoS 2): only its packet identifier is still needed. */
  release(ordinal: number): boolean {
    return this.#columns.release(ordinal);
  }

  /** Nothing is owed any more. */
  clear(nextOrdinal: number = this.nextOrdinal): void {
    this.#columns.forEachHandle((handle) => this.#messages.release(handle));
    this.#columns = new QueueColumns(this.#messages, nextOrdinal);
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Visits messages in order of ordinals. */
  forEachHandle(visit: (handle: MessageHandle) => void): void {
    this.#columns.forEachHandle(visit);
  }

  /** Its entries as they are now, to be read later. */
  freeze(): QueueColumns {
    return this.#columns.copy();
  }

  /** In order of ordinals. */
  [Symbol.iterator](): Iterator<QueueEntry> {
    return this.#columns[Symbol.iterator]();
  }
}
