/** A node that has joined serves clients before it has heard what others have subscribed to. */

import type { ClusterId, Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import { decodeRaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame } from "../../src/frames.ts";
import type { Identity, PeerView } from "../../src/options.ts";
import type { Proposals } from "../../src/proposals/proposals.ts";
import { EarlyExchange, type EarlyExchangePorts } from "../../src/sessions/early-exchange.ts";
import { Newcomers } from "../../src/sessions/newcomers.ts";
import { type Command, encodeCommand } from "../../src/state-machine/commands.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { comesTo, numbers, publisherAt } from "../support/kept-client.ts";
import { UNKNOWN_MACHINE } from "../support/peer-view.ts";
import { type SimNode, textOf, World } from "../support/world.ts";
import { message } from "./session-world.ts";

const [SELF, TELLER] = ["000000000000000a", "000000000000000b"] as [NodeId, NodeId];
const INCARNATION = 1 as Incarnation;

/** What another node of this cluster tells `machine`'s node early. `heard`: what its live subscribers were given. */
function listening({
  machine = new StateMachine(),
  ...ports
}: Partial<EarlyExchangePorts> & { machine?: StateMachine } = {}) {
  const heard: (string | undefined)[] = [];
  const early = new EarlyExchange(
    { node: SELF, incarnation: INCARNATION } as Identity,
    machine,
    {} as Proposals,
    {
      peers: () => [],
      newcomers: { linked: () => [] },
      hasQuorum: () => true,
      sendMember: () => undefined,
      publishFromLog: (publication) => heard.push(textOf(publication.message)),
      claimOf: () => undefined,
      acknowledge: () => undefined,
      ...ports,
    },
  );
  return { early, heard };
}

/** The publisher's messages "1" to `count`, as TELLER proposes them. */
function messagesOf(count: number): Command[] {
  return numbers(1, count).map((text, i) => ({
    envelope: { node: TELLER, incarnation: INCARNATION, seq: i + 1 },
    stamp: 0,
    operation: {
      kind: "publishOnce",
      isRepeated: false,
      clientId: "p",
      claim: 1,
      packetId: i + 1,
      message: message("t", text, 2),
    },
  }));
}

test("what a newcomer's clients publish goes into the log until its replica has come, whoever may want it", () => {
  const world = new World(3);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const wants = (): boolean[] => world.nodes.map(({ running }) => running.sessions.wants("t"));
  world.run(1000);
  expect(wants()).toEqual([false, false, false]);
  const [newcomer] = world.add(1);
  if (newcomer === undefined) throw new Error("no newcomer");
  world.start(newcomer);
  expect(newcomer.running.sessions.wants("t")).toBe(false);
  // Its replica may have come some milliseconds after that.
  for (let ms = 0; ms < 10_000 && !newcomer.running.sessions.wants("t"); ms++) world.run(1);
  expect(newcomer.running.sessions.wants("t"), "it hears the leader").toBe(true);
  world.run(1000);
  expect(wants()).toEqual([false, false, false, false]);
});

test.each([
  ["by a snapshot", { snapshotEntries: 20, entriesKept: 5, snapshotChunkBytes: 500 }],
  ["entry by entry", { appendBytesMax: 500, inflightMax: 2 }],
])(
  "P5: a newcomer's live subscribers get once what goes to everybody through the log while it gets its replica %s, and nothing from before",
  (_, sizes) => {
    const world = new World(3, sizes);
    world.add(3);
    world.startAll();
    world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
    const follower = world.nodes.find((node) => node !== world.leader) as SimNode;
    const publish = publisherAt(world, follower);
    for (let count = 1; count <= 50; count++) publish();
    world.run(1000);
    const [newcomer] = world.add(1) as [SimNode];
    world.start(newcomer);
    world.run(100);
    let joinedAt: number | undefined;
    let through = 50;
    for (; through < 2000 && joinedAt !== through - 200; through++) {
      if (newcomer.status.cluster !== undefined) joinedAt ??= through;
      publish();
      world.run(5);
    }
    world.run(1000);
    expect(joinedAt, "it has joined meanwhile").toBeGreaterThan(50);
    expect(newcomer.heard.map(textOf)).toEqual(numbers(51, through));
    expect(follower.heard.map(textOf)).toEqual(numbers(1, through));
  },
);

test.each([
  ["by a snapshot", { snapshotEntries: 20, entriesKept: 5, snapshotChunkBytes: 500 }],
  ["entry by entry", { appendBytesMax: 500, inflightMax: 2 }],
])("P5: and wills that are published meanwhile, once, and none from before: %s", (_, sizes) => {
  const world = new World(3, sizes);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const follower = world.nodes.find((node) => node !== world.leader) as SimNode;
  const claims = numbers(1, 400).map((text) => {
    const will = { message: message("w", text, 1), delaySeconds: 0 };
    return comesTo(follower, `c${text}`, { will }).claim;
  });
  world.run(1000);
  let published = 0;
  const publish = (): void => claims[published++]?.close("publish", 0, -1);
  for (let count = 1; count <= 20; count++) publish();
  world.run(1000);
  const [newcomer] = world.add(1) as [SimNode];
  world.start(newcomer);
  world.run(100);
  let joinedAt: number | undefined;
  while (published < claims.length && joinedAt !== published - 50) {
    if (newcomer.status.cluster !== undefined) joinedAt ??= published;
    publish();
    world.run(20);
  }
  world.run(1000);
  expect(joinedAt, "it has joined meanwhile").toBeGreaterThan(20);
  expect(newcomer.heard.map(textOf)).toEqual(numbers(21, published));
  expect(follower.heard.map(textOf)).toEqual(numbers(1, published));
});

test("P5: and the wills of a node that dies meanwhile, of which the leader tells", () => {
  const world = new World(7);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const dying = world.nodes.find((node) => node !== world.leader) as SimNode;
  for (const text of numbers(1, 3))
    comesTo(dying, `c${text}`, {
      keepAliveSeconds: 1,
      will: { message: message("w", text, 1), delaySeconds: 0 },
    });
  world.run(1000);
  const [newcomer] = world.add(1) as [SimNode];
  // It never gets a replica.
  world.isLost = (bytes) => decodeFrame(bytes)?.kind === "join";
  world.start(newcomer);
  world.kill(dying);
  world.run(40_000);
  expect(newcomer.status.cluster).toBeUndefined();
  expect(newcomer.heard.map(textOf)).toEqual(numbers(1, 3));
});

test("a will that others tell of is handed out once, and not where the log brings it", () => {
  const told: [NodeId, string][] = [];
  const { early, heard } = listening({
    newcomers: { linked: () => [TELLER] },
    sendMember: (to, frame) => told.push([to, frame("" as ClusterId).kind]),
  });
  const will = (index: number, publisher = "c") => ({
    index,
    publisher,
    message: message("w", `${index}${publisher}`, 1),
  });
  early.heardWill(will(1));
  expect(heard, "it has had a replica from the start").toEqual([]);
  early.isWithoutReplica();
  for (let time = 0; time < 2; time++) for (const index of [2, 7]) early.heardWill(will(index));
  early.filled(5);
  early.heardWill(will(5));
  early.heardWill(will(5, "d"));
  early.heardWill(will(6));
  expect(heard).toEqual(["2c", "7c", "5c", "5d"]);
  expect([6, 7, 7].map((index) => early.takeWill(will(index)))).toEqual([false, true, false]);
  early.wantNothing();
  early.heardWill(will(3));
  expect(heard).toHaveLength(4);
  early.publishedWill(will(8));
  expect(told).toEqual([[TELLER, "will"]]);
});

function isSnapshotPiece(bytes: Uint8Array): boolean {
  const frame = decodeFrame(bytes);
  return frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "installSnapshot";
}

test("P5: and what its own clients publish while it gets its replica", () => {
  const world = new World(5, { snapshotEntries: 20, entriesKept: 5, snapshotChunkBytes: 500 });
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const publishOther = publisherAt(world, world.nodes[0] as SimNode);
  for (let count = 1; count <= 50; count++) publishOther();
  const [newcomer] = world.add(1) as [SimNode];
  // It hears the leader, and proposes, before the leader's snapshot gets through.
  let isSlow = true;
  world.isLost = (bytes) => isSlow && isSnapshotPiece(bytes);
  world.start(newcomer);
  const publish = publisherAt(world, newcomer, "q", "own ");
  for (let count = 1; count <= 50; count++) publish();
  world.until(() => world.nodes[0]?.heard.length === 100, 60_000, "they are in the log");
  expect(newcomer.heard.map(textOf).filter((text) => text?.startsWith("own "))).toEqual([]);
  isSlow = false;
  world.until(() => world.isFormed(3) && world.isConverged(), 60_000, "it has caught up");
  const own = newcomer.heard.map(textOf).filter((text) => text?.startsWith("own "));
  expect(own).toEqual(numbers(1, 50).map((text) => `own ${text}`));
});

test("P5: a newcomer that cannot join because there is no quorum gets at once, and once, what goes to everybody", () => {
  const world = new World(4, { snapshotEntries: 20, entriesKept: 5 });
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  const [alone, ...others] = world.nodes as [SimNode, SimNode, SimNode];
  const publish = publisherAt(world, alone);
  for (const node of others) world.kill(node);
  world.run(15_000);
  const [newcomer] = world.add(1) as [SimNode];
  world.start(newcomer);
  world.run(1000);
  const done = numbers(1, 50).map(() => publish());
  world.run(1000);
  expect(done.every(({ codes }) => codes.length === 1)).toBe(true);
  expect([newcomer.status.cluster, newcomer.heard.map(textOf)]).toEqual([undefined, numbers(1, 50)]);
  for (const node of others) world.start(node);
  world.until(() => world.isFormed(3) && world.isConverged(), 120_000, "joined");
  expect(newcomer.heard.map(textOf)).toEqual(numbers(1, 50));
});

test.each([true, false])(
  "P5: what a first snapshot has skipped is given to live subscribers when its node tells of it later, once (a newcomer: %s)",
  (isNew) => {
    const commands = messagesOf(3).map(encodeCommand);
    const before = new StateMachine();
    for (const [i, bytes] of commands.slice(0, 2).entries()) before.apply(bytes, i + 1);
    const machine = new StateMachine();
    const { early, heard } = listening({ machine });
    if (isNew) early.isWithoutReplica();
    machine.restore(before.snapshot());
    early.restored();
    for (let time = 0; time < 2; time++) early.heard(TELLER, commands);
    expect(heard).toEqual(isNew ? ["1", "2", "3"] : []);
    early.wantNothing();
    early.heard(TELLER, commands);
    expect(heard).toEqual(isNew ? ["1", "2", "3"] : []);
  },
);

test("a node is new until ten seconds after it has said where it belongs", () => {
  const id = "000000000000000b" as NodeId;
  const us = "11111111-1111-4111-8111-111111111111" as ClusterId;
  const given: { cluster: ClusterId | undefined; isLinked: boolean } = { cluster: undefined, isLinked: true };
  const peer = (): PeerView => ({ id, name: "b", state: "alive", ...UNKNOWN_MACHINE, ...given });
  const newcomers = new Newcomers({
    peers: () => (given.cluster === us ? [peer()] : []),
    everyPeer: () => [peer()],
  });
  const isNewAt = (now: number): boolean => {
    newcomers.tick(now as MonotonicMs);
    return newcomers.linked().includes(id);
  };
  expect(isNewAt(1000)).toBe(true);
  given.cluster = us;
  expect(isNewAt(1250)).toBe(true);
  expect(isNewAt(10_750)).toBe(true);
  expect(isNewAt(11_000)).toBe(false);
});

test.each([true, false])(
  "what another node says that counts for it without a quorum is for nobody where there is one: %s",
  (hasQuorum) => {
    const handedOver: (string | undefined)[] = [];
    const { early } = listening({
      hasQuorum: () => hasQuorum,
      publishEarly: (published) => handedOver.push(textOf(published)),
    });
    early.heard(TELLER, messagesOf(1).map(encodeCommand));
    expect(handedOver).toEqual(hasQuorum ? [] : ["1"]);
  },
);

test("what comes from the log after the replica is filled is not given once more when its node tells of it", () => {
  const commands = messagesOf(2);
  const machine = new StateMachine();
  const { early, heard } = listening({ machine });
  early.isWithoutReplica();
  for (const [at, command] of commands.entries()) machine.apply(encodeCommand(command), at + 1);
  // With the second one it is clear that the first was the last that it lacked.
  early.filled(1, commands[1]?.envelope);
  early.heard(TELLER, commands.map(encodeCommand));
  expect(heard).toEqual(["1"]);
});

test("what has been led for long enough is filled", () => {
  const { early } = listening();
  early.isWithoutReplica();
  expect(early.isFilling).toBe(true);
  early.wantNothing();
  expect(early.isFilling).toBe(false);
});
