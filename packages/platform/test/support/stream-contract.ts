/**
 * What every stream must do, whatever carries it. Run by the tests of each kind.
 *
 * `open` gives a stream of ours and the other end of it, which is anything that can send, read, end and reset.
 */

import type { Stream } from "@skein/kernel";
import { expect, test, vi } from "vitest";

/** The other end. */
export interface Peer {
  send(bytes: Uint8Array): void;
  /** Stops and goes on taking bytes from the network. */
  pause(): void;
  resume(): void;
  end(): void;
  reset(): void;
  /** Everything received until now. */
  readonly received: Uint8Array;
  /** Resolves once `count` bytes have been received. */
  whenReceived(count: number): Promise<void>;
  /** Resolves when the connection has ended for the peer, with the error if there was one. */
  readonly closed: Promise<Error | undefined>;
}

export interface Pair {
  readonly stream: Stream;
  readonly peer: Peer;
  close(): void;
}

/** Records what a stream tells, and lets a test wait for it. */
export class RecordingHandler {
  readonly #chunks: Uint8Array[] = [];
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  #length = 0;
  readonly closings: (Error | undefined)[] = [];
  readonly closed: Promise<Error | undefined>;
  #close: (error: Error | undefined) => void = () => {};
  drains = 0;
  lastWasPlain = false;
  #drained: (() => void)[] = [];
  receivedHook: (() => void) | undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  get bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#chunks));
  }

  received(bytes: Uint8Array): void {
    // A copy: the chunk is ours during the call only.
    this.#chunks.push(bytes.slice());
    this.lastWasPlain = Object.getPrototypeOf(bytes) === Uint8Array.prototype;
    this.#length += bytes.length;
    this.receivedHook?.();
    for (const waiter of this.#waiting) if (this.#length >= waiter.count) waiter.resolve();
  }

  drained(): void {
    this.drains++;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  noteClosed(error: Error | undefined): void {
    this.closings.push(error);
    this.#close(error);
  }

  whenReceived(count: number): Promise<void> {
    if (this.#length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  whenDrained(): Promise<void> {
    return new Promise((resolve) => this.#drained.push(resolve));
  }
}

function start(stream: Stream): RecordingHandler {
  const handler = new RecordingHandler();
  stream.start({
    received: (bytes) => handler.received(bytes),
    drained: () => handler.drained(),
    closed: (error) => handler.noteClosed(error),
  });
  return handler;
}

/** Longer than any buffer on the way is a multiple of, so that a block in the wrong place shows. */
const BLOCK = Uint8Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
const pattern = (length: number): Uint8Array => new Uint8Array(Buffer.alloc(length, BLOCK));
/** More than the buffers of the operating system take on loopback. */
const MUCH = 16 * 1024 * 1024;

export interface Kind {
  /** False where the other end may see an ordinary end instead of a reset (TLS, Unix sockets). */
  readonly canReset?: boolean;
  /** What its ends are called; those of a TCP connection on loopback unless told otherwise. */
  readonly remoteAddress?: RegExp;
  readonly localAddress?: string;
}

export function streamContract(
  kind: string,
  open: () => Promise<Pair>,
  { canReset = true, remoteAddress = /^127\.0\.0\.1:\d+$/, localAddress = "127.0.0.1" }: Kind = {},
): void {
  const contract = (name: string, run: (pair: Pair) => Promise<void>): void => {
    test(`${kind}: ${name}`, async () => {
      const pair = await open();
      try {
        await run(pair);
      } finally {
        pair.stream.reset();
        pair.peer.reset();
        pair.close();
      }
    });
  };

  contract("bytes arrive whole and in order, both ways", async ({ stream, peer }) => {
    const handler = start(stream);
    const bytes = pattern(300_000);
    for (let at = 0; at < bytes.length; at += 70_000) {
      stream.write(bytes.slice(at, at + 70_000));
      peer.send(bytes.slice(at, at + 70_000));
    }
    await Promise.all([peer.whenReceived(bytes.length), handler.whenReceived(bytes.length)]);
    expect(Buffer.compare(peer.received, bytes)).toBe(0);
    expect(Buffer.compare(handler.bytes, bytes)).toBe(0);
  });

  contract("received bytes are a plain byte array, whose slice is a copy", async ({ stream, peer }) => {
    const handler = start(stream);
    peer.send(pattern(10));
    await handler.whenReceived(10);
    expect(handler.lastWasPlain).toBe(true);
  });

  contract("addresses are those of the connection, without the form for IPv4 in IPv6", async ({ stream }) => {
    expect(stream.remoteAddress).toMatch(remoteAddress);
    expect(stream.localAddress).toBe(localAddress);
  });

  contract(
    "a peer that does not read: write says stop, the buffer is visible, drained says go on",
    async ({ stream, peer }) => {
      const handler = start(stream);
      peer.pause();
      expect(stream.write(pattern(MUCH))).toBe(false);
      expect(stream.bufferedBytes).toBeGreaterThan(1024 * 1024);
      expect(handler.drains).toBe(0);
      const drained = handler.whenDrained();
      peer.resume();
      await drained;
      expect(stream.bufferedBytes).toBe(0);
      await peer.whenReceived(MUCH);
      expect(Buffer.compare(peer.received, pattern(MUCH))).toBe(0);
    },
  );

  contract("pause holds back what arrives, resume hands it on", async ({ stream, peer }) => {
    const handler = start(stream);
    handler.receivedHook = () => stream.pause();
    peer.send(pattern(10));
    await handler.whenReceived(10);
    handler.receivedHook = () => expect.unreachable("received while paused");
    peer.send(pattern(20));
    // The answer comes after the paused bytes would have: whatever has been sent has arrived by then.
    stream.write(pattern(5));
    await peer.whenReceived(5);
    handler.receivedHook = undefined;
    stream.resume();
    await handler.whenReceived(30);
    expect(handler.bytes).toHaveLength(30);
  });

  contract(
    "end lets out everything written first, then both ends close without an error",
    async ({ stream, peer }) => {
      const handler = start(stream);
      stream.write(pattern(1_000_000));
      stream.end();
      stream.end();
      expect(stream.write(pattern(5))).toBe(true);
      expect(await peer.closed).toBeUndefined();
      expect(peer.received).toHaveLength(1_000_000);
      expect(await handler.closed).toBeUndefined();
      expect(handler.closings).toHaveLength(1);
    },
  );

  contract(
    "when the peer ends, closed is called once, without an error, after its last bytes",
    async ({ stream, peer }) => {
      const handler = start(stream);
      peer.send(pattern(1000));
      peer.end();
      expect(await handler.closed).toBeUndefined();
      expect(handler.bytes).toHaveLength(1000);
      stream.end();
      stream.reset();
      stream.write(pattern(1));
      expect(handler.closings).toHaveLength(1);
    },
  );

  contract(
    "reset ends at once and loses what is buffered: the peer sees a reset",
    async ({ stream, peer }) => {
      const handler = start(stream);
      peer.pause();
      stream.write(pattern(MUCH));
      stream.reset();
      stream.reset();
      await handler.closed;
      peer.resume();
      await peer.closed;
      expect(peer.received.length).toBeLessThan(MUCH);
      expect(handler.closings).toHaveLength(1);
    },
  );

  contract(
    "when the peer resets, closed is called once, with the error where the peer could send a reset",
    async ({ stream, peer }) => {
      const handler = start(stream);
      peer.send(pattern(10));
      await handler.whenReceived(10);
      peer.reset();
      const error = await handler.closed;
      if (canReset) expect(error).toMatchObject({ code: "ECONNRESET" });
      expect(handler.closings).toHaveLength(1);
    },
  );

  contract(
    "an end that the peer does not answer becomes a reset after five seconds",
    async ({ stream, peer }) => {
      const handler = start(stream);
      peer.pause();
      stream.write(pattern(MUCH));
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      try {
        stream.end();
        vi.advanceTimersByTime(4999);
        expect(handler.closings).toHaveLength(0);
        vi.advanceTimersByTime(1);
      } finally {
        vi.useRealTimers();
      }
      await handler.closed;
      expect(handler.closings).toHaveLength(1);
    },
  );

  contract("nothing is handed on after reset, not even within the same chunk", async ({ stream, peer }) => {
    const handler = start(stream);
    handler.receivedHook = () => {
      handler.receivedHook = () => expect.unreachable("received after reset");
      stream.reset();
    };
    for (let i = 0; i < 10; i++) peer.send(pattern(1000));
    await handler.closed;
    expect(handler.closings).toHaveLength(1);
  });

  contract("a stream that ended before start tells so after start has returned", async ({ stream, peer }) => {
    stream.reset();
    await peer.closed;
    const handler = start(stream);
    expect(handler.closings).toHaveLength(0);
    await handler.closed;
    expect(handler.closings).toHaveLength(1);
  });
}
