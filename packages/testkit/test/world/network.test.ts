import { type Stream, type StreamHandler, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { EventQueue } from "../../src/world/event-queue.ts";
import { Network } from "../../src/world/network.ts";
import { SimProcess } from "../../src/world/sim-process.ts";

class Recorder implements StreamHandler {
  readonly bytes: number[] = [];
  ended: string | undefined;

  received(bytes: Uint8Array): void {
    this.bytes.push(...bytes);
  }
  drained(): void {}
  closed(error: Error | undefined): void {
    this.ended = error?.message ?? "end";
  }
}

function connected() {
  const events = new EventQueue();
  const down = new Set<number>();
  const network = new Network(
    2,
    { delayMinMs: 1, delaySpreadMs: 5, lossPerMille: 100, splitPerMille: 300 },
    {
      events,
      prng: seededPrng(1),
      isUp: (machine) => !down.has(machine),
      hasAddress: () => true,
      answers: () => undefined,
      delivered: () => {},
    },
  );
  const [near, far] = [0, 1].map(
    () => new SimProcess(events, { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 }, () => {}),
  );
  const ends: Stream[] = [];
  const refusals: string[] = [];
  const locate = (host: string) => (host === "b" ? 1 : undefined);
  network.transport(far!, 1, "b", locate, "key").listen(
    "0.0.0.0:7",
    (stream) => ends.push(stream),
    (_, reason) => refusals.push(reason),
    () => {},
  );
  const dial = (address: string, key = "key") => {
    const result: (Stream | Error)[] = [];
    network.transport(near!, 0, "a", locate, key).dial(address, 3000, (outcome) => result.push(outcome));
    events.runUntil(events.now + 4000);
    return result[0];
  };
  const open = () => {
    const stream = dial("b:7") as Stream;
    const other = ends.at(-1) as Stream;
    const [atNear, atFar] = [new Recorder(), new Recorder()];
    stream.start(atNear);
    other.start(atFar);
    return { stream, other, atNear, atFar };
  };
  return { events, network, down, ends, refusals, dial, open, near: near!, far: far! };
}

test("bytes arrive complete and in order, whatever is lost or split on the way", () => {
  const { events, open } = connected();
  const { stream, atFar } = open();
  const sent = Array.from({ length: 2000 }, (_, at) => at % 251);
  for (let at = 0; at < sent.length; at += 20) {
    stream.write(Uint8Array.from(sent.slice(at, at + 20)));
    events.runUntil(events.now + 1);
  }
  events.runUntil(events.now + 120_000);
  expect(atFar.bytes).toEqual(sent);
});

test("who has another key gets no link, and both ends hear of it", () => {
  const { ends, refusals, dial } = connected();
  expect(dial("b:7", "another key")).toEqual(new Error("it has another mesh key"));
  expect(ends).toEqual([]);
  expect(refusals).toEqual(["it has another mesh key"]);
  expect(dial("b:7")).not.toBeInstanceOf(Error);
});

test("what a paused process has yet to read it reads when it goes on", () => {
  const { events, open, far } = connected();
  const { stream, other, atNear, atFar } = open();
  far.pause();
  stream.write(Uint8Array.of(1, 2, 3));
  events.runUntil(events.now + 5000);
  other.write(Uint8Array.of(7, 8, 9));
  events.runUntil(events.now + 5000);
  expect(atNear.bytes).toEqual([7, 8, 9]);
  far.resume();
  expect(atFar.bytes).toEqual([1, 2, 3]);
});

test("what is written during a partition arrives after it; one-way means one way", () => {
  const { events, network, open } = connected();
  const { stream, other, atNear, atFar } = open();
  network.block(0, 1, true);
  stream.write(Uint8Array.of(1));
  other.write(Uint8Array.of(2));
  events.runUntil(events.now + 10_000);
  expect([atFar.bytes, atNear.bytes]).toEqual([[], [2]]);
  network.block(0, 1, false);
  events.runUntil(events.now + 2000);
  expect(atFar.bytes).toEqual([1]);
});

test("a dial is refused where nobody listens and times out where nobody is reached", () => {
  const { network, down, dial } = connected();
  expect((dial("b:8") as Error).message).toBe("connection refused");
  expect((dial("c:7") as Error).message).toBe("dial timed out");
  network.block(1, 0, true);
  expect((dial("b:7") as Error).message).toBe("dial timed out");
  network.block(1, 0, false);
  down.add(1);
  expect((dial("b:7") as Error).message).toBe("dial timed out");
});

test("the end of a process is a reset at once, the end of a machine silence until it is back", () => {
  const { events, network, down, open, far } = connected();
  const first = open();
  network.processGone(far, true);
  events.runUntil(events.now + 2000);
  expect(first.atNear.ended).toBe("connection reset by peer");
  const world = connected();
  const second = world.open();
  world.network.processGone(world.far, false);
  world.down.add(1);
  second.stream.write(Uint8Array.of(1));
  world.events.runUntil(world.events.now + 60_000);
  expect(second.atNear.ended).toBeUndefined();
  world.down.delete(1);
  world.network.moveTo(1);
  world.events.runUntil(world.events.now + 5000);
  expect(second.atNear.ended).toBe("connection reset by peer");
  expect(down.size).toBe(0);
});

test("a reset behind a partition is heard of when the way back is free, whichever direction is freed first", () => {
  for (const [first, second] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { events, network, open } = connected();
    const { other, atNear } = open();
    network.block(0, 1, true);
    network.block(1, 0, true);
    other.reset();
    events.runUntil(events.now + 2000);
    expect(atNear.ended).toBeUndefined();
    network.block(first, second, false);
    network.block(second, first, false);
    events.runUntil(events.now + 2000);
    expect(atNear.ended).toBe("connection reset by peer");
  }
});

test("an orderly end comes after everything written", () => {
  const { events, open } = connected();
  const { stream, atFar, atNear } = open();
  stream.write(Uint8Array.of(1, 2, 3));
  stream.end();
  events.runUntil(events.now + 5000);
  expect(atFar).toMatchObject({ bytes: [1, 2, 3], ended: "end" });
  expect(atNear.ended).toBe("end");
});
