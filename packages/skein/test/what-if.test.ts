import fc from "fast-check";
import { expect, test } from "vitest";
import { type WhatIfInput, type WhatIfNode, whatIf } from "../src/status/what-if.ts";

function node(name: string, changes: Partial<WhatIfNode> = {}): WhatIfNode {
  const state = { isAlive: true, isVoter: true, isUpToDate: true, canHoldAddress: true, clients: 0 };
  return { id: name, name, ...state, ...changes };
}

function ask(nodes: readonly WhatIfNode[], changes: Partial<WhatIfInput> = {}): Record<string, string> {
  const input = { coordinator: "pi1", hasQuorum: true, hasAddress: true, holder: "pi1", takeOverMs: 4000 };
  return Object.fromEntries(whatIf({ nodes, ...input, ...changes }).map(({ name, text }) => [name, text]));
}

const textOf = (name: string, nodes: readonly WhatIfNode[], changes: Partial<WhatIfInput> = {}): string =>
  ask(nodes, changes)[name] ?? "";

test("of three voters any one may go", () => {
  expect(ask([node("pi1", { clients: 31 }), node("pi2"), node("pi3", { clients: 1 })])).toEqual({
    pi1: "pi2 or pi3 takes the address in about 4 s, its 31 clients connect again; a further failure would stop fail-over",
    pi2: "nothing changes for clients; a further failure would stop fail-over",
    pi3: "its client connects again, nothing else changes; a further failure would stop fail-over",
  });
});

test("of two nodes one votes: without it the other serves on, without the other nothing changes", () => {
  expect(ask([node("pi1"), node("pi2", { isVoter: false })])).toEqual({
    pi1: "pi2 goes on serving, holds the address without a quorum, what is new is safe on one node only (if pi1 is gone for good: skein forget pi1)",
    pi2: "nothing changes for clients; a further failure would stop fail-over",
  });
});

test("a node that stands alone is told so", () => {
  expect(ask([node("pi1"), node("pi2", { isAlive: false, isVoter: false })])).toEqual({
    pi1: "it is the only node: nobody serves clients until it is back",
  });
});

test("the last complete copy is named", () => {
  const nodes = [node("pi1"), node("pi2", { isUpToDate: false }), node("pi3", { isUpToDate: false })];
  expect(ask(nodes)).toMatchObject({ pi1: expect.stringContaining("the only complete copy") });
  expect(textOf("pi2", nodes)).not.toContain("copy");
});

test("who cannot hold the address does not take it", () => {
  const without = { canHoldAddress: false };
  expect(textOf("pi1", [node("pi1"), node("pi2", without), node("pi3")])).toContain(
    "the address moves only if pi3 is elected",
  );
  expect(textOf("pi1", [node("pi1"), node("pi2", without), node("pi3", without)])).toContain(
    "no other node can hold the address",
  );
});

test("without an address the coordinator's successor is named; without a quorum nothing gets worse", () => {
  const three = [node("pi1"), node("pi2"), node("pi3")];
  expect(textOf("pi1", three, { hasAddress: false, holder: undefined })).toContain(
    "pi2 or pi3 coordinates after about 4 s",
  );
  const minority = [
    node("pi1"),
    node("pi2"),
    ...["pi3", "pi4", "pi5"].map((name) => node(name, { isAlive: false })),
  ];
  expect(textOf("pi1", minority, { hasQuorum: false, coordinator: undefined })).toBe(
    "pi2 goes on serving, holds the address without a quorum, still without a coordinator",
  );
});

const NAMES = ["pi1", "pi2", "pi3", "pi4", "pi5", "pi6", "pi7"];
const anyNode = fc.record({
  isAlive: fc.boolean(),
  isVoter: fc.boolean(),
  isUpToDate: fc.boolean(),
  canHoldAddress: fc.boolean(),
  clients: fc.nat(3),
});

test("a majority is counted as Raft counts it, and every sentence fits its facts", () => {
  fc.assert(
    fc.property(fc.array(anyNode, { minLength: 1, maxLength: 7 }), fc.boolean(), (states, hasAddress) => {
      const nodes = states.map((state, at) => node(NAMES[at] ?? "", state));
      const voters = nodes.filter(({ isVoter }) => isVoter);
      const isQuorum = (gone: readonly string[]): boolean =>
        2 * voters.filter(({ id, isAlive }) => isAlive && !gone.includes(id)).length > voters.length;
      const hasQuorum = isQuorum([]);
      const leader = hasQuorum ? voters.find(({ isAlive }) => isAlive)?.id : undefined;
      const holder = hasAddress ? leader : undefined;
      const answers = whatIf({ nodes, coordinator: leader, hasQuorum, hasAddress, holder, takeOverMs: 4000 });
      expect(answers.map(({ id }) => id)).toEqual(nodes.filter(({ isAlive }) => isAlive).map(({ id }) => id));
      for (const { id, quorum, address, successors, isLastSpare, isLastCopy, text } of answers) {
        expect(quorum).toBe(!hasQuorum ? "missing" : isQuorum([id]) ? "stays" : "lost");
        const others = nodes.filter((other) => other.isAlive && other.id !== id);
        const survives = others.every((other) => isQuorum([id, other.id]) || !other.isVoter);
        if (quorum === "stays") expect(isLastSpare).toBe(!survives);
        expect(isLastCopy).toBe(!others.some(({ isUpToDate }) => isUpToDate));
        expect(successors).not.toContain(nodes.find((one) => one.id === id)?.name);
        expect(address === "none").toBe(!hasAddress);
        if (address === "stays") expect(id).not.toBe(holder);
        if (address === "moves") expect(successors.length).toBeGreaterThan(0);
        expect(text).not.toMatch(/undefined|null| {2}/);
        if (quorum === "lost" && others.length > 0) expect(text).toContain("skein forget");
      }
    }),
  );
});
