/**
 * A network of hosts in memory: streams with latency, fragmentation, cuts and silent partitions; and multicast DNS.
 *
 * A cut is a TCP reset seen by both ends, what was on the way is lost. A partition is silence: bytes wait until it heals,
 * and an end that gives up does not tell the other. Streams need equal mesh keys at both ends.
 */

import type {
  Clock,
  DnsHandler,
  DnsQuestion,
  DnsRecord,
  GuestDoor,
  GuestFailure,
  GuestProof,
  LinkTransport,
  MulticastDns,
  Prng,
  Stream,
  StreamHandler,
  StreamListener,
} from "@skein/kernel";

/** `write` returns false above this. */
const FULL_BYTES = 64 * 1024;

interface Listening {
  readonly host: string;
  readonly key: string;
  readonly accepted: (stream: Stream) => void;
  readonly refused: (remoteAddress: string, reason: string) => void;
  readonly guests: GuestDoor | undefined;
}

class SimStream implements Stream {
  readonly remoteAddress: string;
  readonly localAddress: string;
  readonly network: SimNetwork;
  other!: SimStream;
  handler: StreamHandler | undefined;
  isClosed = false;
  /** The reader does not read: bytes stay on the way. */
  isStalled = false;
  /** Nothing gets through any more, though neither end knows yet. */
  isCut = false;
  /** This end has given up; what it wrote before still trickles to the other end, which hears of the end last. */
  isOrphaned = false;
  #early: Uint8Array[] = [];
  /** Bytes on the way from here, in order. */
  readonly wire: Uint8Array[] = [];
  bufferedBytes = 0;
  #isFull = false;
  #isMoving = false;
  #isEnding = false;

  constructor(network: SimNetwork, localAddress: string, remoteAddress: string) {
    this.network = network;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
  }

  get remoteHost(): string {
    return this.other.localAddress;
  }

  start(handler: StreamHandler): void {
    this.handler = handler;
    for (const bytes of this.#early.splice(0)) handler.received(bytes);
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed || this.#isEnding) return true;
    this.network.writes++;
    this.network.written?.(bytes);
    this.wire.push(bytes);
    this.bufferedBytes += bytes.length;
    this.move();
    this.#isFull ||= this.bufferedBytes > FULL_BYTES;
    return !this.#isFull;
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.#isEnding = true;
    this.move();
  }

  reset(): void {
    this.close(undefined);
    this.network.clock.after(this.network.latencyMs(), () => {
      if (!this.network.isBlocked(this.localAddress, this.remoteHost)) {
        this.other.close(new Error("connection reset by peer"));
      }
    });
  }

  close(error: Error | undefined): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.network.open.delete(this);
    this.handler?.closed(error);
  }

  /** Carries one piece over, then the next. Pieces are cut at random places, as TCP does. */
  move(): void {
    if (this.#isMoving || (this.isClosed && !this.isOrphaned)) return;
    if (!this.#isPassable()) return;
    const piece = this.wire[0];
    if (piece === undefined) {
      if (this.isOrphaned) this.other.close(new Error("connection reset by peer"));
      else if (this.#isEnding) this.#finish();
      return;
    }
    this.#isMoving = true;
    const delayMs = this.network.latencyMs() + (this.isOrphaned ? this.network.prng.below(200) : 0);
    this.network.clock.after(delayMs, () => {
      this.#isMoving = false;
      if (this.isClosed && !this.isOrphaned) return;
      if (this.#isPassable()) this.#deliver();
      this.move();
    });
  }

  #isPassable(): boolean {
    if (this.isCut || this.other.isStalled) return false;
    return !this.network.isBlocked(this.localAddress, this.remoteHost);
  }

  #finish(): void {
    this.close(undefined);
    this.network.clock.after(this.network.latencyMs(), () => this.other.close(undefined));
  }

  #deliver(): void {
    const bytes = this.network.gather(this.wire);
    this.bufferedBytes -= bytes.length;
    if (!this.other.isClosed) {
      if (this.other.handler === undefined) this.other.#early.push(bytes);
      else this.other.handler.received(bytes);
    } else {
      this.close(new Error("connection reset by peer"));
      return;
    }
    // What was received must not be kept by the receiver: a view of it that is read later reads garbage.
    if (this.other.handler !== undefined) bytes.fill(0xee);
    if (this.#isFull && this.bufferedBytes === 0 && !this.isClosed) {
      this.#isFull = false;
      this.handler?.drained();
    }
  }
}

export class SimNetwork {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly open = new Set<SimStream>();
  readonly listening = new Map<string, Listening>();
  readonly responders = new Set<{ host: string; handler: DnsHandler }>();
  readonly #blocked = new Set<string>();
  readonly dialled: string[] = [];
  latencyMaxMs = 5;
  isMulticastDropped = false;
  writes = 0;
  /** Sees whatever is written to a stream: whole frames. */
  written: ((bytes: Uint8Array) => void) | undefined;

  constructor(clock: Clock, prng: Prng) {
    this.clock = clock;
    this.prng = prng;
  }

  latencyMs(): number {
    return 1 + this.prng.below(this.latencyMaxMs);
  }

  /** Takes some bytes off the wire: sometimes half a write, sometimes several. */
  gather(wire: Uint8Array[]): Uint8Array {
    const first = wire[0]!;
    if (first.length > 1 && this.prng.below(4) === 0) {
      const cut = 1 + this.prng.below(first.length - 1);
      wire[0] = first.subarray(cut);
      return first.slice(0, cut);
    }
    const pieces = wire.splice(0, 1 + this.prng.below(wire.length));
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  isBlocked(a: string, b: string): boolean {
    return this.#blocked.has(`${a} ${b}`);
  }

  /** Silence between two hosts, in both directions. */
  block(a: string, b: string): void {
    this.#blocked.add(`${a} ${b}`);
    this.#blocked.add(`${b} ${a}`);
  }

  /** What `from` sends does not reach `to`; the other direction works. */
  mute(from: string, to: string): void {
    this.#blocked.add(`${from} ${to}`);
  }

  unblock(a: string, b: string): void {
    this.#blocked.delete(`${a} ${b}`);
    this.#blocked.delete(`${b} ${a}`);
    for (const stream of [...this.open]) {
      if (stream.other.isClosed) stream.close(new Error("connection reset by peer"));
      else stream.move();
    }
  }

  /** Resets every stream between two hosts: both ends learn of it, what was on the way is lost. */
  cut(a: string, b: string): void {
    for (const stream of this.streamsBetween(a, b)) {
      this.clock.after(this.prng.below(20), () => stream.close(new Error("connection reset by peer")));
      stream.isCut = true;
    }
  }

  /** `a` gives up its streams to `b`; what it wrote before arrives late, while `a` may be dialling anew already. */
  orphan(a: string, b: string): void {
    for (const stream of this.streamsBetween(a, b)) {
      if (stream.localAddress !== a) continue;
      stream.isOrphaned = true;
      stream.close(new Error("connection timed out"));
      stream.move();
    }
  }

  streamsBetween(a: string, b: string): SimStream[] {
    return [...this.open].filter((stream) => {
      const { localAddress, remoteHost } = stream;
      return (localAddress === a && remoteHost === b) || (localAddress === b && remoteHost === a);
    });
  }

  transport(host: string, key: string): LinkTransport {
    return {
      dial: (address, timeoutMs, done) => this.#dial(host, key, address, timeoutMs, done),
      listen: (address, accepted, refused, ready, guests) => {
        const port = Number(address.slice(address.lastIndexOf(":") + 1));
        const name = `${host}:${port}`;
        if (this.listening.has(name)) {
          ready(new Error("address in use"));
          return;
        }
        this.listening.set(name, { host, key, accepted, refused, guests });
        const listener: StreamListener = { port, close: () => this.listening.delete(name) };
        ready(listener);
      },
    };
  }

  #dial(
    host: string,
    key: string,
    address: string,
    timeoutMs: number,
    done: (result: Stream | Error) => void,
  ): () => void {
    this.dialled.push(`${host} ${address}`);
    const target = this.listening.get(address);
    const isSilent = target !== undefined && this.isBlocked(host, target.host);
    const timer = this.clock.after(isSilent ? timeoutMs : 2 * this.latencyMs(), () => {
      if (isSilent) return done(new Error("dial timed out"));
      if (target === undefined || this.listening.get(address) !== target)
        return done(new Error("connection refused"));
      const from = `${host}:${40_000 + this.prng.below(20_000)}`;
      if (target.key !== key) {
        target.refused(from, "it has another mesh key");
        return done(new Error("it has another mesh key"));
      }
      const [near, far] = this.#pair(host, address, target, from);
      this.clock.after(this.prng.below(3), () => target.accepted(far));
      done(near);
    });
    return () => timer.cancel();
  }

  /** As TLS does it: the hint first, then the proof, which the other end compares with what it expects. */
  dialAsGuest(
    host: string,
    address: string,
    timeoutMs: number,
    prove: (hint: string | undefined) => GuestProof | undefined,
    done: (result: Stream | GuestFailure) => void,
  ): void {
    const target = this.listening.get(address);
    const isSilent = target === undefined || this.isBlocked(host, target.host);
    this.clock.after(isSilent ? timeoutMs : 2 * this.latencyMs(), () => {
      if (isSilent) return done({ kind: "unreachable", reason: "no answer" });
      const from = `${host}:${40_000 + this.prng.below(20_000)}`;
      const proof = prove(target.guests?.hint(from));
      if (proof === undefined) return done({ kind: "givenUp" });
      const expected = target.guests?.secretOf(proof.identity, from);
      if (expected === undefined || !expected.every((byte, at) => byte === proof.secret[at]))
        return done({ kind: "wrongSecret" });
      const [near, far] = this.#pair(host, address, target, from);
      target.guests?.accepted(far, proof.identity);
      done(near);
    });
  }

  #pair(host: string, address: string, target: Listening, from: string): [SimStream, SimStream] {
    const near = new SimStream(this, host, address);
    const far = new SimStream(this, target.host, from);
    near.other = far;
    far.other = near;
    this.open.add(near).add(far);
    return [near, far];
  }

  mdns(host: string): MulticastDns {
    const me: { host: string; handler: DnsHandler | undefined } = { host, handler: undefined };
    const toAll = (give: (handler: DnsHandler) => void): void => {
      if (this.isMulticastDropped) return;
      for (const one of this.responders) {
        if (this.isBlocked(host, one.host)) continue;
        this.clock.after(this.latencyMs(), () => {
          if (this.responders.has(one)) give(one.handler);
        });
      }
    };
    return {
      start: (handler) => {
        me.handler = handler;
        this.responders.add(me as { host: string; handler: DnsHandler });
      },
      query: (questions: readonly DnsQuestion[]) => toAll((handler) => handler.queried(questions, host)),
      respond: (records: readonly DnsRecord[]) => toAll((handler) => handler.answered(records, host)),
      localAddresses: () => [host],
      hostName: () => "pi1",
      stop: () => {
        this.responders.delete(me as { host: string; handler: DnsHandler });
      },
    };
  }
}
