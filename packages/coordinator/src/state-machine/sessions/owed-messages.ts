/**
 * The messages that sessions are owed: each once, however many queues hold it, packed outside of the engine's heap.
 *
 * A million small messages as objects are half a gigabyte that the collector walks again and again. Here a message is what a snapshot has
 * of it, `at varint | encoded Application Message`, in a slab; a handle names it, and two numbers say where it lies and how often it is held:
 *
 * ```
 *   slab     handle u32 | length varint | at, message | perhaps a byte to the next even place     handle ...   (owed-record.ts)
 *   tables   [handle]: place u32 = number of the slab, and where in it by twos | holders u32
 * ```
 *
 * Slabs are only ever appended to. Where half of one is no longer held, the other half is copied behind the newest message, and the slab is
 * dropped. So what was read of a slab, or is still to be written into a snapshot, never changes: whoever has its bytes keeps it alive. At
 * most half of all slabs but the newest is dead. Where a message lies is this node's own affair: nothing of it is replicated.
 *
 * Source: reference design, section 4.4 (store once); Rosenblum and Ousterhout, "The Design and Implementation of a Log-Structured File
 * System" (1992), for cleaning by copying.
 */

import {
  type ApplicationMessage,
  AssertionError,
  ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  readU32,
} from "@skein/kernel";
import {
  headerBytes,
  lengthAt,
  lengthWithin,
  numberOf,
  offsetOf,
  PLACES,
  packedAt,
  recordBytes,
  SLAB_BYTES,
  writeHeader,
} from "./owed-record.ts";

/** Names a message of one store for as long as it is held. Never 0. */
export type MessageHandle = number;

/** In place of a handle: there was no room for the message. */
export const NO_ROOM = 0;

/** A message that takes more than this share of a slab has one of its own size, so that ends of slabs which nothing fits into are a quarter at most. */
const SHARED_PART = 1 / 4;
const HANDLES_MIN = 64;
/** Tables grow to this multiple: a million messages have 8 MB of tables, and 1 MB of them is free at most. */
const TABLE_GROWTH = 1.125;
/** A power of two. Sessions that get one message get it one after the other. */
const RECENT = 16;

interface Slab {
  /** Once it is closed, those that are written, and never another array. */
  bytes: Uint8Array;
  /** Bytes from its beginning that are written. */
  used: number;
  /** Bytes of them that are held. */
  held: number;
}

/** All slabs as they were at one moment: what a node writes to its own disk, and adopts when it starts again. */
export interface FrozenSlabs {
  /** By handle: 1 and the place of the message, slabs being counted as they are listed here; 0: nobody holds it. */
  readonly places: Uint32Array;
  /** Those that never change any more: the same arrays each time. */
  readonly closed: readonly Uint8Array[];
  /** What is written of the one that is appended to, which is the last one; perhaps nothing. */
  readonly open: Uint8Array;
}

export class OwedMessages {
  readonly #newSlabBytes: number;
  #slabs: (Slab | undefined)[] = [];
  /** Numbers below the length of `#slabs` that no slab has. */
  #freeNumbers: number[] = [];
  /** Number of the slab that is appended to. */
  #newest = -1;
  /** By handle. Of one that is free: the next free one. */
  #places = new Uint32Array(HANDLES_MIN);
  #holders = new Uint32Array(HANDLES_MIN);
  #freeHandle = 0;
  #handlesEnd = 1;
  #count = 0;
  #bytes = 0;
  #entries = 0;
  #slabBytes = 0;
  readonly #out = new ByteWriter(1024);
  readonly #recent: (ApplicationMessage | undefined)[] = new Array(RECENT).fill(undefined);
  readonly #recentHandles = new Uint32Array(RECENT);

  /** @param slabBytes of a slab that messages share; 128 KiB at most */
  constructor(slabBytes = SLAB_BYTES) {
    this.#newSlabBytes = slabBytes;
  }

  /** Takes the closed slabs over as they are. Each message is held once, by the caller. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  static adopt({ places, closed, open }: FrozenSlabs, slabBytes?: number): OwedMessages {
    const adopted = new OwedMessages(slabBytes);
    for (const bytes of closed) adopted.#adopt(bytes, bytes.length);
    if (open.length > 0) {
      const bytes = new Uint8Array(Math.max(open.length, adopted.#newSlabBytes));
      bytes.set(open);
      adopted.#newest = adopted.#adopt(bytes, open.length);
    }
    adopted.#handlesEnd = Math.max(1, places.length);
    adopted.#places = new Uint32Array(Math.max(HANDLES_MIN, places.length));
    adopted.#holders = new Uint32Array(adopted.#places.length);
    // From the end, so that the first ones are given away first.
    for (let handle = places.length - 1; handle > 0; handle--)
      adopted.#adoptMessage(handle, places[handle] as number);
    return adopted;
  }

  /** Messages that are held. */
  get count(): number {
    return this.#count;
  }

  /** What they take as they are packed: topic, payload, properties and a few bytes each. The same on every replica. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How often they are held, all together. */
  get entries(): number {
    return this.#entries;
  }

  /** Every handle is smaller. */
  get handlesEnd(): number {
    return this.#handlesEnd;
  }

  /** What this replica has set aside for them. */
  get bufferBytes(): number {
    return this.#slabBytes + this.#places.byteLength + this.#holders.byteLength;
  }

  /**
   * Keeps a copy of `message`, held once, by who calls this. {@link NO_ROOM}: there would be more than `bytesMax`. `at`: time of the
   * sessions when it was published, ms; it is kept of a message that expires.
   */
  put(message: ApplicationMessage, at: number, bytesMax = Number.POSITIVE_INFINITY): MessageHandle {
    const out = this.#out.reset();
    out.varint(message.properties?.messageExpirySeconds === undefined ? 0 : at);
    encodeMessage(message, out);
    const { length } = out;
    if (this.#bytes + length > bytesMax) return NO_ROOM;
    const handle = this.#newHandle();
    const before = this.#newest;
    const { slab, start } = this.#append(handle, length);
    out.copyTo(slab.bytes, start);
    this.#holders[handle] = 1;
    this.#count++;
    this.#entries++;
    this.#bytes += length;
    this.#cleanClosed(before);
    return handle;
  }

  hold(handle: MessageHandle): void {
    this.#holders[handle] = this.#holdersOf(handle) + 1;
    this.#entries++;
  }

  /** Who held it does so no longer. What nobody holds is gone, and its handle may be given to another message. */
  release(handle: MessageHandle): void {
    const holders = this.#holdersOf(handle) - 1;
    this.#holders[handle] = holders;
    this.#entries--;
    if (holders === 0) this.#forget(handle);
  }

  /** Bytes that it counts for in {@link bytes}. */
  sizeOf(handle: MessageHandle): number {
    const { bytes } = this.#slabOf(handle);
    return lengthAt(bytes, offsetOf(this.#places[handle] as number));
  }

  /** `at, message`, as they are written down. A view that never changes, also when the message is gone. */
  packed(handle: MessageHandle): Uint8Array {
    const { bytes } = this.#slabOf(handle);
    return packedAt(bytes, offsetOf(this.#places[handle] as number));
  }

  /** Its payload is a view that never changes. */
  message(handle: MessageHandle): ApplicationMessage {
    const known = handle % RECENT;
    const recent = this.#recentHandles[known] === handle ? this.#recent[known] : undefined;
    if (recent !== undefined) return recent;
    const input = new ByteReader(this.packed(handle));
    input.varint();
    const message = decodeMessage(input);
    this.#recentHandles[known] = handle;
    this.#recent[known] = message;
    return message;
  }

  /** When it was published (time of the sessions, ms); 0 for one that does not expire. */
  publishedAt(handle: MessageHandle): number {
    return new ByteReader(this.packed(handle)).varint();
  }

  /** `handles` as they are now, whatever becomes of them. */
  freeze(handles: Uint32Array): FrozenMessages {
    const slabs = this.#slabs.map((slab) => slab?.bytes);
    return new FrozenMessages(
      slabs,
      handles.map((handle) => this.#places[handle] as number),
    );
  }

  /** Every slab as it is now, whatever becomes of it. */
  freezeSlabs(): FrozenSlabs {
    const closed: Uint8Array[] = [];
    const renumbered = new Uint32Array(this.#slabs.length);
    for (const [number, slab] of this.#slabs.entries()) {
      if (slab === undefined || number === this.#newest) continue;
      renumbered[number] = closed.length;
      closed.push(slab.bytes);
    }
    const newest = this.#slabs[this.#newest];
    if (newest !== undefined) renumbered[this.#newest] = closed.length;
    const places = new Uint32Array(this.#handlesEnd);
    for (let handle = 1; handle < places.length; handle++) {
      if (this.#holders[handle] === 0) continue;
      const place = this.#places[handle] as number;
      places[handle] = (renumbered[numberOf(place)] as number) * PLACES + (place % PLACES) + 1;
    }
    return { places, closed, open: newest?.bytes.subarray(0, newest.used) ?? new Uint8Array(0) };
  }

  #adopt(bytes: Uint8Array, used: number): number {
    this.#slabBytes += bytes.buffer.byteLength;
    return this.#slabs.push({ bytes, used, held: 0 }) - 1;
  }

  #adoptMessage(handle: MessageHandle, placed: number): void {
    if (placed === 0) {
      this.#places[handle] = this.#freeHandle;
      this.#freeHandle = handle;
      return;
    }
    const place = placed - 1;
    const slab = this.#slabs[numberOf(place)];
    const length = lengthWithin(slab?.bytes.subarray(0, slab.used), offsetOf(place), handle);
    this.#places[handle] = place;
    this.#holders[handle] = 1;
    this.#count++;
    this.#entries++;
    this.#bytes += length;
    (slab as Slab).held += recordBytes(length);
  }

  #holdersOf(handle: MessageHandle): number {
    const holders = this.#holders[handle] ?? 0;
    // No `assert`, whose message would be put together for every call.
    if (holders === 0) throw new AssertionError(`message ${handle} is not held`);
    return holders;
  }

  #slabOf(handle: MessageHandle): Slab {
    this.#holdersOf(handle);
    return this.#slabs[numberOf(this.#places[handle] as number)] as Slab;
  }

  #newHandle(): MessageHandle {
    const handle = this.#freeHandle;
    if (handle !== 0) {
      this.#freeHandle = this.#places[handle] as number;
      return handle;
    }
    if (this.#handlesEnd === this.#places.length) {
      const size = Math.ceil(this.#handlesEnd * TABLE_GROWTH);
      this.#places = grown(this.#places, size);
      this.#holders = grown(this.#holders, size);
    }
    return this.#handlesEnd++;
  }

  /** Makes room for a record, and files it under its handle. Its `length` bytes are to be written from `start` on. */
  #append(handle: MessageHandle, length: number): { readonly slab: Slab; readonly start: number } {
    const taken = recordBytes(length);
    const number = taken > this.#newSlabBytes * SHARED_PART ? this.#add(taken) : this.#withRoomFor(taken);
    const slab = this.#slabs[number] as Slab;
    const at = slab.used;
    slab.used += taken;
    slab.held += taken;
    this.#places[handle] = number * PLACES + at / 2;
    return { slab, start: writeHeader(slab.bytes, at, handle, length) };
  }

  #withRoomFor(taken: number): number {
    const newest = this.#slabs[this.#newest];
    if (newest !== undefined && newest.used + taken <= newest.bytes.length) return this.#newest;
    if (newest !== undefined) newest.bytes = newest.bytes.subarray(0, newest.used);
    this.#newest = this.#add(this.#newSlabBytes);
    return this.#newest;
  }

  #add(size: number): number {
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    this.#slabs[number] = { bytes: new Uint8Array(size), used: 0, held: 0 };
    this.#slabBytes += size;
    return number;
  }

  #drop(number: number): void {
    this.#slabBytes -= this.#slabs[number]?.bytes.buffer.byteLength ?? 0;
    this.#slabs[number] = undefined;
    this.#freeNumbers.push(number);
  }

  #forget(handle: MessageHandle): void {
    const place = this.#places[handle] as number;
    const number = numberOf(place);
    const slab = this.#slabs[number] as Slab;
    const length = lengthAt(slab.bytes, offsetOf(place));
    slab.held -= recordBytes(length);
    this.#bytes -= length;
    this.#count--;
    const known = handle % RECENT;
    if (this.#recentHandles[known] === handle) this.#recent[known] = undefined;
    this.#places[handle] = this.#freeHandle;
    this.#freeHandle = handle;
    if (number !== this.#newest) this.#clean(number);
    if (this.#count === 0) this.#shrink();
  }

  /** Nothing is held: but for the newest slab, all are gone already. */
  #shrink(): void {
    this.#freeHandle = 0;
    this.#handlesEnd = 1;
    if (this.#places.length === HANDLES_MIN) return;
    this.#places = new Uint32Array(HANDLES_MIN);
    this.#holders = new Uint32Array(HANDLES_MIN);
  }

  /** The slab `before` may have been closed since it was the newest. */
  #cleanClosed(before: number): void {
    if (before !== this.#newest && this.#slabs[before] !== undefined) this.#clean(before);
  }

  /** Copies what is held of a closed slab behind the newest message, if that is half of it or less. */
  #clean(number: number): void {
    const { bytes, used, held } = this.#slabs[number] as Slab;
    if (held * 2 > used) return;
    const before = this.#newest;
    let left = held;
    for (let at = 0; left > 0; ) {
      const handle = readU32(bytes, at);
      const length = lengthAt(bytes, at);
      const start = at + headerBytes(length);
      const taken = recordBytes(length);
      const isHeld = this.#holders[handle] !== 0 && this.#places[handle] === number * PLACES + at / 2;
      if (isHeld) {
        const copy = this.#append(handle, length);
        copy.slab.bytes.set(bytes.subarray(start, start + length), copy.start);
        left -= taken;
      }
      at += taken;
    }
    this.#drop(number);
    this.#cleanClosed(before);
  }
}

/** Messages as they were at one moment. */
export class FrozenMessages {
  readonly #slabs: readonly (Uint8Array | undefined)[];
  readonly #places: Uint32Array;

  constructor(slabs: readonly (Uint8Array | undefined)[], places: Uint32Array) {
    this.#slabs = slabs;
    this.#places = places;
  }

  get length(): number {
    return this.#places.length;
  }

  /** `at, message` of one of them. */
  packed(index: number): Uint8Array {
    const place = this.#places[index] ?? 0;
    const bytes = this.#slabs[numberOf(place)];
    if (bytes === undefined) throw new AssertionError(`no message ${index}`);
    return packedAt(bytes, offsetOf(place));
  }
}

function grown(table: Uint32Array<ArrayBuffer>, size: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(size);
  larger.set(table);
  return larger;
}
