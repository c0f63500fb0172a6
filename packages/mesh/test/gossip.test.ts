/** What a digest is answered with. */

import { ByteWriter, type ClusterId, type Incarnation, type NodeId, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import type { InterestExchange } from "../src/interest/interest-exchange.ts";
import type { Link } from "../src/link/link.ts";
import { decodeMembers, encodeMembers } from "../src/member-codec.ts";
import { Gossip } from "../src/membership/gossip.ts";
import { Membership } from "../src/membership/membership.ts";
import type { MemberRow } from "../src/messages.ts";
import type { Peer } from "../src/peer.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;
const C = "cccccccccccccccc" as NodeId;

/** Node A, which knows B and C: B by its link, C by what B says. */
function nodeA() {
  const clock = new VirtualClock();
  const nothing = (): void => undefined;
  const membership = new Membership(
    { id: A, incarnation: 1 as Incarnation, name: "a", protocolVersion: 4 },
    clock.monotonicMs(),
    { stateChanged: nothing, restarted: nothing, rowsExpired: nothing, forgotten: nothing, changed: nothing },
  );
  const interest = { versionOf: () => 4, compare: nothing } as unknown as InterestExchange;
  const owner = { linkedPeers: () => [], addressLearnt: nothing };
  const gossip = new Gossip(owner, membership, interest, clock, seededPrng(1));
  const out = new ByteWriter(1024);
  const frames: MemberRow[][] = [];
  const link = {
    beginFrame: () => out.reset(),
    endFrame: () => void frames.push([...decodeMembers(out.finish().slice()).rows]),
  } as unknown as Link;
  const ask = (rows: readonly MemberRow[]): readonly MemberRow[] => {
    const body = encodedRows(rows);
    gossip.receive({ id: B } as Peer, link, body);
    return frames.pop() ?? [];
  };
  for (const row of [rowOf(B), rowOf(C)]) membership.gossip(row, row.node === B, clock.monotonicMs());
  return { clock, membership, ask };
}

function encodedRows(rows: readonly MemberRow[]): Uint8Array {
  const out = new ByteWriter(1024);
  encodeMembers({ wantsReply: true, rows }, out);
  return out.finish();
}

function rowOf(node: NodeId, changes: Partial<MemberRow> = {}): MemberRow {
  return {
    node,
    incarnation: 1 as Incarnation,
    hasLeft: false,
    heardAgoMs: 0,
    address: node === B ? "" : "10.0.0.3:7883",
    factsVersion: 3,
    name: node.slice(0, 1),
    cluster: "0123456789abcdef" as ClusterId,
    role: "voter",
    clients: 0,
    holdsAddress: false,
    machine: "",
    isWired: true,
    flushP99Ms: 2,
    mqttPort: 1883,
    httpPort: 0,
    uptimeMs: 1000,
    protocolVersion: 4,
    interestVersion: 4,
    ...changes,
  };
}

test("who knows all that this node knows is answered with this node's own row alone", () => {
  const { ask } = nodeA();
  expect(ask([rowOf(B), rowOf(C), rowOf(A)]).map(({ node }) => node)).toEqual([A]);
});

test.each([
  ["does not list the member", undefined],
  ["has older facts", { factsVersion: 2 }],
  ["has older interest rows", { interestVersion: 3 }],
  ["has it in an older incarnation", { incarnation: 0 as Incarnation, factsVersion: 9 }],
  ["has not heard it for 3 s longer", { heardAgoMs: 3000 }],
  ["reaches it elsewhere", { address: "10.0.0.9:7883" }],
])("a member's row is in the answer for one that %s", (_, changes) => {
  const { ask } = nodeA();
  const told = changes === undefined ? [rowOf(B)] : [rowOf(B), rowOf(C, changes)];
  expect(ask(told).map(({ node }) => node)).toContain(C);
});

test("what the one that asks knows better is not in the answer", () => {
  const { ask, membership } = nodeA();
  const told = [rowOf(B), rowOf(C, { factsVersion: 7, interestVersion: 9, clients: 5 })];
  expect(ask(told).map(({ node }) => node)).toEqual([A]);
  expect(membership.members.find(({ id }) => id === C)?.clients).toBe(5);
});

test("a node that has come back with an older program speaks that one's version, also for who hears of it from another node", () => {
  const { ask, membership } = nodeA();
  const versionOfC = () => membership.members.find(({ id }) => id === C)?.protocolVersion;
  expect(versionOfC()).toBe(4);
  ask([rowOf(B), rowOf(C, { incarnation: 2 as Incarnation, protocolVersion: 3 })]);
  expect(versionOfC()).toBe(3);
});
