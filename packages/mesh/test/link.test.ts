/** One stream under one link: what is written when, and what a stream that takes nothing costs. */

import type { Stream, StreamHandler } from "@skein/kernel";
import { expect, test } from "vitest";
import { FrameSplitter } from "../src/link/frame.ts";
import { Link } from "../src/link/link.ts";
import { FrameType } from "../src/messages.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

/** A stream that does what it is told. */
class ScriptedStream implements Stream {
  readonly remoteAddress = "10.0.0.2:7883";
  readonly localAddress = "10.0.0.1";
  bufferedBytes = 0;
  readonly written: Uint8Array[] = [];
  isFull = false;
  state = "open";
  handler: StreamHandler | undefined;

  start(handler: StreamHandler): void {
    this.handler = handler;
  }
  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return !this.isFull;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.state = "ended";
  }
  reset(): void {
    this.state = "reset";
    this.handler?.closed(undefined);
  }
}

function linked() {
  const clock = new VirtualClock();
  const stream = new ScriptedStream();
  const reasons: string[] = [];
  let acks = 0;
  const link = new Link(stream, true, "10.0.0.2:7883", clock, {
    received: () => {},
    aboutToWrite: () => acks++,
    closed: (_, reason) => reasons.push(reason),
    streamEnded: () => reasons.push("stream ended"),
  });
  link.start();
  const send = (bytes: number): void => {
    link.beginFrame(FrameType.control).raw(new Uint8Array(bytes));
    link.endFrame();
  };
  return { clock, stream, link, reasons, send, acks: () => acks };
}

test("many frames of one turn are one write, and acknowledgements are asked for once", () => {
  const { clock, stream, send, acks } = linked();
  for (let count = 0; count < 100; count++) send(10);
  expect(stream.written).toHaveLength(0);
  clock.endTurn();
  expect(stream.written.map((bytes) => bytes.length)).toEqual([1500]);
  expect(acks()).toBe(1);
});

test("a frame is extended until it is large or has left, and nothing is lost at the end", () => {
  const { clock, stream, link } = linked();
  const read = Uint8Array.from({ length: 20_000 }, (_, at) => at % 251);
  const extend = (at: number, end: number): void => {
    if (!link.isOpenFor(FrameType.publish)) {
      link.beginFrame(FrameType.publish).u8(0);
      link.endFrame();
    }
    link.extendFrame(read, at, end);
  };
  const frames = (): [type: number, body: Uint8Array][] => {
    const found: [number, Uint8Array][] = [];
    const splitter = new FrameSplitter(1 << 20);
    for (const bytes of stream.written.splice(0)) splitter.push(bytes, (...frame) => found.push(frame));
    return found;
  };
  const body = (at: number, end: number): Uint8Array => Uint8Array.of(0, ...read.subarray(at, end));
  for (let at = 0; at < 12_000; at += 100) extend(at, at + 100);
  expect(link.unsentBytes).toBe(12_000 + 3 * 6);
  expect(link.isOpenFor(FrameType.publish5)).toBe(false);
  clock.endTurn();
  expect(frames().map(([, { length }]) => length)).toEqual([4101, 4101, 3801]);
  expect(link.isOpenFor(FrameType.publish)).toBe(false);
  extend(0, 10);
  extend(10, 20);
  extend(50, 60);
  link.beginFrame(FrameType.control).u8(1);
  link.endFrame();
  extend(60, 70);
  expect(link.unsentBytes).toBe(30 + 6 + 6 + 10 + 6);
  link.end("enough");
  expect(frames()).toEqual([
    [FrameType.publish, Uint8Array.of(...body(0, 20), ...read.subarray(50, 60))],
    [FrameType.control, Uint8Array.of(1)],
    [FrameType.publish, body(60, 70)],
  ]);
});

test("a full stream is left alone until it drains; then everything gathered goes out in order", () => {
  const { clock, stream, send, link } = linked();
  stream.isFull = true;
  send(10);
  clock.endTurn();
  send(20);
  send(30);
  clock.run(4000);
  expect(stream.written.map((bytes) => bytes.length)).toEqual([15]);
  expect(link.unsentBytes).toBe(60);
  stream.isFull = false;
  stream.handler?.drained();
  clock.endTurn();
  expect(stream.written.map((bytes) => bytes.length)).toEqual([15, 60]);
  clock.run(10_000);
  expect(link.isClosed).toBe(false);
});

test("a stream that does not drain within 5 s is reset, and says why", () => {
  const { clock, stream, send, reasons } = linked();
  stream.isFull = true;
  send(10);
  clock.run(4990);
  expect(stream.state).toBe("open");
  clock.run(20);
  expect(stream.state).toBe("reset");
  expect(reasons).toEqual(["write deadline passed", "stream ended"]);
  expect(clock.pendingCount).toBe(0);
});

test("a slow stream that makes progress is not reset, however much there is to send", () => {
  const { clock, stream, send, link } = linked();
  stream.isFull = true;
  send(3 * 1024 * 1024);
  clock.endTurn();
  for (let times = 0; times < 12; times++) {
    clock.run(4000);
    stream.handler?.drained();
    clock.endTurn();
  }
  expect(link.isClosed).toBe(false);
  expect(stream.written.length).toBeGreaterThanOrEqual(12);
  expect(stream.written.reduce((sum, bytes) => sum + bytes.length, 0)).toBe(3 * 1024 * 1024 + 5);
});

test("an ended link sends what was said; a stream that does not finish within a second is reset", () => {
  const { clock, stream, link, send, reasons } = linked();
  send(10);
  link.end("enough");
  expect(stream.written).toHaveLength(1);
  expect(stream.state).toBe("ended");
  clock.run(1100);
  expect(stream.state).toBe("reset");
  expect(reasons).toEqual(["enough", "stream ended"]);
});

test("malformed input resets the stream and closes the link once", () => {
  const { stream, link, reasons } = linked();
  stream.handler?.received(Uint8Array.of(255, 255, 255, 255, 1));
  stream.handler?.received(Uint8Array.of(0, 0, 0, 1, 3));
  expect(link.isClosed).toBe(true);
  expect(stream.state).toBe("reset");
  expect(reasons).toHaveLength(2);
  expect(reasons[0]).toContain("malformed frame");
});
