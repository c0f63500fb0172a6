import { type ClusterId, packetIdOf, type SessionOpening } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Applied } from "../../src/state-machine/applied.ts";
import { ABSENT_SESSIONS_MAX } from "../../src/state-machine/sessions/absent-sessions.ts";
import { PassedSessions } from "../../src/state-machine/sessions/passed-sessions.ts";
import { QUEUED_MESSAGES_MAX } from "../../src/state-machine/sessions/session-queue.ts";
import { NEVER_EXPIRES } from "../../src/state-machine/sessions/session-state.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { A, B, message, publishedBy, SessionWorld, will, wish } from "./session-world.ts";

function sessionOf(world: SessionWorld, clientId: string) {
  const session = world.machine.sessions.get(clientId);
  if (session === undefined) throw new Error(`no session ${clientId}`);
  return session;
}

// Claims

test("a session that is claimed again, on any node, is present with its subscriptions and its queue (P9)", () => {
  const world = new SessionWorld();
  const first = world.open(A, "c");
  expect(sessionOf(world, "c").isPresent).toBe(false);
  world.subscribe(A, "c", first, wish("t"));
  world.close(A, "c", first);
  world.publish(B, "t", "1");
  world.open(B, "c");
  expect(sessionOf(world, "c").isPresent).toBe(true);
  expect([...sessionOf(world, "c").subscriptions.keys()]).toEqual(["t"]);
  expect(world.owed("c")).toEqual(["1"]);
});

test("a clean start leaves nothing of the session, and its ordinals go on, so no packet identifier comes again early", () => {
  const world = new SessionWorld();
  const first = world.open(A, "c");
  world.subscribe(A, "c", first, wish("t"));
  world.publish(B, "t", "1");
  world.open(A, "c", { cleanStart: true });
  const session = sessionOf(world, "c");
  expect(session.isPresent).toBe(false);
  expect(session.subscriptions.size).toBe(0);
  expect(world.owed("c")).toEqual([]);
  expect(world.machine.sessions.wants("t")).toBe(false);
  expect(session.queue.nextOrdinal).toBe(world.ordinal("c", 1));
});

test("P6: a session that begins when the last one of its client has expired uses none of its packet identifiers", () => {
  const lives = fc.array(fc.nat(20), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(lives, fc.nat(100), (counts, others) => {
      const world = new SessionWorld();
      for (let at = 0; at < others; at++) world.publish(B, "elsewhere", "x");
      const used: number[] = [];
      for (const count of counts) {
        const claim = world.open(A, "c", { expirySeconds: 1 });
        expect(sessionOf(world, "c").isPresent).toBe(false);
        world.subscribe(A, "c", claim, wish("t"));
        for (let at = 0; at < count; at++) world.publish(B, "t", `${at}`, 2);
        used.push(...[...sessionOf(world, "c").queue].map(({ ordinal }) => packetIdOf(ordinal)));
        world.close(A, "c", claim);
        world.pass(2);
      }
      expect(new Set(used).size).toBe(used.length);
    }),
  );
});

test("whatever an older claim asks for is stale and changes nothing, but what its client has got it has got", () => {
  const world = new SessionWorld();
  const first = world.open(A, "c");
  world.subscribe(A, "c", first, wish("t"));
  world.publish(B, "t", "1", 2);
  world.open(B, "c");
  const before = world.machine.sessions.hash.value;
  const named = { clientId: "c", claim: first };
  const stale = [
    world.subscribe(A, "c", first, wish("u")),
    world.propose(A, { kind: "unsubscribe", ...named, filters: ["t"] }),
    world.propose(A, { kind: "release", ...named, packetId: 1 }),
    world.propose(A, {
      kind: "publishOnce",
      isRepeated: false,
      ...named,
      packetId: 1,
      message: message("t", "x", 2),
    }),
    world.close(A, "c", first),
  ];
  expect(stale.map(({ outcome }) => outcome)).toEqual(stale.map(() => "stale"));
  expect(world.owed("c")).toEqual(["1"]);
  expect(world.machine.sessions.hash.value).toBe(before);
  const ordinal = world.ordinal("c", 0);
  expect(world.propose(A, { kind: "confirm", ...named, ordinal }).outcome).toBe("applied");
  expect(sessionOf(world, "c").queue.get(ordinal)?.isReleased).toBe(true);
  world.propose(A, { kind: "acknowledge", sessions: [{ ...named, ordinals: [ordinal] }] });
  expect(world.owed("c")).toEqual([]);
});

/** The client says to `claim`, on node A, that it has the first message. */
function acknowledges(world: SessionWorld, claim: number): void {
  const ordinals = world.ordinals("c", 0);
  world.propose(A, { kind: "acknowledge", sessions: [{ clientId: "c", claim, ordinals }] });
}

test("what clients have got counts for the session that they had it from, and for the last few claims of it", () => {
  const setUp = () => {
    const world = new SessionWorld();
    const first = world.open(A, "c");
    world.subscribe(A, "c", first, wish("t"));
    world.publish(B, "t", "1", 2);
    return { world, first };
  };
  const anew = setUp();
  anew.world.subscribe(B, "c", anew.world.open(B, "c", { cleanStart: true }), wish("t"));
  anew.world.publish(B, "t", "2", 2);
  const { ordinal = 0 } = sessionOf(anew.world, "c").queue.after(-1) ?? {};
  const sessions = [{ clientId: "c", claim: anew.first, ordinals: [ordinal] }];
  anew.world.propose(A, { kind: "acknowledge", sessions });
  expect(anew.world.owed("c"), "another session").toEqual(["2"]);
  for (const [moves, owed] of [
    [4, []],
    [5, ["1"]],
  ] as const) {
    const { world, first } = setUp();
    for (let at = 0; at < moves; at++) world.open(B, "c");
    acknowledges(world, first);
    expect(world.owed("c"), `${moves} claims later`).toEqual(owed);
  }
});

test("a node that was taken for gone, and speaks again, speaks for its clients as long as they have not come elsewhere", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  const named = { clientId: "c", claim };
  world.nodeDown(A);
  expect(world.subscribe(A, "c", claim, wish("t")).outcome).toBe("applied");
  world.publish(B, "t", "1", 2);
  acknowledges(world, claim);
  expect(world.owed("c")).toEqual([]);
  const once = {
    kind: "publishOnce",
    isRepeated: false,
    ...named,
    packetId: 1,
    message: message("u", "x", 2),
  } as const;
  expect(publishedBy(world.propose(A, once))).toEqual(["x"]);
  expect(publishedBy(world.propose(A, once)), "once").toEqual([]);
  expect(world.close(A, "c", claim).outcome, "it is gone already").toBe("stale");
  world.close(B, "c", world.open(B, "c"));
  expect(world.propose(A, { kind: "release", ...named, packetId: 1 }).outcome).toBe("stale");
  expect([...sessionOf(world, "c").received.keys()]).toEqual([1]);
});

test("a snapshot keeps whose acknowledgements count", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t"));
  world.publish(B, "t", "1", 2);
  world.open(B, "c");
  const { formers } = sessionOf(world, "c");
  expect(formers).toEqual([{ node: A, incarnation: 1, claim }]);
  const copy = new StateMachine();
  copy.restore(world.machine.snapshot());
  expect(copy.sessions.get("c")?.formers).toEqual(formers);
});

test("a QoS 2 message that was acknowledged without a quorum keeps its place, also where its connection is over by then", () => {
  const world = new SessionWorld();
  for (const clientId of ["reader", "had"])
    world.subscribe(A, clientId, world.open(A, clientId), wish("t", { qos: 2 }));
  const first = world.open(A, "c");
  world.open(B, "c");
  const cluster = "00000000-0000-4000-8000-000000000001" as ClusterId;
  const alone = { cluster, seenThrough: 1, stamp: 1, had: ["had"], isAcknowledged: true };
  for (const payload of ["1", "2"]) {
    const named = { clientId: "c", claim: first, packetId: Number(payload) } as const;
    const once = {
      kind: "publishOnce",
      isRepeated: false,
      ...named,
      message: message("t", payload, 2),
    } as const;
    expect(world.propose(A, once, 1, alone).outcome).toBe("applied");
  }
  const unheard = {
    kind: "publishOnce",
    isRepeated: false,
    clientId: "c",
    claim: first,
    packetId: 3,
  } as const;
  const said = { ...unheard, message: message("t", "said again", 2) };
  expect(world.propose(A, said, 1, { ...alone, isAcknowledged: false }).outcome).toBe("stale");
  world.publish(B, "t", "3", 2);
  expect(world.owed("reader")).toEqual(["1", "2", "3"]);
  expect(world.owed("had")).toEqual(["3"]);
});

test("a claim that a partition has held back does not take the session from one that was made later", () => {
  const world = new SessionWorld();
  world.nowMs += 5000;
  world.open(A, "c");
  world.nowMs -= 4000;
  expect(world.propose(B, openingOf("c")).outcome).toBe("stale");
  world.nowMs += 8000;
  expect(world.propose(B, openingOf("c")).outcome).toBe("applied");
  expect(sessionOf(world, "c").owner?.node).toBe(B);
});

test("nor when the later one is over: its will does not come behind what the client has said since", () => {
  const world = new SessionWorld();
  world.subscribe(A, "watcher", world.open(A, "watcher"), wish("#"));
  world.nowMs += 5000;
  world.close(A, "c", world.open(A, "c", { will: will("w", "newer") }));
  world.nowMs -= 4000;
  const claim = world.open(B, "c", { will: will("w", "older") });
  expect(world.close(B, "c", claim).outcome).toBe("stale");
  expect(world.owed("watcher")).toEqual(["newer"]);
  world.nowMs += 8000;
  expect(world.propose(B, openingOf("c")).outcome).toBe("applied");
});

test.each([
  ["is connected", false],
  ["is gone again", true],
])(
  "P6: but what its client has had from it counts, whether the later one %s, and what may have been sent comes with DUP",
  (_, isGone) => {
    const world = new SessionWorld();
    const first = world.open(A, "c");
    world.subscribe(A, "c", first, wish("t"));
    for (const payload of ["1", "2", "3"]) world.publish(A, "t", payload, 2);
    world.close(A, "c", first);
    const [had, seen] = [world.ordinal("c", 0), world.ordinal("c", 1)];
    world.nowMs += 5000;
    const later = world.open(A, "c");
    if (isGone) world.close(A, "c", later);
    world.nowMs -= 4000;
    const claim = world.open(B, "c");
    const named = { clientId: "c", claim };
    expect(world.propose(B, { kind: "confirm", ...named, ordinal: seen }).outcome).toBe("applied");
    world.propose(B, { kind: "acknowledge", sessions: [{ ...named, ordinals: [had] }] });
    expect(world.owed("c")).toEqual(["2", "3"]);
    const session = sessionOf(world, "c");
    expect(session.queue.get(seen)?.isReleased).toBe(true);
    expect(session.sentThrough).toBe(world.ordinal("c", 2));
    expect(world.subscribe(B, "c", claim, wish("u")).outcome).toBe("stale");
    const byLater = world.subscribe(A, "c", later, wish("v"));
    expect(byLater.outcome).toBe("applied");
  },
);

function openingOf(clientId: string) {
  const limits = { queuedMessagesMax: 10, queuedBytesMax: 1000 };
  const settings = { cleanStart: false, expirySeconds: 60, keepAliveSeconds: 0, will: undefined };
  const opening = { clientId, ...settings, ...limits };
  return { kind: "open", opening } as const;
}

// Queues

test("a message is owed once to each session that wants it, at the highest QoS of its filters, with all identifiers", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(
    A,
    "c",
    claim,
    wish("a/+", { qos: 1, identifier: 7 }),
    wish("a/b", { qos: 2, identifier: 3 }),
  );
  world.publish(B, "a/b", "1", 2);
  const [entry] = [...sessionOf(world, "c").queue];
  expect(world.owed("c")).toEqual(["1"]);
  expect(entry).toMatchObject({ qos: 2, identifiers: [3, 7], retain: false, isReleased: false });
});

test("QoS 0, of the message or of the subscription, is not owed", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("a", { qos: 0 }), wish("b"));
  world.publish(B, "a", "1", 1);
  world.publish(B, "b", "2", 0);
  expect(world.owed("c")).toEqual([]);
  expect([world.machine.sessions.wants("a"), world.machine.sessions.wants("b")]).toEqual([false, true]);
});

test("No Local: what a client publishes is not owed to itself", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t", { noLocal: true }));
  world.propose(A, { kind: "publish", publisher: "c", served: [], message: message("t", "own") });
  world.propose(A, { kind: "publish", publisher: "d", served: [], message: message("t", "other") });
  expect(world.owed("c")).toEqual(["other"]);
});

test("what is acknowledged is owed no longer, in any order; ordinals stay", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t"));
  for (const payload of ["0", "1", "2", "3"]) world.publish(B, "t", payload);
  const acknowledged = { clientId: "c", claim, ordinals: world.ordinals("c", 0, 2) };
  world.propose(A, { kind: "acknowledge", sessions: [acknowledged] });
  expect(world.owed("c")).toEqual(["1", "3"]);
  const { queue } = sessionOf(world, "c");
  expect([...queue].map(({ ordinal }) => ordinal)).toEqual(world.ordinals("c", 1, 3));
  expect(queue.after(world.ordinal("c", 1))?.ordinal).toBe(world.ordinal("c", 3));
});

test("a PUBREC is kept until the PUBCOMP", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t"));
  world.publish(B, "t", "1", 2);
  const ordinal = world.ordinal("c", 0);
  world.propose(A, { kind: "confirm", clientId: "c", claim, ordinal });
  world.open(B, "c");
  expect(sessionOf(world, "c").queue.get(ordinal)?.isReleased).toBe(true);
});

test("a full queue takes no more, says so, and is known by its client; other sessions get the message", () => {
  const world = new SessionWorld();
  const full = world.open(A, "full");
  world.subscribe(A, "full", full, wish("t"));
  for (let at = 0; at < QUEUED_MESSAGES_MAX; at++) expect(world.publish(B, "t", "x").outcome).toBe("applied");
  const other = world.open(A, "other");
  world.subscribe(A, "other", other, wish("t"));
  expect(world.publish(B, "t", "last")).toMatchObject({ outcome: "passed", passed: [{ clientId: "full" }] });
  expect(world.owed("full")).toHaveLength(QUEUED_MESSAGES_MAX);
  expect(world.owed("other")).toEqual(["last"]);
  expect([...world.machine.sessions.passed.byClient]).toEqual([["full", 1]]);
  expect(world.machine.sessions.passed.inAll).toBe(0);
});

test("of a thousand clients whose queues were full, the one that was passed by longest ago makes room for another", () => {
  const passed = new PassedSessions();
  for (let at = 0; at < 1000; at++) passed.count(`c${at}`, message("t", ""), false);
  passed.count("c0", message("t", ""), false);
  passed.count("another", message("t", ""), false);
  expect([...passed.byClient.keys()].slice(-2)).toEqual(["c0", "another"]);
  expect([passed.byClient.get("c0"), passed.byClient.has("c1"), passed.byClient.size]).toEqual([
    2,
    false,
    1000,
  ]);
});

test("a queue holds what the node of the newest claim allows, and what is in it stays", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { queuedMessagesMax: 2 });
  world.subscribe(A, "c", claim, wish("t"));
  const publish = (...payloads: string[]) =>
    payloads.map((payload) => world.publish(B, "t", payload).outcome);
  expect(publish("1", "2", "3")).toEqual(["applied", "applied", "passed"]);
  world.machine.restore(world.machine.snapshot());
  expect(publish("4")).toEqual(["passed"]);
  world.open(B, "c", { queuedMessagesMax: 3, queuedBytesMax: 1_000_000 });
  expect(publish("5", "6")).toEqual(["applied", "passed"]);
  world.open(A, "c", { queuedMessagesMax: 1 });
  expect(publish("7")).toEqual(["passed"]);
  world.open(A, "c", { queuedBytesMax: 100 });
  expect(publish("x".repeat(100))).toEqual(["passed"]);
  expect(world.owed("c")).toEqual(["1", "2", "5"]);
});

/** A session with room for one message, which it has, and one with room. */
function oneFull(filter: string, world = new SessionWorld()) {
  const claims = ["full", "roomy"].map((clientId) => {
    const claim = world.open(A, clientId, clientId === "full" ? { queuedMessagesMax: 1 } : {});
    world.subscribe(A, clientId, claim, wish("first"), wish(filter));
    return claim;
  });
  world.publish(B, "first", "0");
  const owed = (): readonly string[][] => ["full", "roomy"].map((clientId) => world.owed(clientId).slice(1));
  return { world, claims, owed };
}

test("a QoS 2 message of a session that passes another one by is published once, also if it comes again (P6)", () => {
  const { world, owed } = oneFull("t");
  const claim = world.open(A, "p");
  const once = {
    kind: "publishOnce",
    isRepeated: false,
    clientId: "p",
    claim,
    packetId: 1,
    message: message("t", "1", 2),
  } as const;
  const first = world.propose(A, once);
  expect(first).toMatchObject({ outcome: "passed", passed: [{ clientId: "full" }] });
  expect(publishedBy(first)).toEqual(["1"]);
  const again = world.propose(A, once);
  expect([again.outcome, publishedBy(again)]).toEqual(["applied", []]);
  expect(owed()).toEqual([[], ["1"]]);
});

test("a will that has no room in one queue is in the others, and counted", () => {
  const { world, owed } = oneFull("t");
  const claim = world.open(A, "w", { will: will("t", "gone") });
  expect(world.close(A, "w", claim)).toMatchObject({ outcome: "applied", passed: [{ clientId: "full" }] });
  expect(owed()).toEqual([[], ["gone"]]);
});

test("where the retained store has no room the message is refused, whoever else has room for it", () => {
  const { world, owed } = oneFull("last");
  const large = "x".repeat(4_000_000);
  for (let at = 0; at < 16; at++) expect(world.publish(B, `t/${at}`, large, 1, true).outcome).toBe("applied");
  expect(world.publish(B, "last", large, 1, true)).toMatchObject({
    outcome: "full",
    passed: [{ clientId: "full" }],
  });
  expect(owed().map(({ length }) => length)).toEqual([0, 1]);
});

test("no node's setting lifts a queue above the mesh's own bound", () => {
  const world = new SessionWorld();
  world.open(A, "c", { queuedMessagesMax: 1_000_000, queuedBytesMax: 2 ** 32 });
  expect(sessionOf(world, "c")).toMatchObject({
    queuedMessagesMax: QUEUED_MESSAGES_MAX,
    queuedBytesMax: 8 * 1024 * 1024,
  });
});

test("a message in many queues is kept once, and its bytes are free when the last one lets go of it", () => {
  const world = new SessionWorld();
  const claims = ["a", "b"].map((clientId) => {
    const claim = world.open(A, clientId);
    world.subscribe(A, clientId, claim, wish("t"));
    return { clientId, claim, ordinals: world.ordinals(clientId, 0) };
  });
  world.publish(B, "t", "x".repeat(1000));
  const { owed } = world.machine.sessions;
  const { bytes } = owed;
  expect(bytes).toBeLessThan(1100);
  world.propose(A, { kind: "acknowledge", sessions: claims.slice(0, 1) });
  expect(owed.bytes).toBe(bytes);
  world.propose(A, { kind: "acknowledge", sessions: claims.slice(1) });
  expect(owed.bytes).toBe(0);
});

test("more ordinals than packet identifiers, and a packet identifier is never given twice while it is under way", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t"));
  world.publish(B, "t", "stuck");
  const refused: number[] = [];
  const first = world.ordinal("c", 0);
  for (let ordinal = first + 1; ordinal < first + 70_000; ordinal++) {
    const { outcome } = world.publish(B, "t", "x");
    if (outcome === "passed") refused.push(ordinal);
    else world.propose(A, { kind: "acknowledge", sessions: [{ clientId: "c", claim, ordinals: [ordinal] }] });
    if (refused.length > 0) break;
  }
  const { queue } = sessionOf(world, "c");
  expect(refused).toHaveLength(1);
  expect(queue.nextOrdinal - first).toBeLessThan(65_535);
  expect(packetIdOf(queue.nextOrdinal)).not.toBe(packetIdOf(first));
});

// Retained messages

test("a subscription puts retained messages into the queue, by Retain Handling, sorted by topic", () => {
  const world = new SessionWorld();
  for (const topic of ["b", "a"]) world.publish(A, topic, `kept ${topic}`, 1, true);
  world.publish(A, "c", "QoS 0", 0, true);
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("#", { retainHandling: 1 }));
  expect(world.owed("c")).toEqual(["kept a", "kept b"]);
  expect([...sessionOf(world, "c").queue].map(({ retain }) => retain)).toEqual([true, true]);
  world.subscribe(A, "c", claim, wish("#", { retainHandling: 1 }), wish("a", { retainHandling: 2 }));
  expect(world.owed("c")).toHaveLength(2);
  world.subscribe(A, "c", claim, wish("#"));
  expect(world.owed("c")).toHaveLength(4);
});

test("more retained messages than a queue has room for: the subscription is good, the first ones are owed, the rest is counted", () => {
  const world = new SessionWorld();
  const topicOf = (at: number): string => `t/${`${at}`.padStart(5, "0")}`;
  for (let at = 0; at <= QUEUED_MESSAGES_MAX; at++) world.publish(A, topicOf(at), `${at}`, 1, true);
  const claim = world.open(A, "c");
  const { outcome, passed } = world.subscribe(A, "c", claim, wish("t/#"), wish("later"));
  expect(outcome).toBe("applied");
  expect(passed?.map(({ clientId, message: { topic } }) => [clientId, topic])).toEqual([
    ["c", topicOf(QUEUED_MESSAGES_MAX)],
  ]);
  const owed = world.owed("c");
  expect([owed.length, owed[0], owed.at(-1)]).toEqual([
    QUEUED_MESSAGES_MAX,
    "0",
    `${QUEUED_MESSAGES_MAX - 1}`,
  ]);
  expect([...world.machine.sessions.passed.byClient]).toEqual([["c", 1]]);
  // What comes later finds its subscription, and room when there is some.
  const ordinals = world.ordinals("c", 0, 1);
  world.propose(A, { kind: "acknowledge", sessions: [{ clientId: "c", claim, ordinals }] });
  world.publish(B, "t/1", "new");
  world.publish(B, "later", "newer");
  expect(world.owed("c").slice(-2)).toEqual(["new", "newer"]);
});

test("of retained messages that are larger than a queue, or the store, has room for those behind the first pass by as well", () => {
  const world = new SessionWorld();
  const large = "x".repeat(900_000);
  for (let at = 10; at < 20; at++) world.publish(A, `t/${at}`, large, 1, true);
  world.publish(A, "t/20", "small", 1, true);
  world.subscribe(A, "c", world.open(A, "c"), wish("t/#"));
  expect(world.owed("c")).toEqual(new Array(9).fill(large));
  const { passed } = world.machine.sessions;
  expect([[...passed.byClient], passed.inAll]).toEqual([[["c", 2]], 0]);
  world.propose(A, { kind: "storeLimit", owedBytesMax: 8_500_000 });
  world.subscribe(A, "d", world.open(A, "d"), wish("t/#"));
  expect(world.owed("d")).toEqual([]);
  expect([[...passed.byClient], passed.inAll]).toEqual([[["c", 2]], 11]);
});

test("a message with RETAIN goes into the store and into the queues, an empty one deletes", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t", { retainAsPublished: true }));
  world.publish(B, "t", "1", 1, true);
  expect(world.machine.retained.count).toBe(1);
  world.publish(B, "t", "", 1, true);
  expect(world.machine.retained.count).toBe(0);
  expect(world.owed("c")).toEqual(["1", ""]);
});

// QoS 2 of publishers

test("a QoS 2 message of a session is published once, on whatever node it is published again, until it is released (P6)", () => {
  const world = new SessionWorld();
  const reader = world.open(A, "reader");
  world.subscribe(A, "reader", reader, wish("t"));
  const first = world.open(A, "c");
  const once = {
    kind: "publishOnce",
    isRepeated: false,
    clientId: "c",
    packetId: 5,
    message: message("t", "1", 2),
  } as const;
  expect(publishedBy(world.propose(A, { ...once, claim: first }))).toEqual(["1"]);
  const second = world.open(B, "c");
  expect([...sessionOf(world, "c").received.keys()]).toEqual([5]);
  expect(publishedBy(world.propose(B, { ...once, claim: second }))).toEqual([]);
  expect(world.owed("reader")).toEqual(["1"]);
  world.propose(B, { kind: "release", clientId: "c", claim: second, packetId: 5 });
  world.propose(B, { ...once, claim: second, message: message("t", "2", 2) });
  expect(world.owed("reader")).toEqual(["1", "2"]);
});

// Wills

test("a will is published at once when its client is lost, by Will Delay later, or never if it is discarded", () => {
  const world = new SessionWorld();
  const published = (["publish", "discard"] as const).map((fate) => {
    const claim = world.open(A, fate, { will: will("w", fate) });
    return publishedBy(world.close(A, fate, claim, fate));
  });
  expect(published).toEqual([["publish"], []]);
  const late = world.open(A, "late", { will: will("w", "late", 30) });
  expect(publishedBy(world.close(A, "late", late))).toEqual([]);
  expect(world.pass(29)).toEqual([]);
  expect(world.pass(1)).toEqual(["late"]);
  expect(world.pass(3600)).toEqual([]);
});

test("the clients of a node that is gone have 15 s or one and a half keep-alives to come back, then their wills are published once (P9)", () => {
  const world = new SessionWorld();
  world.open(A, "back", { will: will("w", "back"), expirySeconds: 0 });
  world.open(A, "away", { will: will("w", "away"), expirySeconds: 0, keepAliveSeconds: 60 });
  world.open(A, "quick", { will: will("w", "quick"), expirySeconds: 0, keepAliveSeconds: 5 });
  world.nodeDown(A);
  expect(world.pass(14)).toEqual([]);
  world.open(B, "back", { expirySeconds: 0 });
  expect(world.pass(1)).toEqual(["quick"]);
  expect(world.pass(74)).toEqual([]);
  expect(world.pass(1)).toEqual(["away"]);
  world.nodeDown(A);
  expect(world.pass(1000)).toEqual([]);
  expect(world.machine.sessions.get("away")).toBeUndefined();
});

test("a claim elsewhere takes the will of the connection before back without a word", () => {
  const world = new SessionWorld();
  world.open(A, "c", { will: will("w", "old") });
  world.open(B, "c", { will: will("w", "new") });
  world.nodeDown(A);
  expect(world.pass(1000)).toEqual([]);
  const { owner, claimedAt } = sessionOf(world, "c");
  expect([owner?.node, claimedAt > 0]).toEqual([B, true]);
});

test("a will goes to kept sessions and into the retained store", () => {
  const world = new SessionWorld();
  const reader = world.open(B, "reader");
  world.subscribe(B, "reader", reader, wish("w"));
  const message = { ...will("w", "gone").message, retain: true };
  const claim = world.open(A, "c", { will: { message, delaySeconds: 0 }, expirySeconds: 0 });
  world.close(A, "c", claim);
  expect(world.owed("reader")).toEqual(["gone"]);
  expect(world.machine.retained.get("w")).toBeDefined();
});

test("a process that has started anew leaves what the one before held", () => {
  const world = new SessionWorld();
  world.open(A, "c");
  world.propose(A, { kind: "nodeUp" }, 2);
  expect(sessionOf(world, "c").owner).toBeUndefined();
  expect(sessionOf(world, "c").isKept).toBe(true);
});

// Time

test("a session ends when its expiry is over, counted from when its client left; a claim stops the clock", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { expirySeconds: 100 });
  world.subscribe(A, "c", claim, wish("t"));
  world.pass(500);
  world.close(A, "c", claim);
  world.pass(99);
  const second = world.open(B, "c", { expirySeconds: 100 });
  expect(sessionOf(world, "c").isPresent).toBe(true);
  world.pass(500);
  world.close(B, "c", second);
  world.pass(100);
  expect(world.machine.sessions.get("c")).toBeUndefined();
  expect(world.machine.sessions.wants("t")).toBe(false);
});

test("a clock that jumps by years ends no session", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { expirySeconds: 3600 });
  world.close(A, "c", claim);
  world.nowMs += 10 * 365 * 86_400_000;
  world.publish(B, "t", "later");
  expect(world.machine.sessions.get("c")).toBeDefined();
  world.pass(3600);
  expect(world.machine.sessions.get("c")).toBeUndefined();
});

test("sessions whose time is over are counted, but for those that end with their connection, or at the wish of their client", () => {
  const world = new SessionWorld();
  const { ended } = world.machine.sessions;
  world.close(A, "c", world.open(A, "c", { expirySeconds: 60 }));
  world.close(A, "d", world.open(A, "d", { expirySeconds: 0 }));
  world.close(A, "e", world.open(A, "e", { expirySeconds: 60 }));
  world.close(A, "e", world.open(A, "e", { expirySeconds: 0, cleanStart: true }));
  world.pass(59);
  expect(ended.expired).toBe(0);
  world.pass(1);
  expect(ended.expired).toBe(1);
  expect(ended.surplus.sessions).toBe(0);
});

test("there are so many sessions without a connection and no more: the one longest without ends first, its will is published", () => {
  const world = new SessionWorld();
  const leave = (clientId: string, more: Partial<SessionOpening> = {}): readonly string[] => {
    const claim = world.open(A, clientId, more);
    return publishedBy(world.close(A, clientId, claim));
  };
  world.subscribe(A, "z", world.open(A, "z"), wish("t"));
  leave("z", { will: will("w", "z", 3000) });
  for (const payload of ["1", "2"]) world.publish(B, "t", payload);
  leave("y");
  for (let at = 2; at < ABSENT_SESSIONS_MAX; at++) leave(`${at}`, { expirySeconds: NEVER_EXPIRES });
  const held = world.open(A, "held");
  leave("y");
  expect(world.machine.sessions.get("z")).toBeDefined();
  const restored = new StateMachine();
  restored.restore(world.machine.snapshot());
  expect(leave("one more")).toEqual(["z"]);
  world.close(A, "held", held);
  for (const bytes of world.log.slice(-3)) restored.apply(bytes, world.log.indexOf(bytes) + 1);
  for (const { sessions } of [world.machine, restored]) {
    expect(sessions.absent.count).toBe(ABSENT_SESSIONS_MAX);
    expect(["z", "2", "3", "y", "held"].filter((clientId) => sessions.get(clientId) === undefined)).toEqual([
      "z",
      "2",
    ]);
  }
  expect(restored.snapshot()).toEqual(world.machine.snapshot());
  // What went with them was acknowledged: the operator must hear of it.
  expect(world.machine.sessions.ended).toMatchObject({
    expired: 0,
    surplus: { sessions: 2, messages: 2, last: "2" },
  });
});

// DUP

test("what may have been sent by a node that cannot say so any more goes again with DUP", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t"));
  for (let at = 0; at < 100; at++) world.publish(B, "t", `${at}`);
  world.nodeDown(A);
  expect(sessionOf(world, "c").sentThrough).toBe(world.ordinal("c", 99));
  const orderly = world.open(B, "d");
  world.subscribe(B, "d", orderly, wish("t"));
  for (let at = 0; at < 10; at++) world.publish(B, "t", `${at}`);
  const close = { kind: "close", clientId: "d", claim: orderly, fate: "discard", expirySeconds: 60 } as const;
  const sentThrough = world.ordinal("d", 3);
  world.propose(B, { ...close, sentThrough });
  expect(sessionOf(world, "d").sentThrough).toBe(sentThrough);
});

// Shared subscriptions

test("of a shared subscription each message goes to one member, in turn, and to one that is connected if any is", () => {
  const world = new SessionWorld();
  const claims = new Map(["a", "b", "c"].map((clientId) => [clientId, world.open(A, clientId)] as const));
  for (const [clientId, claim] of claims) world.subscribe(A, clientId, claim, wish("$share/g/t"));
  world.close(A, "b", claims.get("b") ?? 0);
  for (let at = 0; at < 4; at++) world.publish(B, "t", `${at}`);
  expect(["a", "b", "c"].map((clientId) => world.owed(clientId))).toEqual([["0", "2"], [], ["1", "3"]]);
});

test.each<[string, (world: SessionWorld, claim: number) => void]>([
  ["CLOSE", (world, claim) => void world.close(A, "a", claim)],
  ["NODE_DOWN", (world) => void world.nodeDown(A)],
])("what a member leaves behind goes to those that are connected, in order: %s", (_, end) => {
  const world = new SessionWorld();
  const nodes = { a: A, b: B, c: B };
  const claims = Object.entries(nodes).map(([clientId, node]) => {
    const claim = world.open(node, clientId);
    world.subscribe(node, clientId, claim, wish("$share/g/t", { qos: 1 }));
    return claim;
  });
  for (let at = 0; at < 12; at++) world.publish(B, "t", `${at}`);
  end(world, claims[0] ?? 0);
  expect(Object.keys(nodes).map((clientId) => world.owed(clientId))).toEqual([
    [],
    ["1", "4", "7", "10", "0", "6"],
    ["2", "5", "8", "11", "3", "9"],
  ]);
});

test("of QoS 2 a member whose node is gone keeps what it may have, and the others get what comes from then on", () => {
  const world = new SessionWorld();
  for (const [node, clientId] of [
    [A, "a"],
    [B, "b"],
  ] as const)
    world.subscribe(node, clientId, world.open(node, clientId), wish("$share/g/t", { qos: 2 }));
  for (let at = 0; at < 4; at++) world.publish(B, "t", `${at}`, 2);
  world.nodeDown(A);
  for (let at = 4; at < 6; at++) world.publish(B, "t", `${at}`, 2);
  expect([world.owed("a"), world.owed("b")]).toEqual([
    ["0", "2"],
    ["1", "3", "4", "5"],
  ]);
});

test("a member without room is passed over while another one has room, and the message is passed by when none has", () => {
  const { world, owed, claims } = oneFull("$share/g/t");
  for (let at = 1; at <= 3; at++) expect(world.publish(B, "t", `${at}`).outcome).toBe("applied");
  world.close(A, "roomy", claims[1] ?? 0);
  expect(world.publish(B, "t", "4").outcome).toBe("applied");
  expect(owed()).toEqual([[], ["1", "2", "3", "4"]]);
  world.open(A, "roomy", { queuedMessagesMax: 1 });
  expect(world.publish(B, "t", "5")).toMatchObject({ outcome: "passed", passed: [{}] });
  expect(
    world.propose(B, { kind: "deal", sharedFilter: "$share/g/t", message: message("t", "6") }).outcome,
  ).toBe("passed");
  expect(owed()).toEqual([[], ["1", "2", "3", "4"]]);
});

test("what nobody else has room for stays with the member that leaves, and passes nobody by", () => {
  const { world, owed, claims } = oneFull("$share/g/t");
  world.publish(B, "t", "1");
  expect(world.close(A, "roomy", claims[1] ?? 0).passed).toEqual([]);
  expect(owed()).toEqual([[], ["1"]]);
});

test("a shared subscription that a live member serves gets nothing from the log", () => {
  const world = new SessionWorld();
  for (const name of ["g", "h"]) {
    const claim = world.open(A, name);
    world.subscribe(A, name, claim, wish(`$share/${name}/t`));
  }
  world.publish(B, "t", "1", 1, false, ["$share/g/t", "$share/unknown/t"]);
  expect([world.owed("g"), world.owed("h")]).toEqual([[], ["1"]]);
});

test("a message whose live members are gone goes to a kept one, if there is any that wants it", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("$share/g/t"), wish("$share/zero/t", { qos: 0 }));
  for (const sharedFilter of ["$share/g/t", "$share/zero/t", "$share/unknown/t"])
    expect(
      world.propose(B, { kind: "deal", sharedFilter, message: message("t", sharedFilter) }).outcome,
    ).toBe("applied");
  expect(world.owed("c")).toEqual(["$share/g/t"]);
});

test("what everybody gets from the log says which shared subscriptions have got it there", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { will: will("t", "w") });
  world.subscribe(A, "c", claim, wish("$share/g/t"), wish("$share/zero/t", { qos: 0 }));
  const once = { kind: "publishOnce", isRepeated: false, clientId: "c", claim, packetId: 1 } as const;
  const dealtBy = ({ publications = [] }: Applied) => publications.map(({ dealt }) => dealt);
  expect(dealtBy(world.propose(A, { ...once, message: message("t", "1", 2) }))).toEqual([["$share/g/t"]]);
  expect(dealtBy(world.close(A, "c", claim))).toEqual([["$share/g/t"]]);
  expect(world.owed("c")).toEqual(["1", "w"]);
});

test("a member with QoS 0 counts for nothing: what one leaves behind stays until another that wants it is there", () => {
  const world = new SessionWorld();
  const claims = ["a", "b"].map((clientId) => world.open(A, clientId));
  world.subscribe(A, "a", claims[0] ?? 0, wish("$share/g/t", { qos: 1 }));
  world.subscribe(A, "b", claims[1] ?? 0, wish("$share/g/t", { qos: 0 }));
  world.publish(B, "t", "1");
  const { routes } = world.machine.sessions;
  expect([routes.isDealt("$share/g/t"), routes.isAttended("$share/g/t")]).toEqual([true, true]);
  world.close(A, "a", claims[0] ?? 0);
  expect([routes.isDealt("$share/g/t"), routes.isAttended("$share/g/t")]).toEqual([true, false]);
  expect(world.owed("a")).toEqual(["1"]);
});

test.each(["publish", "publishOnce"] as const)(
  "P6: who was handed a message without a quorum is not owed it, wherever it is when the log brings it (%s)",
  (kind) => {
    const world = new SessionWorld();
    for (const client of ["had", "had not"])
      world.subscribe(A, client, world.open(A, client), wish("t", { qos: 2 }));
    const claim = world.open(A, "publisher");
    // It has gone to another node meanwhile.
    world.open(B, "had");
    const cluster = "00000000-0000-4000-8000-000000000001" as ClusterId;
    const alone = { cluster, seenThrough: 1, stamp: 1, had: ["had"], isAcknowledged: true };
    const said = message("t", "1", 2);
    world.propose(
      A,
      kind === "publish"
        ? { kind, publisher: undefined, served: [], message: said }
        : { kind, clientId: "publisher", claim, packetId: 1, isRepeated: false, message: said },
      1,
      alone,
    );
    expect([world.owed("had"), world.owed("had not")]).toEqual([[], ["1"]]);
    world.publish(A, "t", "2", 2);
    expect(world.owed("had")).toEqual(["2"]);
  },
);
