import { expect, test } from "vitest";
import { EMPTY_SNAPSHOT, eventsBetween, isFormed, snapshotOf } from "../src/demo/demo-events.ts";
import { demoNodes } from "../src/demo/demo-options.ts";
import type { MemberStatus, NodeStatus } from "../src/node-status.ts";

function status(changes: Partial<NodeStatus>, ...states: readonly MemberStatus["state"][]): NodeStatus {
  const members = states.map((state, at) => ({
    id: `id${at + 1}`,
    name: `goose-${at + 1}`,
    state,
    role: "voter" as const,
    clients: 0,
    address: "",
  }));
  return {
    mesh: "demo",
    cluster: "c",
    node: "id1",
    name: "goose-1",
    coordinator: "id1",
    term: 3,
    quorum: true,
    waitsFor: [],
    merge: null,
    conflicts: 0,
    health: "healthy",
    reasons: [],
    vip: { address: null, holder: null },
    clients: 0,
    retained: 0,
    ...changes,
    members,
  } as unknown as NodeStatus;
}

test("the ports of a demo follow each other, shift together and never collide", () => {
  const nodes = demoNodes({ nodes: "9", port: "2883" });
  expect(nodes[0]).toEqual({ name: "goose-1", mqttPort: 2883, linkPort: 8900, httpPort: 8880 });
  expect(demoNodes({ nodes: "3", port: "1883" }).map(({ mqttPort }) => mqttPort)).toEqual([1883, 1884, 1885]);
  const ports = nodes.flatMap(({ mqttPort, linkPort, httpPort }) => [mqttPort, linkPort, httpPort]);
  expect(new Set(ports).size).toBe(27);
});

test.each([
  [{ nodes: "0", port: "1883" }, '--nodes "0"'],
  [{ nodes: "three", port: "1883" }, '--nodes "three"'],
  [{ nodes: "3", port: "65000" }, '--port "65000"'],
])("a demo that cannot be laid out is refused: %j", (options, place) => {
  expect(() => demoNodes(options)).toThrow(`Cannot use ${place}: it must be a whole number`);
});

test("a mesh is formed when every node is healthy and all agree on members, cluster and coordinator", () => {
  const good = status({}, "alive", "alive");
  expect(isFormed([good, good], 2)).toBe(true);
  expect(isFormed([good], 2)).toBe(false);
  expect(isFormed([good, status({ cluster: "other" }, "alive", "alive")], 2)).toBe(false);
  expect(isFormed([good, status({ coordinator: "id2" }, "alive", "alive")], 2)).toBe(false);
  expect(isFormed([good, status({}, "alive")], 2)).toBe(false);
  expect(isFormed([good, status({ health: "down" }, "alive", "alive")], 2)).toBe(false);
});

test("one line for each join, election, silence, death, return and leave", () => {
  const formed = snapshotOf([status({}, "alive", "alive", "alive")]);
  expect(eventsBetween(EMPTY_SNAPSHOT, formed)).toEqual([
    "goose-1 joined",
    "goose-2 joined",
    "goose-3 joined",
    "goose-1 coordinates (term 3)",
  ]);
  expect(eventsBetween(formed, formed)).toEqual([]);
  const broken = snapshotOf([status({ coordinator: "id2", term: 4 }, "dead", "alive", "suspect")]);
  expect(eventsBetween(formed, broken)).toEqual([
    "goose-1 is dead",
    "goose-3 does not answer",
    "goose-2 coordinates (term 4)",
  ]);
  const later = snapshotOf([status({ coordinator: "id2", term: 4 }, "alive", "left", "alive")]);
  expect(eventsBetween(broken, later)).toEqual(["goose-1 is back", "goose-2 left", "goose-3 is back"]);
});

test("the coordinator of the highest term counts: an older one has not heard of its successor yet", () => {
  const old = status({ coordinator: "id1", term: 3 }, "alive", "alive");
  const current = status({ coordinator: "id2", term: 4 }, "alive", "alive");
  expect(snapshotOf([old, current]).coordinator).toBe("id2");
});
