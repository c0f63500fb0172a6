/** Sessions of two clusters that become one: each rule, and that no message is lost whatever has happened on either side. */

import type { NodeId, QoS } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { STAMPS_PER_MS } from "../../src/hybrid-clock.ts";
import { QUEUED_MESSAGES_MAX } from "../../src/state-machine/sessions/session-queue.ts";
import type { SessionState } from "../../src/state-machine/sessions/session-state.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { steps, worldOf } from "./session-steps.ts";
import { A, B, message, publishedBy, SessionWorld, THEM, will, wish } from "./session-world.ts";

/** Nodes of the cluster that is taken in. */
const X = "00000000000000e1" as NodeId;

function sessionOf({ machine }: SessionWorld, clientId = "c"): SessionState {
  const session = machine.sessions.get(clientId);
  if (session === undefined) throw new Error(`no session ${clientId}`);
  return session;
}

/** A client claims its session, subscribes to `t`, and is owed `payloads`. */
function owe(world: SessionWorld, node: NodeId, payloads: readonly string[], qos: QoS = 2): number {
  const claim = world.open(node, "c");
  world.subscribe(node, "c", claim, wish("t"));
  for (const payload of payloads) world.publish(node, "t", payload, qos);
  return claim;
}

function two(): { readonly us: SessionWorld; readonly them: SessionWorld } {
  return { us: new SessionWorld("us"), them: new SessionWorld("them") };
}

function ordinals(world: SessionWorld): number[] {
  return [...sessionOf(world).queue].map(({ ordinal }) => ordinal);
}

// One cluster has it

test("a session that only the other cluster has goes on as it was: subscriptions, queue, ordinals, QoS 2 of both directions (P5, P6, P9)", () => {
  const { us, them } = two();
  const claim = owe(them, X, ["0", "1", "2", "3"]);
  const named = { clientId: "c", claim };
  them.propose(X, { kind: "acknowledge", sessions: [{ ...named, ordinals: them.ordinals("c", 0, 3) }] });
  them.propose(X, { kind: "confirm", ...named, ordinal: them.ordinal("c", 1) });
  const once = {
    kind: "publishOnce",
    isRepeated: false,
    packetId: 7,
    message: message("elsewhere", "once", 2),
  } as const;
  them.propose(X, { ...once, ...named });
  them.mergeInto(us);
  const session = sessionOf(us);
  expect([us.owed("c"), ordinals(us)]).toEqual([["1", "2"], them.ordinals("c", 1, 2)]);
  expect(session.queue.get(them.ordinal("c", 1))?.isReleased).toBe(true);
  expect(session.owner).toBeUndefined();
  // They may have been sent by a node that can no longer say so.
  expect(session.sentThrough).toBe(them.ordinal("c", 3));
  us.publish(A, "t", "4");
  expect(ordinals(us)).toEqual(them.ordinals("c", 1, 2, 4));
  const again = us.open(A, "c");
  expect(session.isPresent).toBe(true);
  expect(publishedBy(us.propose(A, { ...once, clientId: "c", claim: again }))).toEqual([]);
});

test("a queue that spans chunks comes whole, and a message in many queues is kept once", () => {
  const { us, them } = two();
  for (const clientId of ["a", "b"]) them.subscribe(X, clientId, them.open(X, clientId), wish("t"));
  for (let at = 0; at < 50; at++) them.publish(X, "t", `${at} ${"x".repeat(1000)}`);
  them.mergeInto(us, { chunkBytes: 4000 });
  expect(us.log.length).toBeGreaterThan(12);
  for (const clientId of ["a", "b"]) expect(us.owed(clientId)).toEqual(them.owed(clientId));
  expect(us.machine.sessions.owed.bytes).toBe(them.machine.sessions.owed.bytes);
});

test("nothing of a merge is seen before it is decided, and what is called off leaves nothing: begun anew, all of it comes once", () => {
  const { us, them } = two();
  owe(them, X, ["1", "2"]);
  const cut = them.dissolve(1);
  for (const chunk of them.chunks(1)) us.take(chunk, cut);
  expect(us.machine.sessions.get("c")).toBeUndefined();
  us.decide({ kind: "mergeAbort", loser: THEM, cut });
  expect(us.decide({ kind: "merged", loser: THEM, cut }).outcome).toBe("void");
  expect(us.machine.staged.count).toBe(0);
  them.decide({ kind: "resume", cut });
  // One more that nobody calls off: a later cut says enough.
  const second = them.dissolve(1);
  for (const chunk of them.chunks(1)) us.take(chunk, second);
  them.decide({ kind: "resume", cut: second });
  them.mergeInto(us);
  expect(us.owed("c")).toEqual(["1", "2"]);
});

test("a dissolved cluster stands still: no time passes in it, nobody leaves, nothing expires, and the pieces stay the same", () => {
  const them = new SessionWorld();
  const expiring = message("kept", "for a minute", 1, true);
  them.propose(X, {
    kind: "publish",
    publisher: undefined,
    served: [],
    message: { ...expiring, properties: { messageExpirySeconds: 60 } },
  });
  const claim = them.open(X, "late", { will: will("w", "gone", 30) });
  them.close(X, "late", claim);
  owe(them, X, ["1"]);
  const cut = them.dissolve(1);
  const before = them.chunks(1);
  expect(them.pass(300)).toEqual([]);
  expect(them.nodeDown(X).outcome).toBe("void");
  expect(them.chunks(1)).toEqual(before);
  them.decide({ kind: "resume", cut });
  // The clients had no chance to come back meanwhile.
  expect(them.pass(29)).toEqual([]);
  expect(them.pass(1)).toEqual(["gone"]);
  expect(them.machine.retained.count).toBe(1);
  them.pass(30);
  expect(them.machine.retained.count).toBe(0);
});

// Times

test("what had begun to run runs on: expiry, will delay and the lifetime of messages, also into a younger cluster", () => {
  const { us, them } = two();
  const claim = them.open(X, "c", { expirySeconds: 100, will: will("w", "gone", 50) });
  them.subscribe(X, "c", claim, wish("t"));
  const properties = { messageExpirySeconds: 60 };
  const operation = { kind: "publish", publisher: undefined, served: [] } as const;
  them.propose(X, { ...operation, message: { ...message("t", "1"), properties } });
  them.close(X, "c", claim);
  them.pass(40);
  them.mergeInto(us);
  const [entry] = [...sessionOf(us).queue];
  expect(us.machine.sessions.time.elapsed - (entry?.publishedAt ?? 0)).toBe(40_000);
  expect(us.pass(9)).toEqual([]);
  expect(us.pass(1)).toEqual(["gone"]);
  us.pass(49);
  expect(us.machine.sessions.get("c")).toBeDefined();
  us.pass(1);
  expect(us.machine.sessions.get("c")).toBeUndefined();
});

test("the will of a client that was connected waits for it to come back, like after the loss of a node (P9)", () => {
  const { us, them } = two();
  for (const clientId of ["back", "away"])
    them.open(X, clientId, { expirySeconds: 0, keepAliveSeconds: 0, will: will("w", clientId) });
  them.open(X, "only a claim", { expirySeconds: 0 });
  them.mergeInto(us);
  expect(us.machine.sessions.get("only a claim")).toBeUndefined();
  expect(us.pass(14)).toEqual([]);
  us.open(A, "back", { expirySeconds: 0 });
  expect(us.pass(60)).toEqual(["away"]);
  expect(us.machine.sessions.get("away")).toBeUndefined();
});

// Both have it

test.each([
  { newer: "ours", queue: ["our 0", "our 1", "their 0", "their 1"], qos: 1, received: [1], will: "ours" },
  { newer: "theirs", queue: ["their 0", "their 1", "our 0", "our 1"], qos: 2, received: [2], will: "theirs" },
])(
  "a session of both clusters is one, and the newer claim decides, here $newer; what it was owed comes first",
  ({ newer, queue, qos, received, will: expected }) => {
    const { us, them } = two();
    (newer === "ours" ? us : them).nowMs += 5000;
    for (const [world, node, name, granted] of [
      [us, A, "our", 1],
      [them, X, "their", 2],
    ] as const) {
      const claim = world.open(node, "c", { expirySeconds: granted, will: will("w", `${name}s`) });
      const named = { clientId: "c", claim };
      world.subscribe(node, "c", claim, wish("t", { qos: granted }), wish(name));
      for (const at of [0, 1]) world.publish(node, "t", `${name} ${at}`);
      const published = message("x", "x", 2);
      world.propose(node, {
        kind: "publishOnce",
        isRepeated: false,
        ...named,
        packetId: granted,
        message: published,
      });
    }
    us.nowMs += 10_000;
    them.mergeInto(us);
    const session = sessionOf(us);
    expect(us.owed("c")).toEqual(queue);
    expect(ordinals(us)).toEqual((newer === "ours" ? us : them).ordinals("c", 0, 1, 2, 3));
    expect([...session.subscriptions.keys()].sort()).toEqual(["our", "t", "their"]);
    expect(session.subscriptions.get("t")?.qos).toBe(qos);
    expect([...session.received.keys()]).toEqual(received);
    expect(session.expirySeconds).toBe(qos);
    expect(new TextDecoder().decode(session.will?.message.payload)).toBe(expected);
    // A connection with the older claim has lost the session.
    expect(session.owner?.node).toBe(newer === "ours" ? A : undefined);
    us.publish(A, "their", "new");
    expect(us.owed("c").at(-1)).toBe("new");
  },
);

test("a QoS 2 message that its client has got from the side of the older claim does not come again", () => {
  const { us, them } = two();
  const claim = owe(them, X, ["got", "not yet"]);
  them.propose(X, { kind: "confirm", clientId: "c", claim, ordinal: them.ordinal("c", 0) });
  us.nowMs += 5000;
  owe(us, A, []);
  them.mergeInto(us);
  expect(us.owed("c")).toEqual(["not yet"]);
});

test("clocks that differ do not make a claim newer: stamps are shifted as those of retained messages are", () => {
  const { us, them } = two();
  them.nowMs += 1e9;
  owe(them, X, ["theirs"]);
  us.nowMs += 5000;
  owe(us, A, ["ours"]);
  them.mergeInto(us, { shift: -1e9 * STAMPS_PER_MS });
  expect(sessionOf(us).owner?.node).toBe(A);
  expect(us.owed("c")).toEqual(["ours", "theirs"]);
});

test("a claim without a session ends none in the other cluster: its connection is over, and what is owed waits for it", () => {
  const { us, them } = two();
  owe(them, X, ["1"]);
  us.nowMs += 5000;
  us.open(A, "c", { expirySeconds: 0, will: will("w", "gone"), keepAliveSeconds: 0 });
  const { sessions } = them.mergeInto(us);
  const session = sessionOf(us);
  expect([session.owner, session.expirySeconds, us.owed("c")]).toEqual([undefined, 3600, ["1"]]);
  expect(sessions?.has(session)).toBe(true);
  us.open(A, "c", { expirySeconds: 0 });
  expect(session.isPresent).toBe(true);
  expect(us.pass(60)).toEqual([]);
});

test("two claims without a session: the newer one stays", () => {
  for (const isOurs of [true, false]) {
    const { us, them } = two();
    (isOurs ? us : them).nowMs += 1000;
    us.open(A, "c", { expirySeconds: 0, keepAliveSeconds: 0, will: will("w", "ours") });
    them.open(X, "c", { expirySeconds: 0, keepAliveSeconds: 0, will: will("w", "theirs") });
    us.nowMs += 1000;
    them.mergeInto(us);
    expect(sessionOf(us).owner?.node).toBe(isOurs ? A : undefined);
    expect(us.pass(100)).toEqual(isOurs ? [] : ["theirs"]);
  }
});

test("what finds no room is counted and said", () => {
  const { us, them } = two();
  const many = Array.from({ length: QUEUED_MESSAGES_MAX - 1000 }, (_, at) => `${at}`);
  owe(us, A, many);
  owe(them, X, many.slice(0, 1200));
  expect(them.mergeInto(us, { chunkBytes: 1e6 }).refused).toBe(200);
  expect(us.owed("c")).toEqual([...many, ...many.slice(0, 1000)]);
});

test("what a member of a shared subscription was owed over there goes to those that are connected here", () => {
  const { us, them } = two();
  for (const [world, node, clientId] of [
    [us, A, "here"],
    [them, X, "there"],
  ] as const)
    world.subscribe(node, clientId, world.open(node, clientId), wish("$share/g/t", { qos: 1 }));
  for (const payload of ["1", "2"]) them.publish(X, "t", payload);
  them.mergeInto(us);
  expect([us.owed("here"), us.owed("there")]).toEqual([["1", "2"], []]);
});

// Forks

test.each(["fork", "parent"])(
  "after a fork, taken in by the %s: what either side has delivered is owed no longer, what is new on either side is owed",
  (winner) => {
    const parent = new SessionWorld("parent");
    const claim = owe(parent, A, ["old 0", "old 1", "old 2", "old 3"]);
    const fork = parent.fork("fork", winner === "fork" ? THEM : undefined);
    for (const [world, delivered] of [
      [parent, 0],
      [fork, 2],
    ] as const) {
      const ordinals = world.ordinals("c", delivered);
      world.propose(A, { kind: "acknowledge", sessions: [{ clientId: "c", claim, ordinals }] });
      world.publish(A, "t", `new in ${world.name}`);
    }
    fork.propose(A, { kind: "confirm", clientId: "c", claim, ordinal: fork.ordinal("c", 3) });
    const [taken, into] = winner === "fork" ? [parent, fork] : [fork, parent];
    taken.mergeInto(into);
    const news = [`new in ${into.name}`, `new in ${taken.name}`];
    expect(into.owed("c")).toEqual(["old 1", "old 3", ...news]);
    expect(sessionOf(into).queue.get(into.ordinal("c", 3))?.isReleased).toBe(true);
  },
);

test("a cluster that is founded anew keeps all sessions with what they are owed", () => {
  const world = new SessionWorld();
  owe(world, A, ["1", "2"]);
  const fork = world.fork("fork");
  expect(fork.owed("c")).toEqual(["1", "2"]);
  expect(fork.machine.sessions.wants("t")).toBe(true);
  fork.nodeDown(A);
  fork.open(B, "c");
  expect(sessionOf(fork).isPresent).toBe(true);
});

// Any histories

/** Payloads that `clientId` is owed of what happened in `name`, but for shared subscriptions. */
function owedOf({ machine }: SessionWorld, clientId: string, name: string): string[] {
  const entries = [...(machine.sessions.get(clientId)?.queue ?? [])];
  const own = entries.filter(({ group, isReleased }) => group === undefined && !isReleased);
  return own.map(payloadOf).filter((payload) => payload.startsWith(name));
}

function payloadOf({ message: { payload } }: { readonly message: { readonly payload: Uint8Array } }): string {
  return new TextDecoder().decode(payload);
}

/** What kept sessions are owed by shared subscriptions. */
function sharedOf({ machine }: SessionWorld): string[] {
  const kept = [...machine.sessions.all()].filter(({ isKept }) => isKept);
  const entries = kept.flatMap(({ queue }) => [...queue]);
  return entries.filter(({ group, isReleased }) => group !== undefined && !isReleased).map(payloadOf);
}

/** Everything about sessions that must not depend on how the state was cut into chunks. */
function inEffect({ machine }: SessionWorld): unknown {
  return [...machine.sessions.all()].map((session) => {
    const { queue, ...rest } = session.save();
    const entries = [...queue].map(({ index: _, handle: __, message: sent, ...entry }) => ({
      ...entry,
      sent,
    }));
    return { ...rest, nextOrdinal: queue.nextOrdinal, queue: entries };
  });
}

const histories = fc.array(steps, { minLength: 1, maxLength: 60 });

test("any two histories: what a kept session is owed on either side it is owed afterwards, in order, on all replicas the same", () => {
  fc.assert(
    fc.property(
      histories,
      histories,
      fc.integer({ min: 1, max: 400 }),
      fc.nat(),
      (ours, theirs, bytes, at) => {
        const [us, them] = [worldOf(ours, "us"), worldOf(theirs, "them")];
        // What ends in the meantime would have ended without the merge.
        us.pass(Math.max(0, them.nowMs - us.nowMs) / 1000);
        const clients = ["a", "b", "c"].filter((client) =>
          [us, them].some(({ machine }) => machine.sessions.get(client)?.isKept),
        );
        const before = clients.map((client) => [owedOf(us, client, "us"), owedOf(them, client, "them")]);
        const shared = [...sharedOf(us), ...sharedOf(them)];
        them.mergeInto(us, { chunkBytes: bytes });

        const after = clients.map((client) => [owedOf(us, client, "us"), owedOf(us, client, "them")]);
        expect(after).toEqual(before);
        const everything = [...us.machine.sessions.all()].flatMap(({ queue }) => [...queue]).map(payloadOf);
        expect(everything).toEqual(expect.arrayContaining(shared));
        expectEqualReplicas(us, at);

        const whole = worldOf(ours, "us");
        whole.pass((us.nowMs - whole.nowMs) / 1000);
        worldOf(theirs, "them").mergeInto(whole, { chunkBytes: 1e6 });
        expect(inEffect(us)).toEqual(inEffect(whole));
      },
    ),
    { numRuns: 400 },
  );
});

/** A replica that follows the log, and one that is restored somewhere on the way. */
function expectEqualReplicas({ log, machine }: SessionWorld, at: number): void {
  let follower = new StateMachine();
  for (const [place, bytes] of log.entries()) {
    if (place === at % log.length) {
      const restored = new StateMachine();
      restored.restore(follower.snapshot());
      follower = restored;
    }
    follower.apply(bytes, place + 1);
  }
  expect(follower.snapshot()).toEqual(machine.snapshot());
  expect(follower.stateHash()).toBe(machine.stateHash());
}

test("every replica of a cluster makes the same pieces of it, also one that was restored", () => {
  fc.assert(
    fc.property(histories, fc.integer({ min: 1, max: 400 }), (history, bytes) => {
      const world = worldOf(history);
      world.dissolve(bytes);
      const restored = new SessionWorld();
      restored.machine.restore(world.machine.snapshot());
      expect(restored.chunks(bytes)).toEqual(world.chunks(bytes));
    }),
  );
});
