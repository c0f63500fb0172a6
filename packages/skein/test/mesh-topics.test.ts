import { expect, test } from "vitest";
import type { MemberStatus, NodeStatus } from "../src/node-status.ts";
import { meshTopics } from "../src/status/mesh-topics.ts";

const A = "aaaaaaaaaaaaaaaa";
const B = "bbbbbbbbbbbbbbbb";
const C = "cccccccccccccccc";

function member(id: string, name: string, changes: Partial<MemberStatus> = {}): MemberStatus {
  return {
    id,
    name,
    state: "alive",
    role: "voter",
    hasReplica: true,
    clients: 3,
    address: "",
    holdsAddress: false,
    isWired: true,
    isRelayed: false,
    relay: null,
    rttMs: null,
    unheardMs: null,
    uptimeMs: 61_900,
    version: "0.1.0",
    memoryBytes: 60_000_000,
    messagesPerSecond: 0,
    clockOffsetMs: null,
    lagEntries: 0,
    isDiverged: false,
    addressProblem: null,
    ...changes,
  };
}

function topicsOf(changes: Partial<NodeStatus>): Record<string, string | number> {
  const status = {
    mesh: "home",
    node: A,
    name: "pi1",
    coordinator: B,
    quorum: true,
    health: "degraded",
    headline: "DEGRADED: pi3 unreachable.",
    conflicts: 0,
    vip: { address: "192.168.1.250", holder: B, heldForMs: 1 },
    members: [member(A, "pi1"), member(B, "pi2", { clients: 4 })],
    clients: 3,
    retained: 12,
    isInSync: true,
    droppedConflicts: 3,
    fullQueues: [],
    counters: { links: { forwarded: 5 }, store: { refusedWrites: 2 } },
    ...changes,
  } as Partial<NodeStatus> as NodeStatus;
  const topics: Record<string, string | number> = {};
  meshTopics(status, (name, value) => {
    expect(topics[name]).toBeUndefined();
    topics[name] = value;
  });
  return topics;
}

test("the mesh as a whole: who coordinates, who holds the address, how it is", () => {
  expect(topicsOf({})).toMatchObject({
    "mesh/name": "home",
    "mesh/self": "pi1",
    "mesh/health": "degraded",
    "mesh/headline": "DEGRADED: pi3 unreachable.",
    "mesh/quorum": "true",
    "mesh/coordinator": "pi2",
    "mesh/synced": "true",
    "mesh/conflicts": 0,
    "mesh/conflicts/dropped": 3,
    "mesh/counters/links/forwarded": 5,
    "mesh/counters/store/refusedWrites": 2,
    "mesh/address": "192.168.1.250",
    "mesh/address/holder": "pi2",
    "mesh/nodes/total": 2,
    "mesh/nodes/alive": 2,
    "mesh/clients/connected": 7,
    "mesh/retained messages/count": 12,
    "mesh/queues/full": 0,
    "mesh/queues/passed": 0,
  });
});

test("sessions that messages pass by are counted, and so are the messages", () => {
  const full = { clientId: "a", passed: 3, forMs: 1, queued: 10, isConnected: false };
  const topics = topicsOf({ fullQueues: [full, { ...full, clientId: "b", passed: 4 }] });
  expect(topics).toMatchObject({ "mesh/queues/full": 2, "mesh/queues/passed": 7 });
});

test("each node has its own subtree, under its name", () => {
  const dead = member(C, "pi3", { state: "dead", version: null, memoryBytes: null });
  const topics = topicsOf({ members: [member(A, "pi1"), dead] });
  expect(topics).toMatchObject({
    "mesh/nodes/total": 2,
    "mesh/nodes/alive": 1,
    "mesh/clients/connected": 3,
    "mesh/node/pi1/id": A,
    "mesh/node/pi1/state": "alive",
    "mesh/node/pi1/role": "voter",
    "mesh/node/pi1/clients/connected": 3,
    "mesh/node/pi1/uptime": "61 seconds",
    "mesh/node/pi1/version": "0.1.0",
    "mesh/node/pi1/heap/current": 60_000_000,
    "mesh/node/pi3/state": "dead",
  });
  expect(topics).not.toHaveProperty("mesh/node/pi3/version");
});

test("without a coordinator or an address nobody is named", () => {
  const topics = topicsOf({ coordinator: null, vip: { address: null, holder: null, heldForMs: null } });
  expect(topics["mesh/coordinator"]).toBe("");
  expect(topics).not.toHaveProperty("mesh/address");
  expect(topics).not.toHaveProperty("mesh/address/holder");
});

test("a name that no level of a topic can hold is made one that it can, and two of one name are told apart by id", () => {
  const topics = topicsOf({
    coordinator: C,
    members: [member(A, "attic/#1\u0007"), member(B, "pi"), member(C, "pi")],
  });
  expect(topics).toHaveProperty("mesh/node/attic__1_/state");
  expect(topics).toHaveProperty(`mesh/node/pi-${B}/state`);
  expect(topics["mesh/coordinator"]).toBe(`pi-${C}`);
});
