import type { CoordinatorStatus } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { expect, test } from "vitest";
import { formatRoster } from "../src/cli/membership.ts";
import { rosterOf } from "../src/membership/roster.ts";

const [A, B, C, D, E] = ["a", "b", "c", "d", "e"].map((digit) => digit.repeat(16)) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

const member = (id: NodeId, changes: Partial<Member> = {}): Member => ({
  ...factsOfNewcomer(`pi-${id.slice(0, 1)}`),
  id,
  incarnation: 1 as Member["incarnation"],
  state: "alive",
  address: "",
  isLinked: true,
  isRelayed: false,
  linkedAt: undefined,
  relay: undefined,
  rttMs: 1,
  uptimeMs: 7_400_000,
  protocolVersion: 2,
  ...changes,
});

const status = (changes: Partial<CoordinatorStatus> = {}): CoordinatorStatus =>
  ({ coordinator: A, voters: [A, B, C], learners: [D], hasQuorum: true, ...changes }) as CoordinatorStatus;

test("members come from the log and their state from the mesh; who is gone comes with the command that helps", () => {
  const members = [
    member(A, { machine: "0011223344556677", isWired: true }),
    member(B, { state: "dead", isWired: false }),
    member(E),
    member("f".repeat(16) as NodeId, { state: "dead" }),
  ];
  const rows = rosterOf(A, status(), members, (id) => (id === D ? "pi-d" : undefined));
  expect(rows.map(({ name, role, state, next }) => [name, role, state, next])).toEqual([
    [`node ${C}`, "voter", "unseen", `if it never comes back: skein forget ${C}`],
    ["pi-a", "coordinator", "alive", null],
    ["pi-b", "voter", "dead", "if it never comes back: skein forget pi-b"],
    ["pi-d", "learner", "unseen", "if it never comes back: skein forget pi-d"],
    ["pi-e", "joining", "alive", null],
  ]);
  const text = formatRoster(rows);
  expect(text).toMatch(/pi-a +coordinator +alive +machine 1 +wired +up 2 h +this node +a{16}/);
  expect(text).toContain("! pi-b: if it never comes back: skein forget pi-b");
});

test("without a quorum a missing voter is what the mesh waits for; of two nodes with one name the id is given", () => {
  const members = [
    member(A),
    member(B, { state: "dead", name: "twin" }),
    member(C, { state: "dead", name: "twin" }),
  ];
  const rows = rosterOf(A, status({ hasQuorum: false, coordinator: undefined }), members, () => undefined);
  const next = (id: NodeId) => rows.find((row) => row.id === id)?.next;
  expect(next(B)).toBe(`the mesh waits for it; if it never comes back: skein forget ${B}`);
  expect(next(C)).toBe(`the mesh waits for it; if it never comes back: skein forget ${C}`);
  expect(next(D)).toBe(`if it never comes back: skein forget ${D}`);
});
