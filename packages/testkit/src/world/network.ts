/**
 * The network between the machines of a simulated world: who reaches whom, how slowly, and which ports listen.
 *
 * Streams are reliable, so loss is a stall (a retransmission), and a partition is silence: bytes wait until it heals, an
 * end that gives up does not tell the other. Blocking is per direction. Machines are numbers: nodes first, then clients.
 */

import type { LinkTransport, Prng, Stream, StreamListener } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";
import { chance } from "./random-streams.ts";
import type { SimProcess } from "./sim-process.ts";
import { type End, RESET_BY_PEER, SimStream } from "./sim-stream.ts";

export interface NetworkOptions {
  readonly delayMinMs: number;
  readonly delaySpreadMs: number;
  /** Of 1,000 pieces so many are lost once and come after a retransmission. */
  readonly lossPerMille: number;
  /** Of 1,000 pieces so many arrive in two parts. */
  readonly splitPerMille: number;
}

/** Delays below this disturb nobody, as the checkers understand it. */
export const DISTURBING_MS = 1000;
const RETRANSMIT_MS = 200;
const RETRANSMIT_SPREAD_MS = 800;
const REFUSED = new Error("connection refused");
const TIMED_OUT = new Error("dial timed out");
/** What the handshake of the links says of it. */
const OTHER_KEY = new Error("it has another mesh key");

interface Listening {
  readonly process: SimProcess;
  readonly accepted: (stream: Stream) => void;
  /** The secret that a caller must have; undefined: none is asked for. */
  readonly key?: string;
  readonly refused?: (remoteAddress: string, reason: string) => void;
}

/** The machine a name leads to. */
type Locate = (address: string) => number | undefined;

export class Network {
  readonly events: EventQueue;
  readonly prng: Prng;
  readonly options: NetworkOptions;
  /** Whether a machine is switched on. */
  readonly isUp: (machine: number) => boolean;
  /** Whether a machine has an address of its own right now (the floating one comes and goes). */
  readonly hasAddress: (machine: number, address: string) => boolean;
  /** The machine that answers packets of `from` to a host, if any does. */
  readonly answers: (from: number, host: string) => number | undefined;
  readonly open = new Set<SimStream>();
  readonly #machines: number;
  readonly #blocked: Uint8Array;
  readonly #slowBy: Float64Array;
  readonly #changedAt: Float64Array;
  readonly #listening = new Map<string, Listening>();
  /** Sees everything that is delivered. */
  readonly #delivered: (from: number, to: number, bytes: Uint8Array) => void;
  #portNumber = 40_000;

  constructor(
    machines: number,
    options: NetworkOptions,
    world: {
      readonly events: EventQueue;
      readonly prng: Prng;
      readonly isUp: (machine: number) => boolean;
      readonly hasAddress: (machine: number, address: string) => boolean;
      readonly answers: (from: number, host: string) => number | undefined;
      readonly delivered: (from: number, to: number, bytes: Uint8Array) => void;
    },
  ) {
    this.#machines = machines;
    this.options = options;
    this.events = world.events;
    this.prng = world.prng;
    this.isUp = world.isUp;
    this.hasAddress = world.hasAddress;
    this.answers = world.answers;
    this.#delivered = world.delivered;
    this.#blocked = new Uint8Array(machines * machines);
    this.#slowBy = new Float64Array(machines * machines);
    this.#changedAt = new Float64Array(machines * machines);
  }

  isBlocked(from: number, to: number): boolean {
    return this.#blocked[from * this.#machines + to] !== 0;
  }

  /** Both ways are open and not slowed down. */
  isClear(a: number, b: number): boolean {
    const [there, back] = [a * this.#machines + b, b * this.#machines + a];
    const isOpen = this.#blocked[there] === 0 && this.#blocked[back] === 0;
    return isOpen && this.#slowBy[there] === 0 && this.#slowBy[back] === 0;
  }

  /** Both ways are open, and what goes there arrives before anybody would take it for lost. */
  isSound(a: number, b: number): boolean {
    const isSlow = [a * this.#machines + b, b * this.#machines + a].some((way) => {
      return (this.#slowBy[way] ?? 0) >= DISTURBING_MS;
    });
    return !isSlow && !this.isBlocked(a, b) && !this.isBlocked(b, a);
  }

  /** Neither reaches the other. */
  isApart(a: number, b: number): boolean {
    return this.isBlocked(a, b) && this.isBlocked(b, a);
  }

  /** When a way between the two was last blocked or opened. */
  changedAt(a: number, b: number): number {
    return Math.max(
      this.#changedAt[a * this.#machines + b] ?? 0,
      this.#changedAt[b * this.#machines + a] ?? 0,
    );
  }

  /** One direction. Blocks are counted: two faults may cover the same way. */
  block(from: number, to: number, isBlocked: boolean): void {
    const at = from * this.#machines + to;
    const before = this.#blocked[at] ?? 0;
    this.#blocked[at] = Math.max(0, before + (isBlocked ? 1 : -1));
    if (before === 0 || this.#blocked[at] === 0) this.#changedAt[at] = this.events.now;
    if (this.#blocked[at] === 0) this.moveBetween(from, to);
  }

  /** Clogs one direction: everything takes so much longer. 0: as usual. */
  clog(from: number, to: number, slowerByMs: number): void {
    this.#slowBy[from * this.#machines + to] = slowerByMs;
  }

  /** Way of one piece from `from` to `to`, in ms. */
  delayMs(from: number, to: number): number {
    const { delayMinMs, delaySpreadMs, lossPerMille } = this.options;
    // Two draws always, whatever the options: the sequence stays the same when a fault is taken out.
    const usual = delayMinMs + this.prng.below(Math.max(1, Math.round(delaySpreadMs * 64))) / 64;
    const isLost = chance(this.prng, lossPerMille);
    const slower = this.#slowBy[from * this.#machines + to] ?? 0;
    return usual + slower + (isLost ? RETRANSMIT_MS + this.prng.below(RETRANSMIT_SPREAD_MS) : 0);
  }

  /** The way from `from` to `to` is free: what waited for it goes on, and who is gone there is heard of here. */
  moveBetween(from: number, to: number): void {
    for (const stream of [...this.open]) {
      const { machine, other } = stream;
      if ((machine === from && other.machine === to) || (machine === to && other.machine === from))
        stream.move();
    }
  }

  /** An address has come to a machine, or it has been switched on: what waited for that goes on. */
  moveTo(machine: number): void {
    for (const stream of this.open) {
      if (stream.other.machine === machine || stream.machine === machine) stream.move();
    }
  }

  delivered(from: number, to: number, bytes: Uint8Array): void {
    this.#delivered(from, to, bytes);
  }

  /** Resets the streams between two machines: both ends learn of it, what was on the way is lost. */
  cut(a: number, b: number): void {
    for (const stream of [...this.open]) {
      if (stream.machine === a && stream.other.machine === b) {
        stream.fail();
        stream.other.fail();
      }
    }
  }

  /**
   * `machine` sends an acknowledgement out of turn to the end at `address`, as if from the other end of its connection. The answer
   * comes to whoever has that end's address now: where that is another machine, it knows of no connection and resets it.
   */
  tickle(machine: number, address: string): void {
    for (const near of this.open) {
      if (near.other.remoteAddress !== address || this.isBlocked(machine, near.machine)) continue;
      this.events.after(this.delayMs(machine, near.machine), () => near.tickled());
    }
  }

  /** A process is gone; its machine (`isPowered`) may be still there to tell the others. */
  processGone(process: SimProcess, isPowered: boolean): void {
    for (const [name, listening] of [...this.#listening]) {
      if (listening.process === process) this.#listening.delete(name);
    }
    for (const stream of [...this.open]) if (stream.process === process) stream.vanish(isPowered);
  }

  /** Listens on all addresses of `machine`. */
  listen(machine: number, port: number, listening: Listening): StreamListener | Error {
    const name = `${machine}:${port}`;
    if (this.#listening.has(name)) return new Error(`address in use: ${name}`);
    this.#listening.set(name, listening);
    return {
      port,
      close: () => {
        if (this.#listening.get(name) === listening) this.#listening.delete(name);
      },
    };
  }

  /** The transport of links for `process` on `machine`, whose address is `host`, between holders of `key`. */
  transport(process: SimProcess, machine: number, host: string, locate: Locate, key: string): LinkTransport {
    return {
      dial: (address, timeoutMs, done) => {
        if (!process.effect()) return () => {};
        const to = locate(hostOf(address));
        return this.dial([process, machine, host, address], to, timeoutMs, done, key);
      },
      listen: (address, accepted, refused, ready) => {
        const result = this.listen(machine, portOf(address), { process, accepted, key, refused });
        this.events.after(0, () => process.turn(() => ready(result)));
      },
    };
  }

  /**
   * Opens a stream from `near` (its end: process, machine, addresses) to machine `to`; undefined: nobody answers for the name.
   * @param key the secret that both ends must have; undefined: a client's stream
   */
  dial(
    near: End,
    to: number | undefined,
    timeoutMs: number,
    done: (result: Stream | Error) => void,
    key?: string,
  ): () => void {
    const [process, from] = near;
    let isOver = false;
    const finish = (result: Stream | Error): void => {
      if (isOver) {
        if (!(result instanceof Error)) process.turn(() => result.reset());
        return;
      }
      isOver = true;
      timer.cancel();
      process.turn(() => done(result));
    };
    const timer = this.events.after(timeoutMs, () => finish(TIMED_OUT));
    if (to !== undefined && !this.isBlocked(from, to))
      this.events.after(this.delayMs(from, to), () => this.#knock(near, to, key, finish));
    return () => {
      isOver = true;
      timer.cancel();
    };
  }

  /** The first packet has arrived at machine `to`. Where nobody can answer, only the timeout ends the attempt. */
  #knock(
    [process, from, host, address]: End,
    to: number,
    key: string | undefined,
    finish: (result: Stream | Error) => void,
  ): void {
    const toHost = hostOf(address);
    if (!this.isUp(to) || this.isBlocked(to, from) || !this.hasAddress(to, toHost)) return;
    const backMs = this.delayMs(to, from);
    const target = this.#listening.get(`${to}:${portOf(address)}`);
    if (target === undefined) {
      this.events.after(backMs, () => finish(REFUSED));
      return;
    }
    const fromAddress = `${host}:${this.#portNumber++}`;
    if (target.key !== key) {
      target.process.turn(() => target.refused?.(fromAddress, OTHER_KEY.message));
      this.events.after(backMs, () => finish(OTHER_KEY));
      return;
    }
    const [near, far] = SimStream.pair(
      this,
      [process, from, host, address],
      [target.process, to, toHost, fromAddress],
    );
    target.process.turn(() => target.accepted(far));
    this.events.after(backMs, () => finish(near.isClosed ? RESET_BY_PEER : near));
  }
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
