/** The fail-over log in a node: its file and what it tells the others. */

import {
  type Clock,
  type Disk,
  joined,
  type LogFields,
  type MonotonicMs,
  type NodeId,
  type SkeinError,
} from "@skein/kernel";
import { expect, test } from "vitest";
import { decodeEvents, EVENT_FRAME, encodeEvents } from "../src/events/event-frame.ts";
import type { MeshView, ViewedMember } from "../src/events/mesh-view.ts";
import { NodeEvents } from "../src/events/node-events.ts";

/** A node whose view and clock the test moves by hand. */
class Rig {
  now = 0;
  view: MeshView;
  readonly files: Map<string, Uint8Array>;
  readonly sent: { readonly to: NodeId; readonly bytes: Uint8Array }[] = [];
  readonly warnings: string[] = [];
  writes = 0;
  diskError: SkeinError | undefined;
  readonly events: NodeEvents;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  constructor(self: string, files = new Map<string, Uint8Array>()) {
    this.files = files;
    this.view = {
      self,
      members: ["pi1", "pi2", "pi3"].map((id) => member(id, id !== self)),
      coordinator: "pi1",
      hasQuorum: true,
      hasAddress: true,
      holder: "pi1",
      configured: ["pi1", "pi2", "pi3"],
    };
    const clock: Pick<Clock, "monotonicMs" | "wallMs" | "after"> = {
      monotonicMs: () => this.now as MonotonicMs,
      wallMs: () => this.now + 1_790_000_000_000,
      after: (delayMs, run) => {
        this.#timers.push({ at: this.now + delayMs, run });
        return { cancel: () => {} };
      },
    };
    const disk: Pick<Disk, "read" | "replace"> = {
      read: (path) => this.files.get(path),
      replace: (path, content, done) => {
        this.writes++;
        if (this.diskError === undefined) this.files.set(path, joined(content));
        done(this.diskError);
      },
    };
    const warn = (_: LogFields, message: string): void => {
      this.warnings.push(message);
    };
    this.events = new NodeEvents({ id: self, name: self }, 1, {
      clock: clock as Clock,
      disk: disk as Disk,
      log: { warn, error: warn, info: () => {}, debug: () => {} },
      view: () => this.view,
      send: (to, bytes) => this.sent.push({ to, bytes }),
    });
    this.events.observe();
  }

  /** Lets time pass in steps of the node's tick. */
  pass(ms: number): void {
    for (const until = this.now + ms; this.now < until; ) {
      this.now += 50;
      const due = this.#timers.filter(({ at }) => at <= this.now);
      this.#timers = this.#timers.filter(({ at }) => at > this.now);
      for (const { run } of due) run();
      if (this.now % 250 === 0) this.events.observe();
    }
  }

  change(changes: Partial<MeshView>, members: Record<string, Partial<ViewedMember>> = {}): void {
    this.view = {
      ...this.view,
      ...changes,
      members: this.view.members.map((one) => ({ ...one, ...members[one.id] })),
    };
    this.events.observe();
  }

  /** pi1 ends; pi2 takes over. */
  failOver(): void {
    this.pass(10_000);
    this.change({}, { pi1: { state: "suspect", isLinked: false } });
    this.pass(4000);
    this.change({ coordinator: "pi2", holder: "pi2" });
    this.pass(4000);
  }
}

function member(id: string, isLinked: boolean): ViewedMember {
  return { id, name: id, state: "alive", isLinked, heardAt: 0 as MonotonicMs, clients: 0 };
}

test("the log of earlier runs is there after a restart", () => {
  const rig = new Rig("pi2");
  rig.failOver();
  const after = new Rig("pi2", rig.files);
  expect(after.events.list).toEqual(rig.events.list);
  expect(after.events.list).toHaveLength(1);
});

test.each([
  ["no JSON", "{"],
  ["no list", '{"id":"x"}'],
  ["huge", `[${" ".repeat(300_000)}]`],
])("a file that is %s is ignored with a warning, and replaced by the next event", (_, text) => {
  const files = new Map([["events.json", Buffer.from(text)]]);
  const rig = new Rig("pi2", files);
  expect(rig.events.list).toEqual([]);
  expect(rig.warnings).toEqual(["the list of events is unreadable and ignored"]);
  rig.failOver();
  expect(new Rig("pi2", rig.files).events.list).toHaveLength(1);
});

test("entries that are damaged are left out, the others stay", () => {
  const rig = new Rig("pi2");
  rig.failOver();
  const text = Buffer.from(rig.files.get("events.json") ?? []).toString();
  const files = new Map([
    ["events.json", Buffer.from(text.replace("[\n", '[7,null,{"kind":"failover"},\n'))],
  ]);
  expect(new Rig("pi2", files).events.list).toEqual(rig.events.list);
});

test("one fail-over is one write; a mesh where nothing happens writes nothing; a flapping one twice a minute (R13)", () => {
  const rig = new Rig("pi2");
  rig.pass(600_000);
  expect(rig.writes).toBe(0);
  rig.failOver();
  rig.pass(60_000);
  expect(rig.writes).toBe(1);
  for (let times = 0; times < 60; times++) {
    rig.events.note("alarm", [], `alarm ${times}`);
    rig.pass(1000);
  }
  expect(rig.writes).toBeLessThanOrEqual(3);
});

test("a disk that does not take the file is tried again, without a flood of warnings", () => {
  const rig = new Rig("pi2");
  rig.diskError = new Error("full") as SkeinError;
  rig.failOver();
  rig.pass(60_000);
  expect(rig.warnings.length).toBeLessThanOrEqual(3);
  rig.diskError = undefined;
  rig.pass(31_000);
  expect(new Rig("pi2", rig.files).events.list).toHaveLength(1);
});

test("the new coordinator tells the others once, and a node whose link comes up what it missed", () => {
  const rig = new Rig("pi2");
  rig.failOver();
  rig.pass(10_000);
  expect(rig.sent.map(({ to }) => to)).toEqual(["pi3"]);
  rig.change({}, { pi1: { state: "alive", isLinked: true } });
  rig.pass(1000);
  const toReturned = rig.sent.filter(({ to }) => to === "pi1").map(({ bytes }) => bytes);
  const away = new Rig("pi1");
  away.pass(rig.now);
  for (const bytes of toReturned) away.events.receive(bytes);
  expect(away.events.list).toEqual([
    expect.objectContaining({
      kind: "failover",
      to: { id: "pi2", name: "pi2" },
      observer: { id: "pi2", name: "pi2" },
    }),
  ]);
});

test("who took over tells of it, even if another one coordinates when it is complete", () => {
  const rig = new Rig("pi2");
  rig.pass(10_000);
  rig.change({}, { pi1: { state: "suspect", isLinked: false } });
  rig.pass(500);
  rig.change({ coordinator: "pi2", holder: "pi2" });
  rig.change({ coordinator: "pi3", holder: "pi3" });
  rig.pass(4000);
  expect(rig.sent.map(({ to }) => to)).toEqual(["pi3"]);
});

test("a node that is not the coordinator tells nobody", () => {
  const rig = new Rig("pi3");
  rig.failOver();
  expect(rig.events.list).toHaveLength(1);
  expect(rig.sent).toEqual([]);
});

test.each([
  ["another type", Uint8Array.of(1, 2)],
  ["no JSON", Uint8Array.of(EVENT_FRAME, 0x7b)],
  ["broken UTF-8", Uint8Array.of(EVENT_FRAME, 0xff, 0xfe)],
  ["no list", Buffer.from(`${String.fromCharCode(EVENT_FRAME)}{}`)],
  ["wrong items", Buffer.from(`${String.fromCharCode(EVENT_FRAME)}[null,1,{"agoMs":-1,"event":{}}]`)],
  ["too large", Buffer.from(`${String.fromCharCode(EVENT_FRAME)}[${" ".repeat(70_000)}]`)],
])("a frame that is %s changes nothing", (_, bytes) => {
  const rig = new Rig("pi2");
  rig.events.receive(bytes);
  expect(rig.events.list).toEqual([]);
});

test("events come out of a frame as they went in", () => {
  const rig = new Rig("pi2");
  rig.failOver();
  const told = rig.events.list.map((event) => ({ agoMs: 5, event }));
  expect(decodeEvents(encodeEvents(told))).toEqual(told);
});
