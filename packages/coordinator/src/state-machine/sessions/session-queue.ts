/**
 * What one session is owed, in the order of the log: each message under an ordinal that it keeps until it is acknowledged.
 *
 * An array from the oldest ordinal that is still owed to the newest; what was acknowledged out of turn leaves a hole until all before it
 * is gone, too. The span from oldest to newest is bounded below the number of packet identifiers, so that an
 * identifier is never given to a second message while the first is under way.
 *
 * Source: reference design, sections 4.3 (rule 8) and 4.4.
 */

import type { OwedMessage } from "@skein/kernel";
import type { OwedBytes, StoredMessage } from "./stored-message.ts";

/** Most messages one session is owed, whatever the node that opens it allows. The next one is refused: its publisher hears 0x97. */
export const QUEUED_MESSAGES_MAX = 10_000;
/** Most bytes of them; the same answer. */
export const QUEUED_BYTES_MAX = 8 * 1024 * 1024;
/** From the oldest owed ordinal to the newest: fewer than there are packet identifiers. */
const SPAN_MAX = 60_000;
/** Holes at the front are cut off when there are this many, and they are the larger half. */
const COMPACT_AT = 64;

/** One message of a queue. Its message is no longer needed once it is released. */
export class QueueEntry implements OwedMessage {
  readonly ordinal: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** The shared subscription it came by; undefined: an ordinary one. */
  readonly group: string | undefined;
  readonly stored: StoredMessage;
  /** Log index of the command that put it here. */
  readonly index: number;
  isReleased = false;

  constructor(ordinal: number, stored: StoredMessage, form: QueueForm, index: number) {
    this.ordinal = ordinal;
    this.stored = stored;
    this.index = index;
    this.qos = form.qos;
    this.retain = form.retain;
    this.identifiers = form.identifiers;
    this.group = form.group;
  }

  get message(): OwedMessage["message"] {
    return this.stored.message;
  }

  /** The same message as an entry of another queue. */
  copy(ordinal: number, stored: StoredMessage, index: number): QueueEntry {
    const entry = new QueueEntry(ordinal, stored, this, index);
    entry.isReleased = this.isReleased;
    return entry;
  }
}

/** How a message is delivered to one session. */
export interface QueueForm {
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  readonly group: string | undefined;
}

/** What one session may be owed. It may change: what is owed beyond it then stays. */
export interface QueueLimits {
  readonly queuedMessagesMax: number;
  readonly queuedBytesMax: number;
}

export class SessionQueue {
  readonly #owed: OwedBytes;
  readonly #limits: QueueLimits;
  /** `#entries[i]` has ordinal `#base + i`. */
  #entries: (QueueEntry | undefined)[] = [];
  #base = 0;
  /** Holes at the front of `#entries`. */
  #head = 0;
  #count = 0;
  #bytes = 0;

  constructor(owed: OwedBytes, limits: QueueLimits) {
    this.#owed = owed;
    this.#limits = limits;
  }

  get length(): number {
    return this.#count;
  }

  /** The ordinal of the next message. */
  get nextOrdinal(): number {
    return this.#base + this.#entries.length;
  }

  /** Whether one more message of `bytes` may be owed. */
  hasRoom(bytes: number): boolean {
    return (
      this.#count < this.#limits.queuedMessagesMax &&
      this.#bytes + bytes <= this.#limits.queuedBytesMax &&
      this.#entries.length - this.#head < SPAN_MAX
    );
  }

  push(stored: StoredMessage, form: QueueForm, index: number): void {
    this.#append(new QueueEntry(this.nextOrdinal, stored, form, index));
  }

  /** Appends `entry` under its own ordinal, which is not below the next one. False: there is no room. */
  take(entry: QueueEntry): boolean {
    const { ordinal, stored } = entry;
    if (!this.hasRoom(stored.bytes) || !this.#owed.hasRoomFor(stored)) return false;
    this.skipTo(ordinal);
    this.#append(entry);
    return true;
  }

  /** The next message has this ordinal at least. */
  skipTo(ordinal: number): void {
    if (this.#count === 0) this.clear(Math.max(ordinal, this.nextOrdinal));
    while (this.nextOrdinal < ordinal) this.#entries.push(undefined);
  }

  get(ordinal: number): QueueEntry | undefined {
    return this.#entries[ordinal - this.#base];
  }

  /** The first entry whose ordinal is greater. */
  after(ordinal: number): QueueEntry | undefined {
    for (let at = Math.max(this.#head, ordinal + 1 - this.#base); at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** It is owed no longer. False: it was not. */
  remove(ordinal: number): boolean {
    const entry = this.get(ordinal);
    if (entry === undefined) return false;
    this.#entries[ordinal - this.#base] = undefined;
    this.#count--;
    this.#bytes -= entry.stored.bytes;
    this.#owed.release(entry.stored);
    while (this.#head < this.#entries.length && this.#entries[this.#head] === undefined) this.#head++;
    if (this.#head >= COMPACT_AT && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#base += this.#head;
      this.#head = 0;
    }
    return true;
  }

  /** The client has got it (QoS 2): only its packet identifier is still needed. */
  release(ordinal: number): boolean {
    const entry = this.get(ordinal);
    if (entry === undefined || entry.qos !== 2) return false;
    entry.isReleased = true;
    return true;
  }

  /** Nothing is owed any more. */
  clear(nextOrdinal: number = this.nextOrdinal): void {
    for (const entry of this.#entries) if (entry !== undefined) this.#owed.release(entry.stored);
    this.#base = nextOrdinal;
    this.#entries = [];
    this.#head = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  /** In order of ordinals. */
  *[Symbol.iterator](): Iterator<QueueEntry> {
    for (let at = this.#head; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry !== undefined) yield entry;
    }
  }

  /** Puts an empty queue where one was saved. */
  restore(entries: readonly QueueEntry[], nextOrdinal: number): void {
    for (const entry of entries) {
      this.skipTo(entry.ordinal);
      this.#append(entry);
    }
    this.skipTo(nextOrdinal);
  }

  #append(entry: QueueEntry): void {
    this.#entries.push(entry);
    this.#count++;
    this.#bytes += entry.stored.bytes;
    this.#owed.hold(entry.stored);
  }
}
