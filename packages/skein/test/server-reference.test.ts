import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { serverReference } from "../src/balancing/server-reference.ts";

const id = (at: number): NodeId => at.toString(16).padStart(16, "0") as NodeId;
const SELF = id(0);
const member = (at: number, changes: Partial<Parameters<typeof serverReference>[0][number]> = {}) => ({
  id: id(at),
  state: "alive" as const,
  isLinked: true,
  clients: at,
  address: `192.0.2.${at}:7883`,
  mqttPort: 1883,
  ...changes,
});

test("clients are sent to the nodes with the fewest clients, three at most, by the address and port that other machines reach", () => {
  const members = [
    member(0, { address: "" }),
    member(1, { clients: 30 }),
    member(2, { clients: 10, address: "[fd00::2]:7883", mqttPort: 1884 }),
    member(3, { clients: 20 }),
    member(4, { clients: 40 }),
  ];
  expect(serverReference(members, SELF)).toBe("[fd00::2]:1884 192.0.2.3:1883 192.0.2.1:1883");
});

test("nodes that are gone, not linked, or only there for their own machine are not named", () => {
  const members = [
    member(0),
    member(1, { state: "dead" }),
    member(2, { state: "suspect" }),
    member(3, { isLinked: false }),
    member(4, { mqttPort: 0 }),
  ];
  expect(serverReference(members, SELF)).toBeUndefined();
});
