/**
 * One end of a simulated TCP connection.
 *
 * Pieces leave in order, each after its own delay, and are gathered or split on the way as TCP does. What cannot pass (a
 * partition, a reader that does not read, a machine that is off, an address that has moved away) waits, and then comes one
 * receive window at a time; a machine that
 * knows nothing of the connection answers the next piece with a reset.
 */

import type { Stream, StreamHandler } from "@skein/kernel";
import type { Network } from "./network.ts";
import type { SimProcess } from "./sim-process.ts";

/** `write` returns false above this. */
const FULL_BYTES = 64 * 1024;
const DRAINED_BYTES = 16 * 1024;
/** What the receiver takes before the sender has heard of it. */
const WINDOW_BYTES = 64 * 1024;
const RETRANSMIT_MS = 1000;
/** Made once, as nobody wants to know where in the simulator it was made: gathering that is half the cost of a refused dial. */
export const RESET_BY_PEER = new Error("connection reset by peer");

interface Piece {
  readonly bytes: Uint8Array;
  readonly dueAt: number;
}

/** Who holds one end, and its two addresses (the remote one with its port). */
export type End = readonly [
  process: SimProcess,
  machine: number,
  localAddress: string,
  remoteAddress: string,
];

export class SimStream implements Stream {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly process: SimProcess;
  readonly machine: number;
  readonly #network: Network;
  #other: SimStream | undefined;
  #handler: StreamHandler | undefined;
  #early: Uint8Array[] = [];
  #outgoing: Piece[] = [];
  #lastDueAt = 0;
  /** When the next window is open. */
  #windowAt = 0;
  #buffered = 0;
  #isFull = false;
  #isMoving = false;
  #isReadingPaused = false;
  #isEnding = false;
  #isClosed = false;
  #mustReset = false;
  #isRetransmitting = false;
  #earlyEnd: { readonly error: Error | undefined } | undefined;
  /** The next piece is due. */
  readonly #moved = (): void => {
    this.#isMoving = false;
    if (this.#isClosed) return;
    if (!this.#mustReset && this.#isPassable()) this.#arrive();
    this.move();
  };

  private constructor(network: Network, [process, machine, localAddress, remoteAddress]: End) {
    this.#network = network;
    this.process = process;
    this.machine = machine;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
  }

  static pair(network: Network, a: End, b: End): readonly [SimStream, SimStream] {
    const near = new SimStream(network, a);
    const far = new SimStream(network, b);
    near.#other = far;
    far.#other = near;
    network.open.add(near).add(far);
    return [near, far];
  }

  get other(): SimStream {
    return this.#other as SimStream;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get bufferedBytes(): number {
    return this.#buffered;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    const early = this.#early;
    this.#early = [];
    if (early.length === 0 && this.#earlyEnd === undefined) return;
    this.#network.events.after(0, () => {
      for (const bytes of early) this.#give(bytes);
      if (this.#earlyEnd !== undefined) this.#report(this.#earlyEnd.error);
    });
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding || !this.process.effect()) return true;
    const { events } = this.#network;
    const dueAt = Math.max(
      this.#lastDueAt,
      events.now + this.#network.delayMs(this.machine, this.other.machine),
    );
    this.#lastDueAt = dueAt;
    this.#outgoing.push({ bytes, dueAt });
    this.#buffered += bytes.length;
    this.move();
    this.#isFull ||= this.#buffered > FULL_BYTES;
    return !this.#isFull;
  }

  pause(): void {
    this.#isReadingPaused = true;
  }

  resume(): void {
    if (!this.#isReadingPaused) return;
    this.#isReadingPaused = false;
    this.other.move();
  }

  end(): void {
    if (this.#isClosed || this.#isEnding || !this.process.effect()) return;
    this.#isEnding = true;
    this.move();
  }

  reset(): void {
    if (this.#isClosed || !this.process.effect()) return;
    this.#outgoing = [];
    this.#end(undefined);
    this.other.#resetFromAfar();
  }

  /** The connection breaks at this end. */
  fail(): void {
    if (!this.#isClosed) this.#end(RESET_BY_PEER);
  }

  /** Its process is gone. A machine that still runs tells the other end; one without power is just silent. */
  vanish(isPowered: boolean): void {
    this.#isClosed = true;
    this.#outgoing = [];
    this.#network.open.delete(this);
    if (isPowered) this.other.#resetFromAfar();
  }

  /** Sees whether the next piece can go. */
  move(): void {
    if (this.#isMoving || this.#isClosed) return;
    const network = this.#network;
    if (this.#mustReset) {
      if (this.#isReachedFromOther()) this.fail();
      return;
    }
    const first = this.#outgoing[0];
    if (first === undefined && !this.#isEnding) return;
    if (!this.#isPassable()) {
      if (!network.hasAddress(this.other.machine, this.other.localAddress)) this.#retransmit();
      return;
    }
    this.#isMoving = true;
    const wantedAt = first?.dueAt ?? network.events.now + network.delayMs(this.machine, this.other.machine);
    network.events.at(Math.max(wantedAt, this.#windowAt), this.#moved);
  }

  /** The other end is gone; this one hears of it when a packet gets through. */
  #resetFromAfar(): void {
    if (this.#isClosed) return;
    this.#mustReset = true;
    const { events } = this.#network;
    events.after(this.#network.delayMs(this.other.machine, this.machine), () => this.move());
  }

  /** It shows what it believes in; see {@link Network.tickle}. */
  tickled(): void {
    if (!this.#isClosed) this.#askHolder();
  }

  #askHolder(): void {
    const { other } = this;
    const network = this.#network;
    const holder = network.answers(this.machine, other.localAddress);
    if (holder !== undefined && holder !== other.machine) this.fail();
    else this.move();
  }

  /** The other end's address has left its machine. Whoever has it now knows nothing of this connection. */
  #retransmit(): void {
    if (this.#isRetransmitting) return;
    this.#isRetransmitting = true;
    const network = this.#network;
    network.events.after(RETRANSMIT_MS, () => {
      this.#isRetransmitting = false;
      if (!this.#isClosed) this.#askHolder();
    });
  }

  #isReachedFromOther(): boolean {
    return (
      this.#network.isUp(this.other.machine) && !this.#network.isBlocked(this.other.machine, this.machine)
    );
  }

  #isPassable(): boolean {
    const { other } = this;
    const network = this.#network;
    if (
      network.isBlocked(this.machine, other.machine) ||
      other.#isReadingPaused ||
      !network.isUp(other.machine)
    )
      return false;
    // A machine that has lost the address takes nothing for it and sends nothing from it.
    return (
      network.hasAddress(this.machine, this.localAddress) &&
      network.hasAddress(other.machine, other.localAddress)
    );
  }

  #arrive(): void {
    const { other } = this;
    const network = this.#network;
    if (other.#isClosed) {
      this.#resetFromAfar();
      return;
    }
    const bytes = this.#gather();
    if (bytes !== undefined) {
      this.#buffered -= bytes.length;
      network.delivered(this.machine, other.machine, bytes);
      if (other.#handler === undefined) other.#early.push(bytes.slice());
      else other.#give(bytes);
      if (this.#isClosed) return;
    }
    if (this.#isFull && this.#buffered < DRAINED_BYTES) {
      this.#isFull = false;
      this.process.turn(() => {
        if (!this.#isClosed) this.#handler?.drained();
      });
    }
    if (this.#isEnding && this.#outgoing.length === 0 && !this.#isClosed) {
      this.#end(undefined);
      if (!other.#isClosed) other.#end(undefined);
    }
  }

  /** Everything that has arrived by now in one piece, or the first part of it. */
  #gather(): Uint8Array | undefined {
    const { events, prng, options } = this.#network;
    let count = 0;
    let length = 0;
    for (const { bytes, dueAt } of this.#outgoing) {
      if (dueAt > events.now || length >= WINDOW_BYTES) break;
      count++;
      length += bytes.length;
    }
    if (count === 0) return undefined;
    if (length >= WINDOW_BYTES)
      this.#windowAt = events.now + this.#network.delayMs(this.other.machine, this.machine);
    const arrived = this.#outgoing;
    this.#outgoing = arrived.splice(count);
    const gathered = new Uint8Array(length);
    let at = 0;
    for (const { bytes } of arrived) {
      gathered.set(bytes, at);
      at += bytes.length;
    }
    if (prng.below(1000) >= options.splitPerMille || length < 2) return gathered;
    const cut = 1 + prng.below(length - 1);
    this.#outgoing.unshift({ bytes: gathered.slice(cut), dueAt: events.now + 1 / 64 });
    this.#lastDueAt = Math.max(this.#lastDueAt, events.now + 1 / 64);
    return gathered.subarray(0, cut);
  }

  #give(bytes: Uint8Array): void {
    this.process.turn(() => {
      if (!this.#isClosed) this.#handler?.received(bytes);
    });
  }

  #end(error: Error | undefined): void {
    this.#isClosed = true;
    this.#network.open.delete(this);
    if (this.#handler === undefined) this.#earlyEnd = { error };
    else this.#network.events.after(0, () => this.#report(error));
  }

  #report(error: Error | undefined): void {
    this.process.turn(() => {
      const handler = this.#handler;
      this.#handler = undefined;
      handler?.closed(error);
    });
  }
}
