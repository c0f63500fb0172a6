import type { CoordinatorStatus, ElectionWait } from "@skein/coordinator";
import type { ClusterId, Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { expect, test } from "vitest";
import { formatStatus } from "../src/cli/status.ts";
import { nodeStatus, type StatusInputs } from "../src/node-status.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;
const C = "cccccccccccccccc" as NodeId;
const CLUSTER = "11111111-2222-4333-8444-555555555555" as ClusterId;

function member(id: NodeId, name: string, changes: Partial<Member> = {}): Member {
  const facts = { cluster: CLUSTER, role: "voter", clients: 2, incarnation: 1 as Incarnation } as const;
  const link = { address: `${name}:7883`, isLinked: true, isRelayed: false, relay: undefined, rttMs: 0.5 };
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
    coordinator: {
      cluster: CLUSTER,
      coordinator: B,
      term: 7,
      role: "voter",
      hasQuorum: true,
      voters: [A, B, C],
      learners: [],
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
      ...coordinator,
    },
    now: 600_000 as MonotonicMs,
    members: [member(C, "pi3"), member(A, "pi1", { address: "", isLinked: false }), member(B, "pi2")],
    floatingAddress: undefined,
    clients: 5,
    retained: 214,
    ...changes,
  };
}

test("a complete mesh is healthy and lists every node, itself included, by name", () => {
  expect(nodeStatus(inputs())).toEqual({
    mesh: "home",
    cluster: CLUSTER,
    node: A,
    name: "pi1",
    coordinator: B,
    term: 7,
    quorum: true,
    waitsFor: [],
    merge: null,
    conflicts: 0,
    health: "healthy",
    reasons: [],
    vip: { address: null, holder: null },
    members: [
      { id: A, name: "pi1", state: "alive", role: "voter", clients: 5, address: "" },
      { id: B, name: "pi2", state: "alive", role: "leader", clients: 2, address: "pi2:7883" },
      { id: C, name: "pi3", state: "alive", role: "voter", clients: 2, address: "pi3:7883" },
    ],
    clients: 5,
    retained: 214,
  });
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
  const status = nodeStatus(inputs({ floatingAddress }, { hasQuorum: false, coordinator: undefined }));
  expect(status).toMatchObject({ health: "degraded", quorum: false, coordinator: null });
  expect(status.reasons).toEqual([
    expect.stringContaining("No coordinator"),
    "No node holds the floating address 192.168.1.250.",
  ]);
  expect(status.vip).toEqual({ address: "192.168.1.250", holder: null });
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
      "Switch pi3 on, on this network. Until then retained messages can be read but not written. If it will never come back: skein forget pi3",
  ]);
  expect(formatStatus(status)).toContain("  ! No coordinator: this node lost power");
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
});

test("the status page shows mesh, health, address, every reason and every member", () => {
  const floatingAddress = { address: "192.168.1.250", isHeld: false, problem: undefined, warnings: [] };
  const members = [
    member(A, "pi1", { address: "" }),
    member(B, "pi2", { holdsAddress: true }),
    member(C, "pi3", { state: "dead" }),
  ];
  const page = formatStatus(nodeStatus(inputs({ floatingAddress, members })));
  expect(page.split("\n")).toEqual([
    "MESH home   degraded   2/3 nodes   address 192.168.1.250 on pi2   clients 7   retained 214",
    "  ! pi3 is dead.",
    `  pi1  voter        alive  5 clients  this node  ${A}`,
    `  pi2  coordinator  alive  2 clients  pi2:7883   ${B}`,
    `  pi3  voter        dead   0 clients  pi3:7883   ${C}`,
  ]);
});
