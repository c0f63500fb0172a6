/** A QoS 2 message that its client has sent to two nodes across a lost quorum: which commands are one message, and which are two. */

import { expect, test } from "vitest";
import type { Applied } from "../../src/state-machine/applied.ts";
import { FIRST_LOG_VERSION, NEWEST_LOG_VERSION } from "../../src/state-machine/log-version.ts";
import { REPEATED_MAX } from "../../src/state-machine/sessions/repeated-messages.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { A, aloneAt, B, message, SessionWorld, wish } from "./session-world.ts";

interface Once {
  readonly packetId?: number;
  readonly payload?: string;
  /** It comes with DUP. */
  readonly isRepeated?: boolean;
  /** Its client has said PUBREL where it was acknowledged without a quorum. */
  readonly isReleased?: true;
  /** Seconds that it has left. */
  readonly lifetime?: number;
}

/** A client that was on node A, which has no quorum, and is on node B now; and who keeps all that it says. */
function moved(version = NEWEST_LOG_VERSION) {
  const world = new SessionWorld();
  world.decide({ kind: "version", version });
  world.subscribe(A, "reader", world.open(A, "reader"), wish("t"));
  const older = world.open(A, "c");
  const newer = world.open(B, "c");
  const operation = (claim: number, { packetId = 1, payload = "on", isRepeated = false, lifetime }: Once) => {
    const properties = lifetime === undefined ? undefined : { messageExpirySeconds: lifetime };
    const said = { ...message("t", payload, 2), properties };
    return { kind: "publishOnce", isRepeated, clientId: "c", claim, packetId, message: said } as const;
  };
  return {
    world,
    newer,
    /** From the outbox of node A, which had applied the log up to `seenThrough`. */
    late: (once: Once = {}, seenThrough = 1): Applied =>
      world.propose(A, operation(older, once), 1, { ...aloneAt(seenThrough), isReleased: once.isReleased }),
    /** With DUP on the connection that there is. */
    again: (once: Once = {}, claim = newer): Applied =>
      world.propose(B, operation(claim, { isRepeated: true, ...once })),
    release: (claim = newer, packetId = 1): Applied =>
      world.propose(B, { kind: "release", clientId: "c", claim, packetId }),
    taken: (): string[] => world.owed("reader"),
  };
}

test("P6: what was sent again with DUP is not taken from the node without a quorum as well, not even when it is long done", () => {
  const { late, again, release, taken } = moved();
  expect(again().outcome).toBe("applied");
  release();
  expect(late().outcome).toBe("applied");
  expect(taken()).toEqual(["on"]);
});

test("P6: nor the other way round, and the identifier is held until PUBREL", () => {
  const { world, late, again, taken } = moved();
  late();
  expect(again()).toMatchObject({ outcome: "applied" });
  expect(taken()).toEqual(["on"]);
  expect([...(world.machine.sessions.get("c")?.received.keys() ?? [])]).toEqual([1]);
});

test("P6: it is known when it comes with less of its lifetime, because it has waited", () => {
  const { world, newer, late, taken } = moved();
  const said = { ...message("t", "on", 2), properties: { messageExpirySeconds: 60 } };
  const once = { kind: "publishOnce", isRepeated: true, clientId: "c", claim: newer, packetId: 1 } as const;
  world.propose(B, { ...once, message: said });
  late({ lifetime: 40 });
  expect(taken()).toEqual(["on"]);
});

test("P5: one message with DUP stands for one without a quorum, whatever else is the same", () => {
  const { late, again, taken } = moved();
  again();
  late();
  late();
  expect(taken()).toEqual(["on", "on"]);
  again({ packetId: 2 });
  expect(taken()).toEqual(["on", "on", "on"]);
});

test("P5: the same identifier and content without DUP is another message", () => {
  const { late, again, release, taken } = moved();
  again({ isRepeated: false });
  release();
  late();
  expect(taken()).toEqual(["on", "on"]);
  late();
  again({ isRepeated: false });
  expect(taken()).toHaveLength(4);
});

test.each([
  ["content", { payload: "off" }],
  ["identifier", { packetId: 2 }],
])("P5: with another %s it is another message", (_what, other) => {
  const first = moved();
  first.again();
  first.late(other);
  expect(first.taken()).toHaveLength(2);
  const second = moved();
  second.late();
  second.again(other);
  expect(second.taken()).toHaveLength(2);
});

test("P5: a node that had seen the one with DUP in the log has heard a new message", () => {
  const { world, late, again, release, taken } = moved();
  again();
  const seenThrough = world.log.length;
  release();
  late({}, seenThrough);
  expect(taken()).toEqual(["on", "on"]);
  late({}, seenThrough - 1);
  expect(taken()).toEqual(["on", "on"]);
});

test("P5: with the same identifier and content, after the client has said PUBREL, DUP means a new message", () => {
  const { late, release, again, taken } = moved();
  late();
  release();
  again();
  expect(taken()).toEqual(["on", "on"]);
});

test("P5: nor is what the client had released on the older connection the message that it sent with DUP afterwards", () => {
  const first = moved();
  first.again();
  for (let times = 1; times <= 3; times++) first.late({ isReleased: true });
  first.late();
  expect(first.taken()).toHaveLength(4);
  const second = moved();
  second.late({ isReleased: true });
  second.again();
  expect(second.taken()).toHaveLength(2);
});

test("P6: of two nodes without a quorum the second brings the message once, also when its client has released it there", () => {
  for (const isSecondFirst of [false, true]) {
    const { late, taken } = moved();
    const said = [{}, { isRepeated: true, isReleased: true }] as const;
    for (const once of isSecondFirst ? said.toReversed() : said) late(once);
    expect(taken()).toEqual(["on"]);
  }
});

test("P5: what came late waits for the next connection that is answered, not for a later one", () => {
  const ends: Record<string, (world: SessionWorld, claim: number) => void> = {
    closed: (world, claim) =>
      world.propose(B, {
        kind: "close",
        clientId: "c",
        claim,
        fate: "discard",
        expirySeconds: 3600,
        sentThrough: 0,
      }),
    "its node is gone": (world) => world.nodeDown(B),
  };
  for (const [name, end] of Object.entries(ends)) {
    const { world, late, again, newer, taken } = moved();
    late();
    end(world, newer);
    again({}, world.open(B, "c"));
    expect(taken(), name).toEqual(["on", "on"]);
  }
});

test("P6: connections that were not answered in between change nothing", () => {
  const { world, late, again, newer, taken } = moved();
  late();
  world.close(B, "c", newer);
  world.close(B, "c", world.open(B, "c"));
  again({}, world.open(B, "c"));
  expect(taken()).toEqual(["on"]);
});

test("P6: nor do connections that a newer one has ended: what they were told, or have said, nobody knows", () => {
  const { world, late, again, taken } = moved();
  late();
  world.open(A, "c");
  again({}, world.open(B, "c"));
  expect(taken()).toEqual(["on"]);
});

test("P6: two nodes without a quorum, of which the client sent it to the second with DUP, bring one message", () => {
  for (const isSecondFirst of [false, true]) {
    const { late, taken } = moved();
    late({ isRepeated: isSecondFirst });
    late({ isRepeated: !isSecondFirst });
    expect(taken()).toEqual(["on"]);
  }
});

test("a clean start forgets what may come once more", () => {
  const { world, late, again, taken } = moved();
  again();
  world.open(B, "c", { cleanStart: true });
  expect(world.machine.sessions.get("c")?.repeated).toEqual([]);
  late();
  expect(taken()).toEqual(["on", "on"]);
});

test(`of one session ${REPEATED_MAX} are remembered; the oldest is forgotten first`, () => {
  const { world, late, again, taken } = moved();
  for (let packetId = 1; packetId <= REPEATED_MAX + 1; packetId++) again({ packetId });
  expect(world.machine.sessions.get("c")?.repeated).toHaveLength(REPEATED_MAX);
  for (let packetId = 2; packetId <= REPEATED_MAX + 1; packetId++) late({ packetId });
  expect(taken()).toHaveLength(REPEATED_MAX + 1);
  late({ packetId: 1 });
  expect(taken()).toHaveLength(REPEATED_MAX + 2);
});

test("a snapshot keeps what may come once more, in both orders", () => {
  const { world, late, again } = moved();
  late({ packetId: 2 });
  again({ packetId: 1 });
  const known = world.machine.sessions.get("c")?.repeated;
  expect(known).toHaveLength(2);
  const copy = new StateMachine();
  copy.restore(world.machine.snapshot());
  expect(copy.sessions.get("c")?.repeated).toEqual(known);
  expect(copy.stateHash()).toBe(world.machine.stateHash());
  const { data, parts } = world.machine.snapshotInParts();
  let bytes = data.next();
  while (bytes.done !== true) bytes = data.next();
  const ownDisk = new StateMachine();
  ownDisk.restore(bytes.value, parts);
  expect(ownDisk.sessions.get("c")?.repeated).toEqual(known);
});

test("the state in short tells a state with what may come once more from one without", () => {
  const { world, late } = moved();
  world.propose(A, { kind: "unsubscribe", clientId: "reader", claim: 1, filters: ["t"] });
  const before = world.machine.sessions.hash.value;
  late();
  expect(world.machine.sessions.get("reader")?.queue.length).toBe(0);
  expect(world.machine.sessions.hash.value).not.toBe(before);
});

test("a merge leaves what may come once more as it was in the cluster that goes on", () => {
  for (const isTheirsNewer of [false, true]) {
    const { world, late, again, taken } = moved();
    again();
    const them = new SessionWorld("them");
    them.nowMs = world.nowMs + (isTheirsNewer ? 1000 : -1000);
    them.open(A, "c");
    them.mergeInto(world);
    late();
    expect(taken(), isTheirsNewer ? "their claim is newer" : "ours is newer").toEqual(["on"]);
  }
});

test("as long as a member knows nothing of it, what came with DUP is malformed, nothing is remembered, and the state is what it was", () => {
  const { world, late, again, taken } = moved(FIRST_LOG_VERSION);
  late();
  late({ isReleased: true });
  expect(world.machine.sessions.get("c")?.repeated).toEqual([]);
  expect([again().outcome, taken()]).toEqual(["malformed", ["on"]]);
  expect(world.machine.snapshot()[0]).toBe(11);
  const upToDate = moved();
  upToDate.late();
  expect(upToDate.world.machine.snapshot()[0]).toBe(13);
});

test("P5: under an identifier that is still held, another message is a new one, because the mesh has not heard of the PUBREL yet", () => {
  const { world, again, release, taken } = moved();
  again({ isRepeated: false });
  again({ isRepeated: false });
  expect(taken()).toEqual(["on"]);
  again({ isRepeated: false, payload: "off" });
  expect(taken()).toEqual(["on", "off"]);
  // Each replica holds what it says now, also one that begins with a snapshot.
  const restored = new StateMachine();
  restored.restore(world.machine.snapshot());
  expect([...(restored.sessions.get("c")?.received ?? [])]).toEqual([
    ...(world.machine.sessions.get("c")?.received ?? []),
  ]);
  again({ payload: "off" });
  expect(taken()).toEqual(["on", "off"]);
  release();
  again({ isRepeated: false, payload: "off" });
  expect(taken()).toEqual(["on", "off", "off"]);
});

test("in the first version of the log whatever comes under a held identifier is a repetition, as for the program before", () => {
  const { again, taken } = moved(FIRST_LOG_VERSION);
  again({ isRepeated: false });
  again({ isRepeated: false, payload: "off" });
  expect(taken()).toEqual(["on"]);
});

test("P6: what the log has from the first node does not come from the outbox of the second, to which it came with DUP", () => {
  const { late, again, release, taken } = moved();
  again({ isRepeated: false });
  late({ isRepeated: true });
  expect(taken()).toEqual(["on"]);
  release();
  late({ isRepeated: true });
  expect(taken()).toEqual(["on", "on"]);
});
