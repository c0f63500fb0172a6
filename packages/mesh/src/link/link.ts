/**
 * One stream to one peer: frames in, frames out, one write per turn of the event loop.
 *
 * Output is gathered in a batch until the turn ends. When the stream is full the batch waits for `drained`; a stream
 * that stays full for five seconds is reset, because a peer that reads nothing is no better than a dead one. What
 * the frames mean is the owner's business, who also bounds the batch through `unsentBytes`.
 */

import {
  ByteWriter,
  type Clock,
  type MonotonicMs,
  type NodeId,
  SkeinError,
  type Stream,
  type Timer,
} from "@skein/kernel";
import type { Hello } from "../messages.ts";
import { FrameSplitter } from "./frame.ts";
import { RoundTrip } from "./round-trip.ts";

/** A stream that took nothing for this long is reset. */
const WRITE_DEADLINE_MS = 5000;
/** A stream that was ended and whose last bytes are not taken within this time is reset. */
const END_DEADLINE_MS = 1000;
/**
 * Bytes given to the stream at once. It tells of progress only when all of them are out, so this bounds what a slow
 * link must manage within the deadline: 256 KiB in 5 s is 0.4 Mbit/s.
 */
const WRITE_BYTES_MAX = 256 * 1024;
/** HELLO and RESUME are small; nobody who has not said who it is can make this node gather more. */
const HANDSHAKE_FRAME_BYTES_MAX = 4096;
/** A frame of this size is not extended: one that is cut by the end of a read is gathered by the other end. */
const EXTENDED_BYTES_MAX = 4096;
/** A batch buffer above this size is given back once it is written. */
const KEPT_BATCH_BYTES_MAX = 1024 * 1024;

/** What the owner of links hears. */
export interface LinkOwner {
  /** A frame came. `body` is valid during the call only. May throw ERR_SKEIN_MALFORMED: the link is reset. */
  received(link: Link, type: number, body: Uint8Array): void;
  /** The batch will be written now: the moment to add acknowledgements that were gathered during the turn. */
  aboutToWrite(link: Link): void;
  /** The link has ended, whoever ended it. Called exactly once. */
  closed(link: Link, reason: string): void;
  /** The stream below has ended too: everything said has gone out or is lost. Called exactly once. */
  streamEnded(link: Link): void;
}

/** What a link needs of a stream: one of the network, or one through a relay. */
export type LinkStream = Omit<Stream, "pause" | "resume">;

const NO_BYTES: Uint8Array = new Uint8Array(0);

export class Link {
  readonly stream: LinkStream;
  /** This node dialled; otherwise it accepted. */
  readonly isDialled: boolean;
  /** `host:port` that was dialled, or the address the caller came from. */
  readonly address: string;
  /** The node that passes everything on; undefined: the link is direct. */
  relay: NodeId | undefined = undefined;
  /** What the other end said about itself; undefined until its HELLO was accepted. */
  hello: Hello | undefined = undefined;
  /** When that was said. */
  greetedMs = 0;
  readonly begunMs: MonotonicMs;
  /** Both sides have said where their streams go on. */
  isEstablished = false;
  readonly roundTrip = new RoundTrip();
  establishedMs = 0;
  receivedMs: MonotonicMs;
  readonly #clock: Clock;
  readonly #owner: LinkOwner;
  readonly #splitter = new FrameSplitter(HANDSHAKE_FRAME_BYTES_MAX);
  readonly #batch = new ByteWriter(1024, KEPT_BATCH_BYTES_MAX);
  /** What is left of an earlier batch. */
  #rest = NO_BYTES;
  #frameStart = 0;
  /** Of the frame written last; 0: it has left. */
  #frameType = 0;
  /** What that frame has been extended by and what is not in the batch yet: `#added[#addedAt, #addedEnd)`. */
  #added = NO_BYTES;
  #addedAt = 0;
  #addedEnd = 0;
  #writtenMs: MonotonicMs;
  #isWriteDue = false;
  #isFull = false;
  #isClosed = false;
  #writeDeadline: Timer | undefined;
  #deadline: Timer | undefined;
  #endDeadline: Timer | undefined;

  constructor(stream: LinkStream, isDialled: boolean, address: string, clock: Clock, owner: LinkOwner) {
    this.stream = stream;
    this.isDialled = isDialled;
    this.address = address;
    this.#clock = clock;
    this.#owner = owner;
    this.begunMs = clock.monotonicMs();
    this.receivedMs = this.begunMs;
    this.#writtenMs = this.receivedMs;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** When something was last written. */
  get writtenMs(): MonotonicMs {
    return this.#writtenMs;
  }

  /** Bytes that the operating system has not taken yet. */
  get unsentBytes(): number {
    return this.#batchBytes() + this.#rest.length + this.stream.bufferedBytes;
  }

  start(): void {
    this.stream.start({
      received: (bytes) => this.#received(bytes),
      drained: () => this.#drained(),
      closed: (error) => {
        this.#close(error === undefined ? "closed by peer" : error.message);
        this.#endDeadline?.cancel();
        this.#owner.streamEnded(this);
      },
    });
  }

  /** The other end has proved who it is: frames up to `frameBytesMax` are taken from now on. */
  allowFrames(frameBytesMax: number): void {
    this.#splitter.frameBytesMax = frameBytesMax;
  }

  /** Calls `action` after `delayMs`, unless the link has ended or the deadline was set anew or cleared by then. */
  setDeadline(delayMs: number, action: () => void): void {
    this.clearDeadline();
    this.#deadline = this.#clock.after(delayMs, action);
  }

  clearDeadline(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }

  /** Begins a frame; the caller writes the body into what is returned, then calls {@link endFrame}. */
  beginFrame(type: number): ByteWriter {
    this.#gather();
    this.#frameType = type;
    this.#frameStart = this.#batch.length;
    return this.#batch.u32(0).u8(type);
  }

  endFrame(): void {
    this.#batch.setU32(this.#frameStart, this.#batch.length - this.#frameStart - 4);
    this.writeAtTurnEnd();
  }

  /** Whether the frame written last is of `type`, has not left and may become longer. */
  isOpenFor(type: number): boolean {
    return this.#frameType === type && this.#batchBytes() - this.#frameStart < EXTENDED_BYTES_MAX;
  }

  /** Adds `bytes[at, end)`, which nobody changes, to the frame written last. What lies side by side is copied in one go. */
  extendFrame(bytes: Uint8Array, at: number, end: number): void {
    if (this.#addedEnd !== at || this.#added !== bytes) {
      this.#gather();
      this.#added = bytes;
      this.#addedAt = at;
    }
    this.#addedEnd = end;
  }

  /** Sees to it that the owner is asked for gathered acknowledgements, and the batch written, when the turn ends. */
  writeAtTurnEnd(): void {
    if (this.#isWriteDue || this.#isClosed) return;
    this.#isWriteDue = true;
    this.#clock.atTurnEnd(this.#write);
  }

  /** Ends after what was said so far has gone out. */
  end(reason: string): void {
    if (this.#isClosed) return;
    if (this.#rest.length > 0) this.stream.write(this.#rest);
    this.#rest = NO_BYTES;
    const last = this.#takeBatch();
    if (last.length > 0) this.stream.write(last);
    this.#endDeadline = this.#clock.after(END_DEADLINE_MS, () => this.stream.reset());
    // Closed first: a stream may tell of its end within the call, and the reason said here is the better one.
    this.#close(reason);
    this.stream.end();
  }

  reset(reason: string): void {
    if (this.#isClosed) return;
    this.#close(reason);
    this.stream.reset();
  }

  readonly #frame = (type: number, body: Uint8Array): void => this.#owner.received(this, type, body);

  #received(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.receivedMs = this.#clock.monotonicMs();
    try {
      this.#splitter.push(bytes, this.#frame);
    } catch (error) {
      if (!(error instanceof SkeinError && error.code === "ERR_SKEIN_MALFORMED")) throw error;
      this.reset(`malformed frame: ${error.message}`);
    }
  }

  readonly #write = (): void => {
    if (this.#isClosed || this.#isFull) {
      this.#isWriteDue = false;
      return;
    }
    this.#owner.aboutToWrite(this);
    this.#isWriteDue = false;
    if (this.#rest.length === 0) this.#rest = this.#takeBatch();
    while (this.#rest.length > 0 && !this.#isClosed && !this.#isFull) {
      const piece = this.#takePiece();
      this.#writtenMs = this.#clock.monotonicMs();
      if (!this.stream.write(piece)) this.#waitForDrain();
      else if (this.#rest.length === 0) this.#rest = this.#takeBatch();
    }
  };

  /** The next bytes for the stream: nearly always all there are. */
  #takePiece(): Uint8Array {
    const all = this.#rest;
    if (all.length <= WRITE_BYTES_MAX) {
      this.#rest = NO_BYTES;
      return all;
    }
    this.#rest = all.subarray(WRITE_BYTES_MAX);
    return all.subarray(0, WRITE_BYTES_MAX);
  }

  #batchBytes(): number {
    return this.#batch.length + this.#addedEnd - this.#addedAt;
  }

  /** Puts what the last frame was extended by into the batch. */
  #gather(): void {
    if (this.#addedEnd === this.#addedAt) return;
    this.#batch.raw(this.#added.subarray(this.#addedAt, this.#addedEnd));
    this.#batch.setU32(this.#frameStart, this.#batch.length - this.#frameStart - 4);
    this.#added = NO_BYTES;
    this.#addedAt = 0;
    this.#addedEnd = 0;
  }

  #takeBatch(): Uint8Array {
    this.#gather();
    this.#frameType = 0;
    if (this.#batch.length === 0) return NO_BYTES;
    const bytes = this.#batch.finish();
    this.#batch.reset();
    return bytes;
  }

  #waitForDrain(): void {
    if (this.#isClosed) return;
    this.#isFull = true;
    this.#writeDeadline = this.#clock.after(WRITE_DEADLINE_MS, () => this.reset("write deadline passed"));
  }

  #drained(): void {
    this.#isFull = false;
    this.#writeDeadline?.cancel();
    this.writeAtTurnEnd();
  }

  #close(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#splitter.stop();
    this.#writeDeadline?.cancel();
    this.clearDeadline();
    this.#owner.closed(this, reason);
  }
}
