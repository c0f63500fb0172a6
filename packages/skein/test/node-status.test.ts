import { readFileSync } from "node:fs";
import type { CoordinatorStatus, ElectionWait } from "@skein/coordinator";
import type { ClusterId, Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { expect, test } from "vitest";
import { nodeStatus, type StatusInputs } from "../src/node-status.ts";
import type { NodeReport } from "../src/reports/node-report.ts";
import { Since } from "../src/status/since.ts";
import { formatStatus } from "../src/status/status-page.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;
const C = "cccccccccccccccc" as NodeId;
const CLUSTER = "11111111-2222-4333-8444-555555555555" as ClusterId;

const REPORT: NodeReport = {
  version: "0.1.0",
  wallMs: 1_800_000_000_000,
  memoryBytes: 61e6,
  messagesPerSecond: 42,
  addressProblem: "",
  lags: {},
  returned: {},
  isDiverged: false,
  isAnnounced: true,
  takeovers: [],
};

function member(id: NodeId, name: string, changes: Partial<Member> = {}): Member {
  const facts = { cluster: CLUSTER, role: "voter", clients: 2, incarnation: 1 as Incarnation } as const;
  const link = {
    address: `${name}:7883`,
    isLinked: true,
    isRelayed: false,
    linkedAt: undefined,
    relay: undefined,
    rttMs: 0.5,
  };
  const process = { uptimeMs: 60_000, protocolVersion: 2 };
  return {
    ...factsOfNewcomer(name),
    id,
    state: "alive",
    ...link,
    ...process,
    ...facts,
    ...changes,
  };
}

const COUNTERS: StatusInputs["counters"] = {
  links: {
    forwarded: 9,
    received: 8,
    duplicatesDropped: 0,
    qos0Dropped: 0,
    refused: 0,
    lateBarriers: 0,
    controlDropped: 0,
    unknownFrames: 0,
    relayed: 0,
  },
  store: {
    malformedFrames: 0,
    foreignFrames: 0,
    unknownFrames: 0,
    rejectedMessages: 0,
    malformedCommands: 0,
    droppedWrites: 0,
    refusedWrites: 1,
    uncertainReads: 0,
    lateBarriers: 0,
    passedByAllQueues: 0,
  },
};

function inputs(
  changes: Partial<StatusInputs> = {},
  coordinator: Partial<CoordinatorStatus> = {},
): StatusInputs {
  return {
    mesh: "home",
    node: A,
    name: "pi1",
    isServing: true,
    isStopping: false,
    hasParted: false,
    coordinator: {
      cluster: CLUSTER,
      coordinator: B,
      term: 7,
      role: "voter",
      hasQuorum: true,
      voters: [A, B, C],
      learners: [],
      logVersion: 4,
      pendingProposals: 0,
      quorumContactAt: undefined,
      leaseUntil: undefined,
      isSuspect: false,
      isDiverged: false,
      staysDiverged: false,
      isDiskFull: false,
      isDiskStalled: false,
      silentLeader: undefined,
      isDiskDying: false,
      electionWait: undefined,
      foreignCluster: undefined,
      merge: undefined,
      isOutranked: false,
      conflicts: 0,
      droppedConflicts: 0,
      ...coordinator,
    },
    now: 600_000 as MonotonicMs,
    members: [member(C, "pi3"), member(A, "pi1", { address: "", isLinked: false }), member(B, "pi2")],
    timing: "lan",
    lags: new Map(),
    heardAt: () => 559_000 as MonotonicMs,
    floatingAddress: undefined,
    clients: 5,
    retained: 214,
    ownReport: REPORT,
    reportOf: () => ({ ...REPORT, clockOffsetMs: 20, receivedAt: 0 }),
    since: new Since(),
    changes: [],
    fullQueues: [],
    counters: COUNTERS,
    ...changes,
  };
}

test("a complete mesh is healthy and lists every node, itself included, by name", () => {
  const { ifFails, members, ...status } = nodeStatus(inputs());
  expect(status).toEqual({
    mesh: "home",
    cluster: CLUSTER,
    node: A,
    name: "pi1",
    version: "0.1.0",
    coordinator: B,
    coordinatorForMs: null,
    term: 7,
    quorum: true,
    waitsFor: [],
    merge: null,
    logVersion: 4,
    conflicts: 0,
    droppedConflicts: 0,
    health: "healthy",
    headline: "Any one node may fail.",
    reasons: [],
    notes: [],
    vip: { address: null, holder: null, heldForMs: null },
    clients: 5,
    retained: 214,
    isInSync: true,
    fullQueues: [],
    counters: COUNTERS,
  });
  expect(members.map(({ id, name, role, clients }) => ({ id, name, role, clients }))).toEqual([
    { id: A, name: "pi1", role: "voter", clients: 5 },
    { id: B, name: "pi2", role: "leader", clients: 2 },
    { id: C, name: "pi3", role: "voter", clients: 2 },
  ]);
  expect(ifFails.map(({ name }) => name)).toEqual(["pi1", "pi2", "pi3"]);
});

/** `members[].name string`, for every field of the document. */
function shapeOf(value: unknown, path: string): readonly string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => shapeOf(item, `${path}[]`)))];
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([key, item]) => shapeOf(item, path === "" ? key : `${path}.${key}`));
}

test("docs/reference/status.md names every field of the document and no other", () => {
  const page = readFileSync(new URL("../../../docs/reference/status.md", import.meta.url), "utf8");
  const documented = [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, path]) => path ?? "");
  const voters = [{ id: C, name: "pi3", isLinked: false, lostAt: undefined }];
  const merge = { kind: "comparing", other: "other" as ClusterId } as const;
  const down = nodeStatus(inputs({ isServing: false }, { electionWait: { isSuspect: true, voters }, merge }));
  const noted = nodeStatus(
    inputs(
      {
        changes: [{ subject: "flapping lamp", text: "One client id twice.", isAlarm: true }],
        fullQueues: [{ clientId: "orphan", passed: 1, forMs: 5000, queued: 10_000, isConnected: false }],
        reportOf: () => ({ ...REPORT, version: "0.2.0", clockOffsetMs: 1, receivedAt: 0 }),
      },
      { merge },
    ),
  );
  const shape = new Set([...shapeOf(down, ""), ...shapeOf(noted, "")]);
  expect([...shape].sort()).toEqual([...documented].sort());
});

test("how long the coordinator and the holder have been the same is counted from when this node saw them", () => {
  const since = new Since();
  const view = { self: A, members: [], hasAddress: true, configured: [], hasQuorum: true };
  since.observe({ ...view, coordinator: B, holder: undefined }, 1000 as MonotonicMs);
  since.observe({ ...view, coordinator: B, holder: B }, 2000 as MonotonicMs);
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem: undefined, warnings: [] };
  const members = [member(A, "pi1"), member(B, "pi2", { holdsAddress: true })];
  const status = nodeStatus(inputs({ since, floatingAddress, members }));
  expect(status.coordinatorForMs).toBe(599_000);
  expect(status.vip).toEqual({ address: "192.168.1.250", holder: B, heldForMs: 598_000 });
});

test("what the others report is shown; nothing of a node that is gone", () => {
  const members = [member(A, "pi1"), member(B, "pi2"), member(C, "pi3", { state: "dead" })];
  const [own, other, gone] = nodeStatus(inputs({ members })).members;
  expect(own).toMatchObject({ memoryBytes: 61e6, messagesPerSecond: 42, clockOffsetMs: 0, lagEntries: 0 });
  expect(other).toMatchObject({
    version: "0.1.0",
    clockOffsetMs: 20,
    lagEntries: 0,
    rttMs: 0.5,
    unheardMs: null,
  });
  expect(gone).toMatchObject({ version: null, memoryBytes: null, lagEntries: null, unheardMs: 41_000 });
});

test("a replica that lags is said, by the coordinator itself and by who hears it from it", () => {
  const lagging = { ...REPORT, lags: { [C]: 5000 }, clockOffsetMs: 0, receivedAt: 0 };
  const heard = nodeStatus(inputs({ reportOf: () => lagging }));
  expect(heard).toMatchObject({ isInSync: false, members: [{}, {}, { lagEntries: 5000 }] });
  const lags = new Map([[C, 5000]]);
  const own = nodeStatus(inputs({ lags, reportOf: () => undefined }, { coordinator: A, role: "leader" }));
  expect(own.members[2]?.lagEntries).toBe(5000);
});

test("each node's copy is in sync, so many entries behind, different, or unknown; the first line never says more", () => {
  const cellsOf = (changes: Partial<NodeReport>, of: Partial<NodeReport> = {}) => {
    const reportOf = (id: NodeId) => ({
      ...REPORT,
      ...(id === B ? changes : {}),
      ...(id === C ? of : {}),
      clockOffsetMs: 0,
      receivedAt: 0,
    });
    const status = nodeStatus(inputs({ reportOf }));
    const line = formatStatus(status)
      .split("\n")
      .find((row) => row.startsWith("  pi3"));
    return { line, isInSync: status.isInSync, notes: status.notes };
  };
  expect(cellsOf({})).toMatchObject({ isInSync: true, line: expect.stringContaining("  in sync  ") });
  expect(cellsOf({ lags: { [C]: 1 } }).line).toContain("  1 entry behind  ");
  expect(cellsOf({ lags: { [C]: 5000 } })).toMatchObject({
    isInSync: false,
    line: expect.stringContaining("  5000 entries behind  "),
  });
  expect(cellsOf({ lags: undefined }).line).not.toMatch(/sync|behind/);
  expect(cellsOf({}, { isDiverged: true })).toMatchObject({
    isInSync: false,
    line: expect.stringContaining("  data differs  "),
    notes: [expect.stringContaining("The data of pi3 differs from the others")],
  });
});

test("a relayed pair, a clock that is off and another version are noted without degrading the mesh", () => {
  const members = [member(A, "pi1"), member(B, "pi2", { isRelayed: true, relay: C }), member(C, "pi3")];
  const report = {
    ...REPORT,
    version: "0.2.0",
    clockOffsetMs: -3 * 86_400_000,
    receivedAt: 0,
    addressProblem: "No permission.",
  };
  const reportOf = (id: NodeId) => (id === B ? report : undefined);
  const status = nodeStatus(inputs({ members, reportOf }));
  expect(status.health).toBe("healthy");
  expect(status.notes).toEqual([
    "The clock of pi2 is 3 days behind that of this node: not a problem for the mesh; TLS clients may refuse. On pi2: timedatectl set-ntp true",
    "This node cannot reach pi2 directly; pi3 passes everything on. Is there a firewall, or client isolation on the Wi-Fi?",
    "pi2 runs Skein 0.2.0, this node 0.1.0.",
    "pi2: No permission.",
  ]);
  expect(status.members.find(({ id }) => id === B)).toMatchObject({ isRelayed: true, relay: C });
  expect(formatStatus(status)).toMatch(/pi2 .*relayed by pi3/);
});

test("a node beyond the 32nd says that it has no replica, what that costs and what helps; the others list it so", () => {
  const ids = Array.from({ length: 32 }, (_, at) => (at + 256).toString(16).padStart(16, "0") as NodeId);
  const replicas = ids.map((id, at) => member(id, `pi${at + 1}`));
  const late = member(A, "late", { cluster: undefined, role: "learner" });
  const fresh = {
    cluster: undefined,
    coordinator: undefined,
    hasQuorum: false,
    role: "learner",
    voters: [],
  } as const;
  const own = nodeStatus(inputs({ members: [late, ...replicas] }, fresh));
  expect(own.health).toBe("degraded");
  expect(own.reasons).toEqual([
    "This node has no replica, because the mesh has 32 already: its clients get all live messages, but none of the mesh's retained ones, and it cannot vote or coordinate. To give it one, take another node out: skein leave",
  ]);
  // With a place left it is only joining.
  expect(nodeStatus(inputs({ members: [late, ...replicas.slice(1)] }, fresh)).reasons).toEqual([]);

  const [self = A] = ids;
  const other = nodeStatus(inputs({ node: self, members: [late, ...replicas] }, { voters: ids }));
  expect(other.health).toBe("healthy");
  expect(other.members.filter(({ hasReplica }) => !hasReplica).map(({ name }) => name)).toEqual(["late"]);
  expect(formatStatus(other)).toMatch(/^ {2}late +no replica/m);
});

test("a mesh that was founded anew by its last survivor says so, with the cluster that it came from", () => {
  const status = nodeStatus(inputs({}, { forkOf: "the old one" as ClusterId }));
  expect(status.health).toBe("healthy");
  expect(status.notes).toEqual([
    "This node founded the mesh anew when its last voters were forgotten (a fork of cluster the old one). An old voter that comes back after all is merged with it; what then differs is in: skein conflicts",
  ]);
});

test("a node that is alone is healthy", () => {
  const alone = inputs({ members: [member(A, "pi1")] }, { coordinator: A, role: "leader", voters: [A] });
  expect(nodeStatus(alone)).toMatchObject({ health: "healthy", reasons: [], coordinator: A });
});

test.each(["dead", "suspect"] as const)("a %s member degrades the mesh and is named", (state) => {
  const status = nodeStatus(inputs({ members: [member(A, "pi1"), member(C, "pi3", { state })] }));
  expect(status.health).toBe("degraded");
  expect(status.reasons).toEqual([expect.stringContaining("pi3")]);
});

test("a member that left in order does not degrade the mesh", () => {
  const status = nodeStatus(inputs({ members: [member(A, "pi1"), member(C, "pi3", { state: "left" })] }));
  expect(status).toMatchObject({ health: "healthy", reasons: [] });
});

test("without a quorum the mesh is degraded, and the address has no known holder", () => {
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem: undefined, warnings: [] };
  const status = nodeStatus(inputs({ floatingAddress }, { hasQuorum: false, coordinator: B }));
  expect(status).toMatchObject({ health: "degraded", quorum: false, coordinator: null });
  expect(status.reasons).toEqual([
    expect.stringContaining("No coordinator"),
    "No node holds the floating address 192.168.1.250.",
  ]);
  expect(status.vip).toEqual({ address: "192.168.1.250", holder: null, heldForMs: null });
});

test("an election that waits for every voter names the one that is missing, as text and as data, and what helps", () => {
  const away = { id: C, name: "pi3", isLinked: false };
  const wait = (...voters: ElectionWait["voters"]) => {
    return { hasQuorum: false, coordinator: undefined, electionWait: { isSuspect: true, voters } };
  };
  const status = nodeStatus(inputs({}, wait({ ...away, lostAt: (600_000 - 185_000) as MonotonicMs })));
  expect(status).toMatchObject({ health: "degraded", waitsFor: [{ id: C, name: "pi3" }] });
  expect(status.reasons).toEqual([
    "No coordinator: this node lost power (or a part of its data) and waits for pi3 (last seen 3 min ago), because it may hold acknowledged messages. " +
      "Switch pi3 on, on this network. Until then what is new is safe on one node only. If it will never come back: skein forget pi3",
  ]);
  expect(formatStatus(status)).toContain("DEGRADED: No coordinator: this node lost power");
  const both = wait(
    { ...away, lostAt: undefined },
    { ...away, id: B, name: undefined, lostAt: (600_000 - 7_300_000) as MonotonicMs },
  );
  expect(nodeStatus(inputs({}, both)).reasons).toEqual([
    expect.stringContaining(
      `waits for pi3 (not seen since this node started) and node ${B} (last seen 2 h ago), because they may hold`,
    ),
  ]);
});

test("two clusters of one mesh, or an address that cannot be set, are said", () => {
  const problem = "No permission to set addresses (CAP_NET_ADMIN).";
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem, warnings: [] };
  const status = nodeStatus(inputs({ floatingAddress }, { foreignCluster: "other" as ClusterId }));
  expect(status.health).toBe("degraded");
  expect(status.reasons).toEqual([expect.stringContaining("Another cluster (other)"), problem]);
});

test.each([
  [{ kind: "awaitingApproval", other: "other" as ClusterId }, "skein merge --approve"],
  [{ kind: "joining", other: "other" as ClusterId }, "nothing is lost"],
  [{ kind: "taking", other: "other" as ClusterId, topics: 7 }, "7 topics so far"],
  [{ kind: "tooMuch", other: "other" as ClusterId }, "delete retained messages"],
  [{ kind: "tooNew", other: "other" as ClusterId }, "update the nodes of this side"],
  [{ kind: "comparing", other: "other" as ClusterId }, "about to merge"],
] as const)("a merge that is %o is a reason, with what to do", (merge, sentence) => {
  const status = nodeStatus(inputs({}, { merge, conflicts: 3 }));
  expect(status.reasons).toEqual([expect.stringContaining(sentence)]);
  expect(status.merge).toMatchObject({ other: "other", state: merge.kind });
  expect(status.conflicts).toBe(3);
});

test("a replica that differs says so, and what to do if it does not get right by itself", () => {
  expect(nodeStatus(inputs({}, { isDiverged: true })).reasons).toEqual([
    expect.stringContaining("until it has taken over the coordinator's"),
  ]);
  const stays = nodeStatus(inputs({}, { isDiverged: true, staysDiverged: true }));
  expect(stays.health).toBe("degraded");
  expect(stays.reasons).toEqual([expect.stringContaining('remove the folder "journal"')]);
});

test.each([
  ["voter", "another node should vote in its place"],
  ["learner", "it does not vote"],
] as const)("a %s whose disk is dying says so, and what to do", (role, part) => {
  const status = nodeStatus(inputs({}, { role, isDiskDying: true }));
  expect(status.health).toBe("degraded");
  expect(status.reasons).toEqual([expect.stringContaining(part)]);
  expect(status.reasons[0]).toContain("Replace the disk");
});

test("a full disk is said, with what goes on and what helps", () => {
  const status = nodeStatus(inputs({}, { isDiskFull: true }));
  expect(status.health).toBe("degraded");
  expect(status.reasons).toEqual([expect.stringContaining("Free space; the node goes on by itself")]);
});

test("the holder is the node that says so of itself, if it is alive; of two the coordinator", () => {
  const held = { address: "192.168.1.250", isHeld: true, problem: undefined, warnings: [] };
  expect(nodeStatus(inputs({ floatingAddress: held })).vip.holder).toBe(A);
  const floatingAddress = { ...held, isHeld: false };
  const holders = (...holdsAddress: (readonly [NodeId, Member["state"]])[]): string | null => {
    const members = holdsAddress.map(([id, state]) => member(id, id, { state, holdsAddress: true }));
    return nodeStatus(inputs({ floatingAddress, members: [member(A, "pi1"), ...members] })).vip.holder;
  };
  expect(holders([C, "alive"])).toBe(C);
  expect(holders([C, "alive"], [B, "alive"])).toBe(B);
  expect(holders([B, "dead"])).toBeNull();
});

test("a coordinator that cannot take the address is not taken for its holder", () => {
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem: undefined, warnings: [] };
  const status = nodeStatus(inputs({ floatingAddress }));
  expect(status).toMatchObject({ health: "degraded", coordinator: B, vip: { holder: null } });
});

test("a dead former leader is shown as the voter it is now", () => {
  const dead = member(C, "pi3", { state: "dead", role: "leader" });
  const status = nodeStatus(inputs({ members: [member(A, "pi1"), member(B, "pi2"), dead] }));
  expect(status.members.find(({ id }) => id === C)?.role).toBe("voter");
  expect(status.members.filter(({ role }) => role === "leader").map(({ id }) => id)).toEqual([B]);
});

test("a node that is in no configuration any more, or in another cluster's, does not vote here", () => {
  const stranger = "dddddddddddddddd" as NodeId;
  const left = member(stranger, "pi4", { state: "left", role: "leader" });
  const members = [member(A, "pi1"), member(B, "pi2"), left];
  const roleOf = (status: ReturnType<typeof nodeStatus>) =>
    status.members.find(({ id }) => id === stranger)?.role;
  expect(roleOf(nodeStatus(inputs({ members })))).toBe("learner");
  // A node without a log knows nothing better.
  expect(roleOf(nodeStatus(inputs({ members }, { voters: [], coordinator: undefined })))).toBe("voter");
});

test.each([
  ["alive", 2],
  ["suspect", 2],
  ["dead", 0],
  ["left", 0],
] as const)("a member that had 2 clients and is %s has %i", (state, clients) => {
  const status = nodeStatus(inputs({ members: [member(A, "pi1"), member(C, "pi3", { state })] }));
  expect(status.members.find(({ id }) => id === C)?.clients).toBe(clients);
});

test("a node that starts or stops is down and says why", () => {
  expect(nodeStatus(inputs({ isServing: false }))).toMatchObject({
    health: "down",
    reasons: [expect.stringContaining("starting")],
  });
  expect(nodeStatus(inputs({ isServing: false, isStopping: true }))).toMatchObject({
    health: "down",
    reasons: ["The node is stopping."],
  });
  expect(nodeStatus(inputs({ isServing: false, hasParted: true }))).toMatchObject({
    health: "down",
    reasons: ["The node is leaving the mesh; its clients have been sent to the others."],
  });
});

test("the status page shows mesh, health, address, every member, and what one more failure would do", () => {
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem: undefined, warnings: [] };
  const members = [
    member(A, "pi1", { address: "", rttMs: undefined, isWired: true }),
    member(B, "pi2", { holdsAddress: true, isWired: true }),
    member(C, "pi3", { state: "dead", isWired: false }),
  ];
  const page = formatStatus(nodeStatus(inputs({ floatingAddress, members })));
  expect(page.split("\n")).toEqual([
    "MESH home   degraded   2/3 nodes   VIP 192.168.1.250 on pi2   clients 7   retained 214 (in sync)",
    "  DEGRADED: pi3 unreachable for 41 s. Clients work. A further failure would stop fail-over.",
    "  pi1  voter        this node  wired  5 clients  42 msg/s  61 MB                 in sync",
    "  pi2  coordinator  pi2        wired  2 clients  42 msg/s  61 MB  clock +0.02 s  in sync  rtt 0.5 ms",
    "  pi3  dead         pi3        Wi-Fi                                                      last seen 41 s ago",
    "  If one fails now:",
    "    pi1  pi2 goes on serving, holds the address without a quorum, what is new is safe on one node only (if pi1 is gone for good: skein forget pi1)",
    "    pi2  pi1 goes on serving, holds the address without a quorum, what is new is safe on one node only (if pi2 is gone for good: skein forget pi2)",
  ]);
});
