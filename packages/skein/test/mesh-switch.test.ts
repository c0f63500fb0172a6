import type { Clock, DnsHandler, LinkTransport, MulticastDns, Stream, StreamHandler } from "@skein/kernel";
import { expect, test } from "vitest";
import { MeshSwitch } from "../src/exercises/mesh-switch.ts";

class ManualClock {
  readonly timers: { readonly at: number; readonly run: () => void; isCancelled: boolean }[] = [];
  now = 0;
  after(delayMs: number, run: () => void): { cancel(): void } {
    const timer = { at: this.now + delayMs, run, isCancelled: false };
    this.timers.push(timer);
    return {
      cancel: () => {
        timer.isCancelled = true;
      },
    };
  }
  advance(ms: number): void {
    this.now += ms;
    for (const timer of this.timers.splice(0)) {
      if (timer.isCancelled) continue;
      if (timer.at <= this.now) timer.run();
      else this.timers.push(timer);
    }
  }
}

class FakeStream implements Stream {
  readonly remoteAddress = "192.0.2.2:7883";
  readonly localAddress = "192.0.2.1";
  readonly bufferedBytes = 0;
  readonly written: number[] = [];
  handler: StreamHandler | undefined;
  ended = "";
  start(handler: StreamHandler): void {
    this.handler = handler;
  }
  write(bytes: Uint8Array): boolean {
    this.written.push(...bytes);
    return true;
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    this.ended = "end";
  }
  reset(): void {
    this.ended = "reset";
    this.handler?.closed(undefined);
  }
}

function setup() {
  const clock = new ManualClock();
  const dialled: string[] = [];
  let accept: (stream: Stream) => void = () => {};
  const inner: LinkTransport = {
    dial: (address, _, done) => {
      dialled.push(address);
      done(new FakeStream());
      return () => {};
    },
    listen: (_, accepted) => {
      accept = accepted;
    },
  };
  const meshSwitch = new MeshSwitch(clock as unknown as Clock);
  const transport = meshSwitch.transport(inner);
  const accepted: Stream[] = [];
  transport.listen(
    "",
    (stream) => accepted.push(stream),
    () => {},
    () => {},
  );
  return { clock, meshSwitch, transport, dialled, accepted, comeIn: (stream: Stream) => accept(stream) };
}

function started(stream: Stream): { received: number[]; closed: boolean } {
  const heard = { received: [] as number[], closed: false };
  stream.start({
    received: (bytes) => void heard.received.push(...bytes),
    drained: () => {},
    closed: () => {
      heard.closed = true;
    },
  });
  return heard;
}

test("while it is not cut, links pass through the switch", () => {
  const { accepted, comeIn } = setup();
  const wire = new FakeStream();
  comeIn(wire);
  const heard = started(accepted[0] as Stream);
  wire.handler?.received(Uint8Array.of(1, 2));
  accepted[0]?.write(Uint8Array.of(3));
  expect([heard.received, wire.written]).toEqual([[1, 2], [3]]);
});

test("while it is cut, links are silent in both directions without being told; afterwards those that lost something are reset", () => {
  const { clock, meshSwitch, accepted, comeIn } = setup();
  const [wire, idle] = [new FakeStream(), new FakeStream()];
  comeIn(wire);
  comeIn(idle);
  const [heard, idleHeard] = [started(accepted[0] as Stream), started(accepted[1] as Stream)];
  let isMended = false;
  meshSwitch.cut(30_000, () => {
    isMended = true;
  });
  wire.handler?.received(Uint8Array.of(1));
  expect(accepted[0]?.write(Uint8Array.of(2))).toBe(true);
  expect([heard, wire.written, wire.ended]).toEqual([{ received: [], closed: false }, [], ""]);
  clock.advance(29_999);
  expect(isMended).toBe(false);
  clock.advance(1);
  expect([isMended, wire.ended, heard.closed]).toEqual([true, "reset", true]);
  expect([idle.ended, idleHeard.closed]).toEqual(["", false]);
  idle.handler?.received(Uint8Array.of(9));
  expect(idleHeard.received).toEqual([9]);
});

test("while it is cut, dials find no answer and callers are turned away; afterwards both go again", () => {
  const { clock, meshSwitch, transport, dialled, accepted, comeIn } = setup();
  meshSwitch.cut(10_000, () => {});
  const results: (Stream | Error)[] = [];
  transport.dial("192.0.2.2:7883", 5000, (result) => results.push(result));
  const cancel = transport.dial("192.0.2.3:7883", 5000, (result) => results.push(result));
  cancel();
  const caller = new FakeStream();
  comeIn(caller);
  expect([results, dialled, accepted, caller.ended]).toEqual([[], [], [], "reset"]);
  clock.advance(5000);
  expect(results).toEqual([new Error("no answer within 5000 ms")]);
  clock.advance(5000);
  transport.dial("192.0.2.2:7883", 5000, (result) => results.push(result));
  comeIn(new FakeStream());
  expect([dialled, accepted.length]).toEqual([["192.0.2.2:7883"], 1]);
});

test("while it is cut, multicast is neither heard nor said", () => {
  const { clock, meshSwitch } = setup();
  const said: string[] = [];
  let handler: DnsHandler | undefined;
  const inner: MulticastDns = {
    hostName: () => "pi1",
    start: (given) => {
      handler = given;
    },
    query: () => void said.push("query"),
    respond: () => void said.push("respond"),
    localAddresses: () => ["192.0.2.1"],
    stop: () => void said.push("stop"),
  };
  const mdns = meshSwitch.multicast(inner);
  const heard: string[] = [];
  mdns.start({
    queried: () => void heard.push("queried"),
    answered: () => void heard.push("answered"),
    failed: () => void heard.push("failed"),
  });
  const talk = (): void => {
    handler?.queried([], "192.0.2.2");
    handler?.answered([], "192.0.2.2");
    mdns.query([]);
    mdns.respond([]);
  };
  meshSwitch.cut(1000, () => {});
  talk();
  expect([heard, said]).toEqual([[], []]);
  clock.advance(1000);
  talk();
  expect([heard, said]).toEqual([
    ["queried", "answered"],
    ["query", "respond"],
  ]);
});
