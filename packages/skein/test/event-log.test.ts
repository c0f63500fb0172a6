/** The fail-over log as a pure core: what it makes of what a node sees. */

import type { MonotonicMs } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENTS_MAX, EventLog } from "../src/events/event-log.ts";
import { eventSentence } from "../src/events/event-sentence.ts";
import { type MeshEvent, parseEvent } from "../src/events/mesh-event.ts";
import type { MeshView, ViewedMember } from "../src/events/mesh-view.ts";

const WALL = Date.UTC(2026, 10, 26, 19, 2, 0);

/** What node `self` sees; changed by the tests step by step. Monotonic time starts at 1000. */
class Scene {
  readonly log: EventLog;
  now = 1000;
  wallOffset = WALL - 1000;
  view: MeshView;

  constructor(
    self = "pi2",
    names: readonly string[] = ["pi1", "pi2", "pi3"],
    events: readonly MeshEvent[] = [],
  ) {
    this.log = new EventLog({ self: { id: self, name: self }, incarnation: 1, events });
    this.view = {
      self,
      members: names.map((name) => member(name, this.now)),
      coordinator: names[0],
      hasQuorum: true,
      hasAddress: true,
      holder: names[0],
      configured: names,
    };
    this.look();
  }

  look(): void {
    this.log.observe(this.view, this.now, this.now + this.wallOffset);
  }

  /** Time passes, then the view changes and is looked at. */
  after(ms: number, changes: Partial<MeshView>, members: Record<string, Partial<ViewedMember>> = {}): void {
    this.now += ms;
    this.view = {
      ...this.view,
      ...changes,
      members: (changes.members ?? this.view.members).map((one) => ({ ...one, ...members[one.id] })),
    };
    this.look();
  }

  get only(): MeshEvent {
    const { events } = this.log;
    expect(events).toHaveLength(1);
    return events[0] as MeshEvent;
  }
}

function member(name: string, heardAt: number, clients = 0): ViewedMember {
  return { id: name, name, state: "alive", isLinked: true, heardAt: heardAt as MonotonicMs, clients };
}

/** pi1, which coordinates and serves 31 clients, falls silent at 10,000; told by the clock of the `lan` profile. */
function powerCut(scene = new Scene()): Scene {
  scene.after(9000, {}, { pi1: { clients: 31, heardAt: 10_000 as MonotonicMs } });
  scene.after(3000, {}, { pi1: { state: "suspect" } });
  scene.after(500, { hasQuorum: false, coordinator: undefined });
  scene.after(300, { hasQuorum: true, coordinator: "pi2" });
  scene.after(100, { holder: "pi2" });
  scene.after(200, {}, { pi2: { clients: 1 } });
  scene.after(2100, {}, { pi1: { state: "dead", isLinked: false }, pi2: { clients: 31 } });
  return scene;
}

test("a power cut of the coordinator is one fail-over, from its last word to the last client, in one sentence", () => {
  const event = powerCut().only;
  expect(event).toMatchObject({
    kind: "failover",
    cause: "silent",
    startMs: WALL + 9000,
    startMonotonicMs: 10_000,
    nodes: [{ id: "pi1", name: "pi1" }],
    from: { id: "pi1" },
    to: { id: "pi2" },
    coordinatorAfterMs: 3800,
    addressAfterMs: 3900,
    clientsBefore: 31,
    clientsBack: 31,
    firstClientAfterMs: 4100,
    clients95AfterMs: 6200,
    lastClientAfterMs: 6200,
    isOver: true,
  });
  expect(eventSentence(event)).toBe(
    "pi1 lost power or network: address moved to pi2 after 3.9 s, first client 4.1 s, 31 of 31 clients back after 6.2 s",
  );
});

test("an election that is over before the silence is noticed (wired profile) becomes the fail-over that it was", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi1: { clients: 2, heardAt: 10_000 as MonotonicMs } });
  scene.after(2000, { hasQuorum: false, coordinator: undefined });
  scene.after(200, { hasQuorum: true, coordinator: "pi3", holder: "pi3" });
  scene.after(800, {}, { pi1: { state: "suspect" }, pi3: { clients: 2 } });
  expect(scene.only).toMatchObject({
    kind: "failover",
    cause: "silent",
    startMonotonicMs: 10_000,
    coordinatorAfterMs: 2200,
    addressAfterMs: 2200,
    clientsBefore: 2,
    clients95AfterMs: 3000,
    isOver: true,
  });
});

test("a killed process is told from a lost network: its connections close at once", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi1: { state: "suspect", isLinked: false, heardAt: 9700 as MonotonicMs } });
  scene.after(3500, { coordinator: "pi3", holder: "pi3" });
  expect(scene.only).toMatchObject({ kind: "failover", cause: "ended", startMonotonicMs: 10_000 });
});

test("a client that left a moment before its node was lost is not waited for", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi1: { clients: 2 } });
  scene.after(500, {}, { pi1: { clients: 1 } });
  scene.after(500, {}, { pi1: { state: "suspect", isLinked: false } });
  scene.after(3500, { coordinator: "pi3", holder: "pi3" });
  scene.after(500, {}, { pi3: { clients: 1 } });
  expect(scene.only).toMatchObject({ kind: "failover", clientsBefore: 1, clientsBack: 1, isOver: true });
});

test("an orderly stop of the coordinator is one hand-over that counts the clients it had before it reset them", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi1: { clients: 31 } });
  scene.after(100, { holder: undefined }, { pi1: { clients: 0 } });
  scene.after(100, { coordinator: "pi2" });
  scene.after(50, { holder: "pi2" }, { pi1: { state: "left", isLinked: false } });
  scene.after(3000, {}, { pi2: { clients: 30 } });
  scene.after(3000, {}, { pi2: { clients: 31 } });
  const event = scene.only;
  expect(event).toMatchObject({
    kind: "handover",
    cause: "stopped",
    addressAfterMs: 150,
    clientsBefore: 31,
    clients95AfterMs: 3150,
    lastClientAfterMs: 6150,
    isOver: true,
  });
  expect(eventSentence(event)).toBe(
    "pi1 stopped in order: address moved to pi2 after 0.1 s, first client 3.1 s, 95 % of the clients 3.1 s, 31 of 31 clients back after 6.2 s",
  );
});

test("an address that is moved on purpose is a hand-over whose former holder goes on", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi1: { clients: 5 } });
  scene.after(100, { holder: undefined }, { pi1: { clients: 1 } });
  scene.after(200, { coordinator: "pi2", holder: "pi2" });
  scene.after(2500, {}, { pi2: { clients: 4 } });
  const event = scene.only;
  expect(event).toMatchObject({
    kind: "handover",
    cause: "moved",
    clientsBefore: 4,
    clientsBack: 4,
    isOver: true,
  });
  expect(eventSentence(event)).toMatch(/^handed over: address moved from pi1 to pi2 after 0.2 s, /);
});

test("a coordinator that was missed for more than a second and is still there makes an election", () => {
  const scene = new Scene();
  scene.after(9000, { hasQuorum: false });
  scene.after(1500, {});
  scene.after(500, { hasQuorum: true, coordinator: "pi2", holder: "pi2" });
  scene.after(5000, {});
  expect(scene.only).toMatchObject({
    kind: "election",
    cause: "unheard",
    addressAfterMs: 2000,
    isOver: true,
  });
});

test("several nodes that fall silent together are one partition, with the time until they are back", () => {
  const scene = new Scene("pi3", ["pi1", "pi2", "pi3", "pi4", "pi5"]);
  scene.after(9000, {}, { pi1: { heardAt: 10_000 as MonotonicMs }, pi2: { heardAt: 9800 as MonotonicMs } });
  scene.after(3000, {}, { pi1: { state: "suspect" } });
  scene.after(300, {}, { pi2: { state: "suspect" } });
  scene.after(500, { coordinator: "pi3", holder: "pi3" });
  scene.after(60_000, {}, { pi1: { state: "alive" }, pi2: { state: "alive" } });
  const event = scene.only;
  expect(event).toMatchObject({
    kind: "partition",
    startMonotonicMs: 9800,
    addressAfterMs: 4000,
    returnedAfterMs: 64_000,
  });
  expect(event.nodes.map(({ name }) => name)).toEqual(["pi1", "pi2"]);
});

test("the side without a majority notes the partition too, and that nobody coordinates until it is healed", () => {
  const scene = new Scene("pi1", ["pi1", "pi2", "pi3"]);
  scene.after(9000, {}, { pi2: { heardAt: 10_000 as MonotonicMs }, pi3: { heardAt: 10_000 as MonotonicMs } });
  scene.after(3000, {}, { pi2: { state: "suspect" }, pi3: { state: "suspect" } });
  scene.after(500, { hasQuorum: false, coordinator: undefined, holder: undefined });
  scene.after(200_000, {}, { pi2: { state: "dead" }, pi3: { state: "dead" } });
  expect(scene.only).toMatchObject({ kind: "partition", coordinatorAfterMs: null, isOver: false });
  scene.after(5000, { hasQuorum: true, coordinator: "pi2", holder: "pi2" });
  scene.after(500, {}, { pi2: { state: "alive" }, pi3: { state: "alive" } });
  expect(scene.only).toMatchObject({ kind: "partition", to: { name: "pi2" }, isOver: true });
});

test("a node that was no coordinator is a loss once it is dead, and returns to the same event", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi3: { heardAt: 10_000 as MonotonicMs, clients: 4 } });
  scene.after(3000, {}, { pi3: { state: "suspect" } });
  expect(scene.log.events).toEqual([]);
  scene.after(1000, {}, { pi1: { clients: 4 } });
  scene.after(2000, {}, { pi3: { state: "dead", isLinked: false } });
  expect(scene.only).toMatchObject({ kind: "loss", from: { name: "pi1" }, to: null, clientsBack: 4 });
  scene.after(300_000, {}, { pi3: { state: "alive", isLinked: true } });
  expect(eventSentence(scene.only)).toBe(
    "pi3 lost power or network: first client 4.0 s, 4 of 4 clients back after 4.0 s, it is back after 5 min",
  );
});

test("a node that hesitates for a few seconds is no event", () => {
  const scene = new Scene();
  scene.after(9000, {}, { pi3: { state: "suspect" } });
  scene.after(1000, {}, { pi3: { state: "alive" } });
  scene.after(60_000, {});
  expect(scene.log.events).toEqual([]);
  expect(scene.log.isBusy).toBe(false);
});

test("nodes that join and leave the cluster are events; the first sight of a mesh is none", () => {
  const scene = new Scene();
  expect(scene.log.events).toEqual([]);
  scene.after(1000, {
    members: [...scene.view.members, member("pi4", 1)],
    configured: ["pi1", "pi2", "pi3", "pi4"],
  });
  scene.after(1000, { configured: ["pi1", "pi2", "pi4"] });
  expect(scene.log.events.map(eventSentence)).toEqual([
    "pi4 joined the mesh",
    "pi3 is no longer part of the mesh",
  ]);
});

test("a wall clock that is set later corrects what was noted before; until then it is doubtful", () => {
  const scene = new Scene();
  scene.wallOffset = 0;
  powerCut(scene);
  expect(scene.only.isClockDoubtful).toBe(true);
  scene.wallOffset = WALL - 1000;
  scene.after(1000, {});
  expect(scene.only).toMatchObject({ startMs: WALL + 9000, isClockDoubtful: false });
});

test("the new coordinator's measurements replace a survivor's own, and not the other way round", () => {
  const witness = powerCut(new Scene("pi3"));
  const holder = powerCut(new Scene("pi2"));
  const told = { ...holder.only, lastClientAfterMs: 6150 };
  const agoMs = 6200;
  witness.log.told(told, agoMs, witness.now + witness.wallOffset + 40);
  expect(witness.only).toMatchObject({ id: told.id, observer: { name: "pi2" }, lastClientAfterMs: 6150 });
  witness.after(1000, {});
  expect(witness.only.id).toBe(told.id);
  const before = holder.only;
  holder.log.told(
    { ...powerCut(new Scene("pi3")).only, clientsBack: 3 },
    agoMs,
    holder.now + holder.wallOffset,
  );
  expect(holder.only).toEqual(before);
});

test("a node that was away learns what happened, once, in the time of its own clock", () => {
  const told = powerCut().only;
  const scene = new Scene("pi1");
  scene.after(60_000, {});
  for (let times = 0; times < 3; times++) scene.log.told(told, 50_000, scene.now + scene.wallOffset);
  expect(scene.only.startMs).toBe(scene.now + scene.wallOffset - 50_000);
});

test("earlier runs are kept and nothing of them is awaited; the oldest make room", () => {
  const earlier = powerCut().only;
  const many = Array.from({ length: EVENTS_MAX + 50 }, (_, at) => ({
    ...earlier,
    id: `e${at}`,
    isOver: false,
  }));
  const scene = new Scene("pi2", ["pi1", "pi2", "pi3"], many);
  scene.after(60_000, {});
  expect(scene.log.events).toHaveLength(EVENTS_MAX);
  expect(scene.log.events.every(({ isOver }) => isOver)).toBe(true);
  scene.log.note("alarm", [], "Client lamp takes itself over.", scene.now, scene.now + scene.wallOffset);
  expect(scene.log.events).toHaveLength(EVENTS_MAX);
  expect(eventSentence(scene.log.events.at(-1) as MeshEvent)).toBe("Client lamp takes itself over.");
});

const NAMES = ["pi1", "pi2", "pi3", "pi4"];
const maybeName = fc.option(fc.constantFrom(...NAMES), { nil: undefined });
const step = fc.record({
  waitMs: fc.nat(10_000),
  coordinator: maybeName,
  holder: maybeName,
  hasQuorum: fc.boolean(),
  configured: fc.subarray(NAMES),
  states: fc.array(fc.constantFrom("alive", "suspect", "dead", "left"), { minLength: 4, maxLength: 4 }),
  linked: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  clients: fc.array(fc.nat(50), { minLength: 4, maxLength: 4 }),
});

function seen(
  waitMs: number,
  hasQuorum: boolean,
  holder: string | undefined,
  states: ViewedMember["state"][],
  clients: number[],
) {
  const isLinked = states.map((state) => state === "suspect");
  return {
    waitMs,
    coordinator: undefined,
    holder,
    hasQuorum,
    configured: [],
    states,
    linked: isLinked,
    clients,
  };
}

/** What was taken for a move of a client, who was counted as back, turned out to be a loss of one who had no clients. */
const MOVE_THAT_WAS_A_LOSS = [
  seen(6114, false, undefined, ["dead", "alive", "alive", "suspect"], [0, 0, 0, 1]),
  seen(4326, true, "pi4", ["dead", "alive", "alive", "alive"], [0, 0, 0, 0]),
  seen(4560, false, undefined, ["alive", "alive", "alive", "alive"], [0, 0, 1, 0]),
  seen(0, false, undefined, ["alive", "alive", "alive", "dead"], [0, 0, 0, 0]),
];

test("whatever a node sees, each event's times are in order, its clients add up, and it survives being stored", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const scene = new Scene("pi2", NAMES);
      for (const { waitMs, states, linked, clients, ...changes } of steps) {
        scene.after(
          waitMs,
          changes,
          Object.fromEntries(
            NAMES.map((name, at) => {
              const state = name === "pi2" ? "alive" : (states[at] as ViewedMember["state"]);
              return [name, { state, isLinked: linked[at] === true, clients: clients[at] ?? 0 }];
            }),
          ),
        );
        for (const event of scene.log.events) checkEvent(event, scene);
        expect(scene.log.events.length).toBeLessThanOrEqual(EVENTS_MAX);
      }
    }),
    { numRuns: 100, examples: [[MOVE_THAT_WAS_A_LOSS]] },
  );
}, 60_000);

function checkEvent(event: MeshEvent, scene: Scene): void {
  const { firstClientAfterMs: first, clients95AfterMs: most, lastClientAfterMs: last } = event;
  const passed = scene.now + scene.wallOffset - event.startMs;
  for (const time of [
    event.coordinatorAfterMs,
    event.addressAfterMs,
    first,
    most,
    last,
    event.returnedAfterMs,
  ]) {
    if (time === null) continue;
    expect(time).toBeGreaterThanOrEqual(0);
    expect(time).toBeLessThanOrEqual(passed);
  }
  if (first !== null && last !== null) expect(first).toBeLessThanOrEqual(last);
  expect(first === null).toBe(event.clientsBack === 0);
  expect(event.clientsBack).toBeLessThanOrEqual(event.clientsBefore);
  // A node does not lose itself.
  if (event.nodes.some(({ id }) => id === "pi2"))
    expect(event).toMatchObject({ kind: "leave", cause: "removed" });
  if (event.kind === "partition") expect(event.nodes.length).toBeGreaterThan(1);
  expect(parseEvent(JSON.parse(JSON.stringify(event)))).toEqual(event);
  expect(eventSentence(event)).not.toMatch(/undefined|null|NaN/);
}
