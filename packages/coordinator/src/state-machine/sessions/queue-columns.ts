/**
 * The entries of a queue in columns: eleven bytes for each, instead of an object.
 *
 * An array from the oldest ordinal that is owed to the newest. What was removed out of turn leaves a hole until all before it is gone, too.
 * What only few entries have (Subscription Identifiers, a shared subscription) stands aside.
 */

import type { ApplicationMessage, OwedMessage } from "@skein/kernel";
import { type MessageHandle, NO_ROOM, type OwedMessages } from "./owed-messages.ts";

/** How a message is delivered to one session. */
export interface QueueForm {
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** The shared subscription it came by; undefined: an ordinary one. */
  readonly group: string | undefined;
  /** QoS 2: the client has it, and only its packet identifier is still needed. */
  readonly isReleased: boolean;
}

/** An entry as it is written down. */
export interface ColumnEntry extends QueueForm {
  readonly ordinal: number;
  readonly handle: MessageHandle;
  /** Log index of the command that put it here. */
  readonly index: number;
}

const HOLE: MessageHandle = NO_ROOM;
const QOS_2 = 1;
const RETAIN = 2;
const RELEASED = 4;
/** Holes at the front are cut off when there are this many, and they are the larger half. */
const CUT_AT = 64;
const ENTRIES_MIN = 8;
const GROWTH = 1.25;
/** Columns for no more entries are kept when there are fewer. */
const KEPT_ENTRIES = 128;
const INDEX_LOW = 0x1_0000_0000;

const NO_U32 = new Uint32Array(0);
const NO_U16 = new Uint16Array(0);
const NO_U8 = new Uint8Array(0);

type Aside = Pick<QueueForm, "identifiers" | "group">;

/** One message of a queue as it is now. Its message can be had for as long as it is owed. */
export class QueueEntry implements OwedMessage, ColumnEntry {
  readonly ordinal: number;
  readonly handle: MessageHandle;
  readonly index: number;
  readonly qos: 1 | 2;
  readonly retain: boolean;
  readonly isReleased: boolean;
  readonly identifiers: readonly number[] | undefined;
  readonly group: string | undefined;
  readonly #messages: OwedMessages;

  /** `place`: what the columns have of it. */
  constructor(
    messages: OwedMessages,
    ordinal: number,
    place: { readonly handle: MessageHandle; readonly index: number; readonly flags: number },
    aside: Aside | undefined,
  ) {
    this.#messages = messages;
    this.ordinal = ordinal;
    this.handle = place.handle;
    this.index = place.index;
    this.qos = (place.flags & QOS_2) === 0 ? 1 : 2;
    this.retain = (place.flags & RETAIN) !== 0;
    this.isReleased = (place.flags & RELEASED) !== 0;
    this.identifiers = aside?.identifiers;
    this.group = aside?.group;
  }

  get message(): ApplicationMessage {
    return this.#messages.message(this.handle);
  }

  /** When it was published (time of the sessions, ms); 0 for one that does not expire. */
  get publishedAt(): number {
    return this.#messages.publishedAt(this.handle);
  }
}

export class QueueColumns {
  readonly #messages: OwedMessages;
  /** Position `i` has ordinal `#base + i`. */
  #base: number;
  /** Holes at the front. */
  #head = 0;
  #end = 0;
  #handles = NO_U32;
  /** Log indexes: 48 bits in two columns. */
  #indexesLow = NO_U32;
  #indexesHigh = NO_U16;
  #flags = NO_U8;
  /** By ordinal. */
  #aside: Map<number, Aside> | undefined;

  /** None yet; the first one gets the ordinal `base`. */
  constructor(messages: OwedMessages, base: number) {
    this.#messages = messages;
    this.#base = base;
  }

  /** From the oldest ordinal that is owed to the newest. */
  get span(): number {
    return this.#end - this.#head;
  }

  /** The ordinal of the next entry. */
  get nextOrdinal(): number {
    return this.#base + this.#end;
  }

  /** Of the columns. */
  get bufferBytes(): number {
    return (
      this.#handles.byteLength +
      this.#indexesLow.byteLength +
      this.#indexesHigh.byteLength +
      this.#flags.byteLength
    );
  }

  push(handle: MessageHandle, form: QueueForm, index: number): void {
    const { qos, retain, isReleased, identifiers, group } = form;
    if (identifiers !== undefined || group !== undefined) {
      this.#aside ??= new Map();
      this.#aside.set(this.nextOrdinal, { identifiers, group });
    }
    const at = this.#append();
    this.#handles[at] = handle;
    this.#indexesLow[at] = index % INDEX_LOW;
    this.#indexesHigh[at] = index / INDEX_LOW;
    this.#flags[at] = (qos === 2 ? QOS_2 : 0) | (retain ? RETAIN : 0) | (isReleased ? RELEASED : 0);
  }

  pushHole(): void {
    this.#handles[this.#append()] = HOLE;
  }

  /** Its message; undefined: there is no such entry. */
  handle(ordinal: number): MessageHandle | undefined {
    const at = ordinal - this.#base;
    const handle = at >= this.#head && at < this.#end ? this.#handles[at] : HOLE;
    return handle === HOLE ? undefined : handle;
  }

  /** The first ordinal after `ordinal` that has an entry; undefined: none has. */
  after(ordinal: number): number | undefined {
    for (let at = Math.max(this.#head, ordinal + 1 - this.#base); at < this.#end; at++)
      if (this.#handles[at] !== HOLE) return this.#base + at;
    return undefined;
  }

  entry(ordinal: number): QueueEntry | undefined {
    const handle = this.handle(ordinal);
    if (handle === undefined) return undefined;
    const at = ordinal - this.#base;
    const index = (this.#indexesHigh[at] as number) * INDEX_LOW + (this.#indexesLow[at] as number);
    const place = { handle, index, flags: this.#flags[at] as number };
    return new QueueEntry(this.#messages, ordinal, place, this.#aside?.get(ordinal));
  }

  /** Of an entry with QoS 2. False: there is none. */
  release(ordinal: number): boolean {
    const at = ordinal - this.#base;
    if (this.handle(ordinal) === undefined || ((this.#flags[at] as number) & QOS_2) === 0) return false;
    this.#flags[at] = (this.#flags[at] as number) | RELEASED;
    return true;
  }

  /** There is such an entry. */
  remove(ordinal: number): void {
    this.#handles[ordinal - this.#base] = HOLE;
    this.#aside?.delete(ordinal);
    while (this.#head < this.#end && this.#handles[this.#head] === HOLE) this.#head++;
    if (this.#head < CUT_AT || this.#head * 2 <= this.#end) return;
    if (this.#handles.length > KEPT_ENTRIES && this.span * 4 < this.#handles.length) this.#resize(this.span);
    else this.#shift();
  }

  /** As it is now, to be read later. */
  copy(): QueueColumns {
    const copy = new QueueColumns(this.#messages, this.#base);
    copy.#head = this.#head;
    copy.#end = this.#end;
    copy.#handles = this.#handles;
    copy.#indexesLow = this.#indexesLow;
    copy.#indexesHigh = this.#indexesHigh;
    copy.#flags = this.#flags;
    if (this.#aside !== undefined) copy.#aside = new Map(this.#aside);
    copy.#resize(this.span);
    return copy;
  }

  /** Visits messages in order of ordinals. */
  forEachHandle(visit: (handle: MessageHandle) => void): void {
    for (let at = this.#head; at < this.#end; at++) {
      const handle = this.#handles[at] as MessageHandle;
      if (handle !== HOLE) visit(handle);
    }
  }

  /** In order of ordinals. */
  *[Symbol.iterator](): Generator<QueueEntry> {
    for (let ordinal = this.after(-1); ordinal !== undefined; ordinal = this.after(ordinal)) {
      const entry = this.entry(ordinal);
      if (entry !== undefined) yield entry;
    }
  }

  #append(): number {
    const isFull = this.#end === this.#handles.length;
    if (isFull && this.#end > 0 && this.#head * 2 >= this.#end) this.#shift();
    else if (isFull) this.#resize(Math.max(ENTRIES_MIN, Math.ceil(this.span * GROWTH)));
    return this.#end++;
  }

  /** Cuts off the holes at the front, in place: a queue that is served all the time allocates nothing. */
  #shift(): void {
    const [from, to] = [this.#head, this.#end];
    this.#handles.copyWithin(0, from, to);
    this.#indexesLow.copyWithin(0, from, to);
    this.#indexesHigh.copyWithin(0, from, to);
    this.#flags.copyWithin(0, from, to);
    this.#base += from;
    this.#end -= from;
    this.#head = 0;
  }

  /** Columns of their own for `size` entries, without the holes at the front. */
  #resize(size: number): void {
    const [from, to] = [this.#head, this.#end];
    const resized = <Column extends Uint32Array | Uint16Array | Uint8Array>(
      column: Column,
      into: Column,
    ): Column => {
      into.set(column.subarray(from, to));
      return into;
    };
    this.#handles = resized(this.#handles, new Uint32Array(size));
    this.#indexesLow = resized(this.#indexesLow, new Uint32Array(size));
    this.#indexesHigh = resized(this.#indexesHigh, new Uint16Array(size));
    this.#flags = resized(this.#flags, new Uint8Array(size));
    this.#base += from;
    this.#end -= from;
    this.#head = 0;
  }
}
