/** How much may be owed to all sessions: what the member with the least room says, on every replica alike. */

import { type NodeId, PASSED_BY } from "@skein/kernel";
import { expect, test } from "vitest";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { OWED_BYTES_DEFAULT, OWED_BYTES_MAX } from "../../src/state-machine/store-limits.ts";
import { completion, World } from "../support/world.ts";
import { A, B, message, SessionWorld, wish } from "./session-world.ts";

const MIB = 1024 * 1024;

function says(world: SessionWorld, node: NodeId, owedBytesMax: number, incarnation = 1): void {
  expect(world.propose(node, { kind: "storeLimit", owedBytesMax }, incarnation).outcome).toBe("applied");
}

/** A session that is away. */
function away(world: SessionWorld, filter = "t"): void {
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish(filter));
  world.close(A, "c", claim);
}

test("the smallest word counts, the newest of each node, and nobody is believed more than a gigabyte", () => {
  const world = new SessionWorld();
  const { limits } = world.machine;
  expect(limits.owedBytesMax).toBe(OWED_BYTES_DEFAULT);
  says(world, A, 4096 * MIB);
  expect(limits.owedBytesMax).toBe(OWED_BYTES_MAX);
  says(world, B, 100 * MIB);
  expect(limits.owedBytesMax).toBe(100 * MIB);
  says(world, B, 300 * MIB, 2);
  expect([limits.owedBytesMax, limits.of(B)]).toEqual([300 * MIB, 300 * MIB]);
});

test("a node that is no member any more has no say", () => {
  const world = new SessionWorld();
  says(world, A, 200 * MIB);
  says(world, B, 100 * MIB);
  world.machine.setMembers({ voters: [A], votersOutgoing: [], learners: [B] });
  expect(world.machine.limits.owedBytesMax).toBe(100 * MIB);
  world.machine.setMembers({ voters: [A], votersOutgoing: [], learners: [] });
  expect(world.machine.limits.owedBytesMax).toBe(200 * MIB);
});

test("beyond it messages pass all queues by, until there is room again; a replica from a snapshot judges the same", () => {
  const world = new SessionWorld();
  away(world);
  says(world, A, 1000);
  const payload = "x".repeat(600);
  expect(world.publish(B, "t", payload).outcome).toBe("applied");
  const restored = new StateMachine();
  restored.restore(world.machine.snapshot());
  expect(world.publish(B, "t", payload).outcome).toBe("passed");
  expect(restored.apply(world.log.at(-1) ?? new Uint8Array(), world.log.length).outcome).toBe("passed");
  expect(restored.stateHash()).toBe(world.machine.stateHash());
  expect(restored.snapshot()).toEqual(world.machine.snapshot());
  says(world, A, 2000);
  expect(world.publish(B, "t", payload).outcome).toBe("applied");
  expect(world.owed("c")).toHaveLength(2);
});

test("orphans together do not take the last quarter of the store from who takes what comes", () => {
  const world = new SessionWorld();
  says(world, A, MIB);
  const payload = "x".repeat(10_000);
  const orphans = ["o1", "o2", "o3"];
  for (const clientId of orphans) world.subscribe(A, clientId, world.open(A, clientId), wish(clientId));
  const claim = world.open(A, "reader");
  world.subscribe(A, "reader", claim, wish("t"));
  // Left behind at different times: they share no message.
  for (let at = 0; at < 150; at++) world.publish(B, orphans[at % 3] ?? "", payload);
  const { owed, passed } = world.machine.sessions;
  expect(owed.bytes).toBeLessThan(0.76 * MIB);
  expect([...passed.byClient.keys()].sort()).toEqual(orphans);
  for (let at = 0; at < 100; at++) {
    const ordinals = world.ordinals("reader", at);
    expect(world.publish(B, "t", payload).outcome).toBe("applied");
    world.propose(A, { kind: "acknowledge", sessions: [{ clientId: "reader", claim, ordinals }] });
  }
  expect(passed.inAll).toBe(0);
});

test("what is owed beyond a limit that was lowered stays", () => {
  const world = new SessionWorld();
  away(world);
  world.publish(B, "t", "1");
  says(world, A, 1);
  expect(world.publish(B, "t", "2").outcome).toBe("passed");
  world.machine.restore(world.machine.snapshot());
  expect(world.owed("c")).toEqual(["1"]);
});

test("nodes say what they have room for, again when it has changed, and nobody takes what the smallest has no room for", () => {
  const world = new World(1);
  const [first, , smallest] = world.add(3);
  if (first === undefined || smallest === undefined) throw new Error("no nodes");
  first.owedBytesMax = 100_000;
  smallest.owedBytesMax = 1000;
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const { sessions } = first.running;
  const limits = { queuedMessagesMax: 10, queuedBytesMax: 100_000, keepAliveSeconds: 4, expirySeconds: 3600 };
  sessions
    .open(
      { ...limits, clientId: "c", cleanStart: true, will: undefined },
      { opened: () => undefined, grown: () => undefined, lost: () => undefined, placed: () => undefined },
    )
    .subscribe([{ ...wish("t"), retainHandling: 0 }], { settle: () => undefined });
  world.run(2000);
  const publish = (): readonly number[] => {
    const done = completion();
    sessions.publish(message("t", "x".repeat(600)), undefined, [], done);
    world.run(2000);
    return done.codes;
  };
  expect([publish(), publish()]).toEqual([[0], [PASSED_BY]]);
  expect(sessions.limits.tightest).toBe(smallest.id);
  expect([sessions.passed.inAll, sessions.passed.byClient.size]).toEqual([1, 0]);
  smallest.owedBytesMax = 2000;
  world.restart(smallest);
  world.run(20_000);
  expect(publish()).toEqual([0]);
});
