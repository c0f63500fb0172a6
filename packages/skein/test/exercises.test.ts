import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { DrillRecord } from "../src/exercises/drill-report.ts";
import type { Look } from "../src/exercises/mesh-watch.ts";
import { MoveRecord, moveSentence } from "../src/exercises/move-report.ts";
import { type NodeAnswer, type NodeRequest, NodeRequests } from "../src/exercises/node-requests.ts";
import { drillRefusal, moveRefusal } from "../src/exercises/refusals.ts";
import type { MemberStatus, NodeStatus } from "../src/node-status.ts";

const [PI1, PI2, PI3] = ["00000000000000a1", "00000000000000a2", "00000000000000a3"] as const;

function member(id: string, changes: Partial<MemberStatus> = {}): MemberStatus {
  return {
    id,
    name: `pi${id.at(-1)}`,
    state: "alive",
    role: "voter",
    clients: 0,
    address: "192.0.2.1:7883",
    ...changes,
  } as MemberStatus;
}

function status(changes: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node: PI1,
    name: "pi1",
    coordinator: PI2,
    quorum: true,
    vip: { address: "192.168.1.250", holder: PI2, heldForMs: 1 },
    members: [member(PI1), member(PI2, { role: "leader" }), member(PI3)],
    retained: 214,
    health: "healthy",
    reasons: [],
    ...changes,
  } as NodeStatus;
}

function look(
  at: number,
  clients: number,
  changes: Partial<NodeStatus> = {},
  answered = [PI1, PI2, PI3] as readonly string[],
): Look {
  return { at, status: status(changes), clients, answered };
}

const heldBy = (holder: string | null) => ({ vip: { address: "192.168.1.250", holder, heldForMs: 1 } });

test("an address can be moved in a mesh of two with a coordinator that holds it", () => {
  expect(moveRefusal(status())).toBeUndefined();
  expect(moveRefusal(status({ members: [member(PI1), member(PI2)] }))).toBeUndefined();
});

test.each<[string, Partial<NodeStatus>, RegExp]>([
  [
    "without an address",
    { vip: { address: null, holder: null, heldForMs: null } },
    /no floating address to move.*--vip/,
  ],
  ["with one node", { members: [member(PI1)] }, /only node that is up.*skein up/],
  [
    "with the others dead",
    { members: [member(PI1), member(PI2, { state: "dead" })] },
    /only node that is up/,
  ],
  ["without a coordinator", { coordinator: null, quorum: false }, /no coordinator now.*skein status/],
  ["while nobody holds the address", heldBy(null), /No node holds the address 192\.168\.1\.250 now/],
])("test-failover says in one sentence that nothing can be moved %s", (_, changes, sentence) => {
  expect(moveRefusal(status(changes))).toMatch(sentence);
});

test("a drill of a node that the mesh can spare is allowed: one of three, one of two, a learner", () => {
  expect(drillRefusal(status(), PI2, "kill", false)).toBeUndefined();
  const two = [member(PI1, { role: "learner" }), member(PI2, { role: "leader" })];
  expect(drillRefusal(status({ members: two }), PI2, "kill", false)).toBeUndefined();
  const learner = [
    ...status().members.slice(0, 2),
    member(PI3, { state: "dead" }),
    member("00000000000000a4", { role: "learner" }),
  ];
  expect(drillRefusal(status({ members: learner }), "00000000000000a4", "pause", false)).toBeUndefined();
});

test("a drill that would stop the mesh is refused, and done when it is forced", () => {
  const members = [member(PI1), member(PI2, { role: "leader" }), member(PI3, { state: "dead" })];
  const refusal = drillRefusal(status({ members }), PI2, "kill", false);
  expect(refusal).toBe(
    "A kill of pi2 would stop the mesh: only pi1 would be left, and that is no majority of its 3 voters. Bring the others back first, or add --force",
  );
  expect(drillRefusal(status({ members }), PI2, "kill", true)).toBeUndefined();
});

test("a drill of a node that is unknown, down already, or the one that watches is refused, forced or not", () => {
  expect(drillRefusal(status(), "00000000000000ff", "kill", true)).toMatch(/no node 00000000000000ff/);
  expect(drillRefusal(status(), PI1, "kill", true)).toMatch(/nobody would be left to watch.*another node/);
  const members = [member(PI1), member(PI2), member(PI3, { state: "dead" })];
  expect(drillRefusal(status({ members }), PI3, "kill", true)).toMatch(/pi3 is dead already/);
});

test("test-failover measures the address and the clients, and says it in the line people know", () => {
  const record = new MoveRecord(look(0, 31), 31);
  expect(record.seen(look(50, 31))).toBe(false);
  expect(record.progress).toBe("0.1 s: address nowhere yet, 0/31 clients back");
  expect(record.seen(look(100, 0, heldBy(null)))).toBe(false);
  expect(record.seen(look(300, 0, heldBy(PI1)))).toBe(false);
  expect(record.seen(look(2000, 12, heldBy(PI1)))).toBe(false);
  expect(record.progress).toBe("2.0 s: address on pi1, 12/31 clients back");
  expect(record.seen(look(5100, 31, heldBy(PI1)))).toBe(true);
  expect(moveSentence(record.report)).toBe(
    "moving VIP pi2 -> pi1 ... VIP up 0.3 s, ARP announced, 31 connections reset, 31/31 clients back after 5.1 s, 0 retained lost",
  );
  expect(record.report).toMatchObject({ isWell: true, problem: null, clientsMs: 5100, addressMs: 300 });
});

test("test-failover fails when the address does not come up, clients stay away or retained messages are missing", () => {
  const noAddress = new MoveRecord(look(0, 5), 5);
  noAddress.seen(look(30_000, 0, heldBy(null)));
  expect(noAddress.report).toMatchObject({
    isWell: false,
    to: null,
    problem: expect.stringMatching(/No other node took 192\.168\.1\.250/),
  });
  expect(moveSentence(noAddress.report)).toMatch(/the address did not come up$/);
  const noClients = new MoveRecord(look(0, 5), 5);
  noClients.seen(look(300, 0, heldBy(PI1)));
  noClients.seen(look(30_000, 4, heldBy(PI1)));
  expect(noClients.report).toMatchObject({
    isWell: false,
    problem: expect.stringMatching(/Only 4 of 5 clients/),
  });
  const lost = new MoveRecord(look(0, 5), 5);
  lost.seen(look(300, 5, { ...heldBy(PI1), retained: 210 }));
  expect(lost.report).toMatchObject({ isWell: false, retainedLost: 4 });
});

test("a drill's timeline tells what changed and when, and its verdict what came back", () => {
  const record = new DrillRecord(look(0, 10), PI2, "pause");
  expect(record.seen(look(100, 10))).toEqual([]);
  const away = [PI1, PI3];
  const dead = [member(PI1), member(PI2, { state: "suspect", role: "leader" }), member(PI3)];
  record.seen(look(900, 0, {}, away));
  record.seen(look(3400, 0, { members: dead, coordinator: PI1, ...heldBy(PI1) }, away));
  record.seen(look(4000, 10, { members: dead, coordinator: PI1, ...heldBy(PI1) }, away));
  expect(record.isOver).toBe(false);
  record.seen(look(30_500, 10, { coordinator: PI1, ...heldBy(PI1) }));
  expect(record.isOver).toBe(true);
  expect(record.report.timeline.map(({ atMs, text }) => `${atMs} ${text}`)).toEqual([
    "900 pi2 does not answer",
    "900 clients of the address: 0",
    "3400 pi2 is seen as suspect",
    "3400 coordinator: pi1",
    "3400 address: pi1",
    "4000 clients of the address: 10",
    "30500 pi2 answers again",
    "30500 pi2 is seen as alive",
  ]);
  expect(record.report.verdict).toBe(
    "Well: address back after 3.4 s, clients back after 4.0 s, 0 retained lost.",
  );
});

test.each<[string, Look, RegExp]>([
  ["did not fail", look(60_000, 10), /did not fail/],
  ["did not come back", look(60_000, 10, {}, [PI1, PI3]), /has not come back.*supervisor/],
])("a drill whose node %s is no success", (_, last, verdict) => {
  const record = new DrillRecord(look(0, 10), PI2, "kill");
  record.seen(last);
  expect(record.isOver).toBe(false);
  expect(record.report).toMatchObject({ isWell: false, verdict: expect.stringMatching(verdict) });
});

test.each<[string, number, Partial<NodeStatus>, RegExp]>([
  ["nobody holds the address", 10, heldBy(null), /No node holds the address/],
  ["there is no coordinator", 10, { coordinator: null }, /no coordinator/],
  ["clients are missing", 9, {}, /Only 9 of 10 clients/],
  ["retained messages are missing", 10, { retained: 213 }, /1 retained messages are missing/],
])("a drill after which %s is no success", (_, clients, changes, verdict) => {
  const record = new DrillRecord(look(0, 10), PI2, "kill");
  record.seen(look(1000, 0, {}, [PI1, PI3]));
  record.seen(look(60_000, clients, changes));
  expect(record.report).toMatchObject({ isWell: false, verdict: expect.stringMatching(verdict) });
});

/** Two nodes whose frames reach each other while `isLinked`. */
function pair(answer: (request: NodeRequest) => NodeAnswer) {
  const timers: { run: () => void; isCancelled: boolean }[] = [];
  const clock = {
    after: (_: number, run: () => void) => {
      const timer = { run, isCancelled: false };
      timers.push(timer);
      return {
        cancel: () => {
          timer.isCancelled = true;
        },
      };
    },
  };
  const link = { isUp: true };
  const asks: NodeRequests = new NodeRequests({
    self: () => PI1 as NodeId,
    clock,
    send: (_, bytes) => link.isUp && answers.receive(PI1 as NodeId, bytes),
    answer,
  });
  const answers: NodeRequests = new NodeRequests({
    self: () => PI2 as NodeId,
    clock,
    send: (_, bytes) => link.isUp && asks.receive(PI2 as NodeId, bytes),
    answer,
  });
  const expire = (): void => {
    for (const timer of timers) if (!timer.isCancelled) timer.run();
  };
  return { asks, answers, link, expire };
}

test("a node asks another one, or itself, and hears the number or the refusal", async () => {
  const { asks } = pair((request) => {
    if (request.kind === "addressClients") return { count: 31 };
    return { error: `no ${request.kind === "drill" ? `${request.drill} ${request.forMs}` : request.kind}` };
  });
  expect(await asks.ask(PI2 as NodeId, { kind: "addressClients" }, 1000)).toBe(31);
  expect(await asks.ask(PI1 as NodeId, { kind: "addressClients" }, 1000)).toBe(31);
  await expect(asks.ask(PI2 as NodeId, { kind: "moveAddress" }, 1000)).rejects.toMatchObject({
    code: "ERR_SKEIN_REFUSED",
    message: "no moveAddress",
  });
  await expect(
    asks.ask(PI2 as NodeId, { kind: "drill", drill: "pause", forMs: 5 }, 1000),
  ).rejects.toMatchObject({
    message: "no pause 5",
  });
});

test("a node that does not answer, or not so that it can be understood, is a refusal and not a wait", async () => {
  const { asks, answers, link, expire } = pair(() => ({ count: 1 }));
  link.isUp = false;
  const silent = asks.ask(PI2 as NodeId, { kind: "addressClients" }, 1000);
  expire();
  await expect(silent).rejects.toMatchObject({ message: "The node does not answer." });
  const text = (frame: unknown): Uint8Array =>
    Uint8Array.of(66, ...new TextEncoder().encode(JSON.stringify(frame)));
  for (const bytes of [
    text({}),
    text(null),
    text({ number: 1 }),
    text({ number: 99, answer: 3 }),
    Uint8Array.of(66, 0xff),
  ])
    expect(() => answers.receive(PI1 as NodeId, bytes)).not.toThrow();
  const seen: Uint8Array[] = [];
  const newer = new NodeRequests({
    self: () => PI2 as NodeId,
    clock: { after: () => ({ cancel: () => {} }) },
    send: (_, bytes) => void seen.push(bytes),
    answer: () => ({ count: 1 }),
  });
  newer.receive(PI1 as NodeId, text({ number: 7, request: { kind: "fly" } }));
  expect(new TextDecoder().decode(seen[0]?.subarray(1))).toContain("cannot do this");
});
