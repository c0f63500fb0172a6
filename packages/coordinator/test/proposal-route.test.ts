/** Who may put what into the log. */

import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import type { Identity } from "../src/options.ts";
import { ProposalRoute } from "../src/proposals/proposal-route.ts";
import type { Proposals } from "../src/proposals/proposals.ts";
import type { Driver } from "../src/replica/driver.ts";
import { encodeClusterCommand } from "../src/state-machine/cluster-commands.ts";
import { decodeCommand, encodeCommand, retainedOperation } from "../src/state-machine/commands.ts";
import { NEWEST_LOG_VERSION } from "../src/state-machine/log-version.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { retained } from "./support/world.ts";

const SELF = "000000000000000a" as NodeId;
const OTHER = "000000000000000b" as NodeId;
const FIRST = 1 as Incarnation;

function write(node: NodeId, seq: number): Uint8Array {
  const envelope = { node, incarnation: FIRST, seq };
  return encodeCommand({
    envelope,
    stamp: seq,
    operation: retainedOperation(retained("t", `${node} ${seq}`)),
  });
}

test("a leader that no majority answers puts nothing of other nodes into the log: they may have acknowledged it in another form", () => {
  const log: Uint8Array[] = [];
  const driver = {
    leadership: { role: "leader", term: 1, leader: SELF },
    propose: (commands: readonly Uint8Array[]) => log.push(...commands) > 0,
  } as Partial<Driver> as Driver;
  let hasQuorum = false;
  const unexpected = (): never => expect.unreachable();
  const route = new ProposalRoute(
    { node: SELF, incarnation: FIRST } as Identity,
    new StateMachine(),
    {} as Proposals,
    { hasQuorum: () => hasQuorum, sendToLeader: unexpected, time: unexpected, impersonated: unexpected },
  );
  const [own, others] = [write(SELF, 1), write(OTHER, 1)];
  expect(route.admit(driver, OTHER, [others])).toBe(false);
  expect(route.admit(driver, SELF, [own])).toBe(true);
  expect(log).toEqual([own]);
  hasQuorum = true;
  expect(route.admit(driver, OTHER, [others])).toBe(true);
  expect(log).toEqual([own, others]);
});

test("what only some members know goes to a leader in the form that all know, until the log says that all do", () => {
  const machine = new StateMachine();
  const sent: Uint8Array[] = [];
  const driver = { leadership: { role: "follower", term: 1, leader: OTHER } } as Partial<Driver> as Driver;
  const unexpected = (): never => expect.unreachable();
  const route = new ProposalRoute({ node: SELF, incarnation: FIRST } as Identity, machine, {} as Proposals, {
    hasQuorum: () => true,
    sendToLeader: (_leader, commands) => sent.push(...commands),
    time: unexpected,
    impersonated: unexpected,
  });
  const cluster = "11111111-1111-4111-8111-111111111111" as ClusterId;
  const alone = {
    cluster,
    seenThrough: 1,
    stamp: 1,
    had: [],
    isAcknowledged: true,
    isReleased: true,
  } as const;
  const message = { ...retained("t", "1", 2), retain: false };
  const once = {
    kind: "publishOnce",
    clientId: "c",
    claim: 1,
    packetId: 1,
    isRepeated: true,
    message,
  } as const;
  const command = { envelope: { node: SELF, incarnation: FIRST, seq: 1 }, stamp: 1, alone, operation: once };
  const bytes = encodeCommand(command);
  route.propose(driver, [bytes]);
  machine.apply(encodeClusterCommand({ kind: "version", version: NEWEST_LOG_VERSION }), 1);
  route.propose(driver, [bytes]);
  expect(sent.map((each) => decodeCommand(each))).toEqual([
    { ...command, alone: { ...alone, isReleased: undefined }, operation: { ...once, isRepeated: false } },
    command,
  ]);
});
