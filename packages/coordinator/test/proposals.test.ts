import {
  type ClusterId,
  type DiskDone,
  type Incarnation,
  type NodeId,
  SAFE_HERE_ONLY,
  SkeinError,
} from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Admission } from "../src/proposals/admission.ts";
import { PENDING_BYTES_MAX, Proposals } from "../src/proposals/proposals.ts";
import {
  COMMAND_BYTES_MAX,
  type Command,
  decodeCommand,
  decodeEnvelope,
  encodeCommand,
  type Operation,
  retainedOperation,
} from "../src/state-machine/commands.ts";
import { Sequencer } from "../src/state-machine/sequencer.ts";
import { VirtualClock } from "./support/virtual-clock.ts";
import { completion, retained, textOf } from "./support/world.ts";

const NODE = "000000000000000a" as NodeId;
const FIRST = 1 as Incarnation;
const CLUSTER = "00000000-0000-4000-8000-000000000001" as ClusterId;

/** A disk that is done when the test says so. */
class FakeOutbox {
  isCut = false;
  kept: Uint8Array[] = [];
  isCleared = false;
  #waiting: DiskDone[] = [];

  keep(commands: readonly Uint8Array[], done: DiskDone): void {
    this.kept.push(...commands);
    this.#waiting.push(done);
  }

  clear(): void {
    this.isCleared = true;
  }

  write(): void {
    for (const done of this.#waiting.splice(0)) done(undefined);
  }

  fail(): void {
    for (const done of this.#waiting.splice(0)) done(new SkeinError("ERR_SKEIN_DISK", "full"));
  }
}

function setUp(incarnation = FIRST) {
  const clock = new VirtualClock();
  const frames: number[][] = [];
  const sent: Uint8Array[] = [];
  const leader = { isKnown: true };
  const disk = { isFull: false };
  const time = { stamp: 0 };
  const released: number[] = [];
  const outbox = new FakeOutbox();
  const proposals = new Proposals(NODE, incarnation, {
    clock,
    propose: (commands) => {
      if (leader.isKnown) {
        frames.push(commands.map((bytes) => decodeEnvelope(bytes).seq));
        sent.push(...commands);
      }
      return leader.isKnown;
    },
    isFull: () => disk.isFull,
    stamp: () => time.stamp,
    applied: () => ({ cluster: CLUSTER, index: 17 }),
    remembersRepeated: () => true,
    outbox,
    released: (commands) => released.push(...commands.map(({ seq }) => seq)),
  });
  const run = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 250) {
      proposals.tick(clock.monotonicMs());
      clock.advance(250);
    }
  };
  return { clock, disk, frames, leader, outbox, proposals, released, run, sent, time };
}

test("all proposals of one turn go in one frame, in order; only when applied are they acknowledged", () => {
  const { clock, frames, proposals } = setUp();
  const done = completion();
  for (const topic of ["a", "b", "c"]) expect(proposals.put(retained(topic, "1"), done)).toBe(1);
  expect(proposals.put(retained("d", "1", 0), undefined)).toBe(0);
  expect(frames).toEqual([]);
  clock.endTurn();
  expect(frames).toEqual([[1, 2, 3, 4]]);
  expect(done.codes).toEqual([]);
  proposals.settleThrough(2);
  expect(done.codes).toEqual([0, 0]);
  expect(proposals.count).toBe(2);
});

test("what is sent is not sent twice while things move; new proposals follow on", () => {
  const { clock, frames, proposals } = setUp();
  proposals.put(retained("a", "1"), undefined);
  clock.endTurn();
  proposals.put(retained("b", "1"), undefined);
  clock.endTurn();
  proposals.settleThrough(1);
  proposals.put(retained("c", "1"), undefined);
  clock.endTurn();
  expect(frames).toEqual([[1], [2], [3]]);
});

test("without progress everything goes again from the oldest after 0.5 s, then ever more rarely", () => {
  const { clock, frames, proposals, run } = setUp();
  proposals.put(retained("a", "1"), undefined);
  proposals.put(retained("b", "1"), undefined);
  clock.endTurn();
  run(20_000);
  expect(frames.length).toBeGreaterThanOrEqual(6);
  expect(frames.length).toBeLessThanOrEqual(9);
  expect(frames.every((seqs) => seqs.join() === "1,2")).toBe(true);
  proposals.settleThrough(2);
  run(20_000);
  expect(frames.length).toBeLessThanOrEqual(9);
});

test("a steady flow of new proposals does not keep a lost one from going again", () => {
  const { clock, frames, proposals, run } = setUp();
  proposals.put(retained("lost", "1"), undefined);
  clock.endTurn();
  for (let i = 0; i < 4; i++) {
    proposals.put(retained(`t/${i}`, "1"), undefined);
    run(250);
  }
  expect(frames.filter((seqs) => seqs[0] === 1).length).toBeGreaterThan(1);
});

test("what comes through the log behind a gap has what is missing sent again at once, and once", () => {
  const { clock, frames, proposals } = setUp();
  const put = (topic: string): void => {
    proposals.put(retained(topic, "1"), undefined);
    clock.endTurn();
  };
  for (const topic of ["not taken", "taken", "under way"]) put(topic);
  proposals.cameTooEarly(2);
  clock.endTurn();
  put("after");
  proposals.cameTooEarly(3);
  clock.endTurn();
  expect(frames).toEqual([[1], [2], [3], [1, 2, 3], [4]]);
  proposals.cameTooEarly(4);
  clock.endTurn();
  expect(frames.at(-1)).toEqual([1, 2, 3, 4]);
});

test("without a leader nothing is sent; when one is known everything goes, oldest first", () => {
  const { clock, frames, leader, proposals } = setUp();
  leader.isKnown = false;
  proposals.put(retained("a", "1"), undefined);
  clock.endTurn();
  proposals.put(retained("b", "1"), undefined);
  clock.endTurn();
  expect(frames).toEqual([]);
  leader.isKnown = true;
  proposals.sendAgain();
  clock.endTurn();
  expect(frames).toEqual([[1, 2]]);
});

test("a message too large for the log and a topic with a wildcard are refused, each with its reason code", () => {
  const { clock, proposals } = setUp();
  const done = completion();
  const huge = { ...retained("t", "x"), payload: new Uint8Array(COMMAND_BYTES_MAX) };
  expect(proposals.put(huge, done)).toBe(1);
  expect(proposals.put(retained("a/#", "x"), done)).toBe(1);
  expect(done.codes).toEqual([]);
  clock.endTurn();
  expect(done.codes).toEqual([0x97, 0x90]);
  expect(proposals.count).toBe(0);
});

test("pending bytes are bounded too", () => {
  const { proposals } = setUp();
  const big = { ...retained("t", "x"), payload: new Uint8Array(3 * 1024 * 1024) };
  let taken = 0;
  while (proposals.refused === 0 && taken < 100) {
    proposals.put(big, completion());
    if (proposals.refused === 0) taken++;
  }
  expect(taken).toBe(Math.floor(PENDING_BYTES_MAX / (3 * 1024 * 1024 + 40)));
});

test("a full store is told to the proposer of that write only", () => {
  const { proposals } = setUp();
  const [first, second] = [completion(), completion()];
  proposals.put(retained("a", "1"), first);
  proposals.put(retained("b", "1"), second);
  proposals.settleThrough(2, 0x97);
  expect([first.codes, second.codes]).toEqual([[0], [0x97]]);
});

test("reads show the newest pending write of a topic until it is applied", () => {
  const { proposals } = setUp();
  proposals.put(retained("a/b", "1"), undefined);
  proposals.put(retained("a/b", "2"), undefined);
  proposals.put(retained("a/c", ""), undefined);
  const seen: (string | undefined)[] = [];
  proposals.own.match("a/+", ({ message }) => seen.push(textOf(message)));
  expect(seen).toEqual(["2"]);
  expect([proposals.own.hides("a/b"), proposals.own.hides("a/c"), proposals.own.hides("a")]).toEqual([
    true,
    true,
    false,
  ]);
  proposals.settleThrough(1);
  expect(proposals.own.hides("a/b")).toBe(true);
  proposals.settleThrough(3);
  expect([proposals.own.hides("a/b"), proposals.own.hides("a/c")]).toEqual([false, false]);
});

test("a payload that is a view of a reused buffer is copied", () => {
  const { proposals } = setUp();
  const buffer = Buffer.from("first");
  proposals.put({ ...retained("t", "x"), payload: buffer.subarray(0, 5) }, undefined);
  buffer.fill(0);
  const seen: (string | undefined)[] = [];
  proposals.own.match("t", ({ message }) => seen.push(textOf(message)));
  expect(seen).toEqual(["first"]);
});

test("the leader appends no certain repeat and never withholds what the sequencer would still take", () => {
  const steps = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 8 }), fc.constantFrom("offer", "refuse", "apply", "reset")),
    {
      maxLength: 80,
    },
  );
  fc.assert(
    fc.property(steps, (events) => {
      const sequencer = new Sequencer();
      const admission = new Admission(sequencer);
      const log: number[] = [];
      let applied = 0;
      const apply = (): void => {
        const seq = log[applied++] as number;
        sequencer.take({ node: NODE, incarnation: FIRST, seq }, applied);
      };
      for (const [seq, what] of events) {
        if (what === "offer") {
          if (admission.admit({ node: NODE, incarnation: FIRST, seq })) log.push(seq);
        } else if (what === "refuse") {
          const mark = admission.mark(NODE);
          admission.admit({ node: NODE, incarnation: FIRST, seq });
          admission.goBack(NODE, mark);
        } else if (what === "reset") {
          // Another leader's term: what was appended and not applied may be gone.
          log.length = applied;
          admission.reset();
        } else if (applied < log.length) apply();
      }
      // The proposer's rule, send again from the oldest, always gets everything through.
      for (let seq = sequencer.last(NODE, FIRST) + 1; seq <= 8; seq++) {
        if (admission.admit({ node: NODE, incarnation: FIRST, seq })) log.push(seq);
      }
      while (applied < log.length) apply();
      expect(sequencer.last(NODE, FIRST)).toBe(8);
      const before = log.length;
      for (let seq = 1; seq <= 8; seq++) {
        if (admission.admit({ node: NODE, incarnation: FIRST, seq })) log.push(seq);
      }
      expect(log.length).toBe(before);
    }),
    { numRuns: 300 },
  );
});

test("while the disk is full a durable write is refused with 0x97, one that nobody waits for is dropped", () => {
  const { clock, disk, frames, proposals } = setUp();
  const done = completion();
  disk.isFull = true;
  proposals.put(retained("a", "1"), done);
  proposals.put(retained("a", "1", 0), undefined);
  clock.endTurn();
  expect(done.codes).toEqual([0x97]);
  expect([proposals.refused, proposals.dropped]).toEqual([1, 1]);
  disk.isFull = false;
  proposals.put(retained("a", "1"), done);
  clock.endTurn();
  expect(frames).toEqual([[1]]);
});

test("P3: without a quorum a write is acknowledged when it is on this node's disk, not before, and still goes to the next leader", () => {
  const { clock, frames, leader, outbox, proposals, released, run } = setUp();
  leader.isKnown = false;
  const done = completion();
  const message = { ...retained("a", "1"), retain: false };
  proposals.propose({ kind: "publish", publisher: undefined, served: [], message }, done);
  run(1000);
  expect([done.codes, outbox.kept]).toEqual([[], []]);
  outbox.isCut = true;
  proposals.propose({ kind: "nodeUp" }, done);
  clock.advance(250);
  expect([done.codes, outbox.kept.length, released]).toEqual([[], 2, []]);
  outbox.write();
  expect([done.codes, released]).toEqual([
    [SAFE_HERE_ONLY, 0],
    [1, 2],
  ]);
  leader.isKnown = true;
  outbox.isCut = false;
  proposals.sendAgain();
  clock.advance(1);
  expect(frames).toEqual([[1, 2]]);
  expect(outbox.isCleared).toBe(false);
  proposals.settleThrough(2);
  expect(outbox.isCleared).toBe(true);
  expect(done.codes).toEqual([SAFE_HERE_ONLY, 0]);
});

test("P3: a retained write that is acknowledged without a quorum says how much of the log its node had seen, also to a later run", () => {
  const { clock, leader, outbox, proposals } = setUp();
  leader.isKnown = false;
  const done = completion();
  proposals.put(retained("a", "1"), done);
  clock.advance(1);
  outbox.isCut = true;
  proposals.put(retained("b", ""), done);
  clock.advance(1);
  outbox.write();
  expect(done.codes).toEqual([SAFE_HERE_ONLY, SAFE_HERE_ONLY]);
  const alone = { cluster: CLUSTER, seenThrough: 17, stamp: 0, had: [], isAcknowledged: true };
  expect(outbox.kept.map((bytes) => decodeCommand(bytes).alone)).toEqual([alone, alone]);

  const later = setUp(2 as Incarnation);
  later.proposals.inherit(outbox.kept);
  expect([later.proposals.own.hides("a"), later.proposals.own.hides("b")]).toEqual([true, true]);
  later.proposals.inheritedLeft(({ envelope }) => envelope.seq > 1);
  expect([later.proposals.own.hides("a"), later.proposals.own.hides("b")]).toEqual([false, true]);
});

test("P6: who has had a message before the log takes it is named with it, also to the next leader and to a later run", () => {
  const { clock, leader, outbox, proposals, run, sent } = setUp();
  const message = { ...retained("t", "1", 2), retain: false };
  for (const text of ["first", "second"])
    proposals.propose({ kind: "publish", publisher: text, served: [], message }, completion());
  leader.isKnown = false;
  outbox.isCut = true;
  proposals.had(1, "too early");
  clock.advance(1);
  outbox.write();
  for (const client of ["sleeper", "kitchen", "sleeper"]) proposals.had(2, client);
  run(250);
  const last = decodeCommand(outbox.kept.at(-1) as Uint8Array);
  expect([last.envelope.seq, last.alone?.had]).toEqual([2, ["sleeper", "kitchen"]]);
  expect(outbox.kept).toHaveLength(3);
  run(250);
  expect(outbox.kept).toHaveLength(3);
  outbox.isCut = false;
  leader.isKnown = true;
  proposals.sendAgain();
  clock.advance(1);
  expect(sent.map((bytes) => decodeCommand(bytes).alone?.had)).toEqual([undefined, ["sleeper", "kitchen"]]);
  const later = setUp(2 as Incarnation);
  later.proposals.inherit(outbox.kept);
  later.clock.advance(1);
  expect(decodeCommand(later.sent[1] as Uint8Array).alone?.had).toEqual(["sleeper", "kitchen"]);
  proposals.settleThrough(2);
  proposals.had(2, "late");
  run(250);
  expect(outbox.kept).toHaveLength(3);
});

/** A retained write without a quorum: it is on its way to the disk. */
function setUpCut() {
  const parts = setUp();
  const { clock, leader, outbox, proposals } = parts;
  leader.isKnown = false;
  outbox.isCut = true;
  const done = completion();
  proposals.put(retained("t", "1"), done);
  clock.advance(1);
  const hearLeader = (): void => {
    leader.isKnown = true;
    proposals.sendAgain();
    clock.advance(1);
  };
  return { ...parts, done, hearLeader };
}

test("what the disk does not take without a quorum is not acknowledged, and goes to the log as an ordinary write", () => {
  const { outbox, proposals, sent, done, hearLeader } = setUpCut();
  outbox.fail();
  outbox.isCut = false;
  hearLeader();
  expect(sent.map((bytes) => decodeCommand(bytes).alone)).toEqual([undefined]);
  proposals.settleThrough(1);
  expect(done.codes).toEqual([0]);
});

test("what came through the log while its disk stood still is not called safe with the mesh, if the log may have put it aside", () => {
  const { outbox, proposals, done } = setUpCut();
  proposals.settleThrough(1);
  outbox.write();
  expect(done.codes).toEqual([SAFE_HERE_ONLY]);
});

test("what its disk refuses when a leader has it already is not called safe with the mesh: the log may put it aside", () => {
  const { outbox, proposals, sent, done, hearLeader } = setUpCut();
  hearLeader();
  expect(decodeCommand(sent[0] as Uint8Array).alone).toBeDefined();
  outbox.fail();
  proposals.settleThrough(1);
  expect(done.codes).toEqual([SAFE_HERE_ONLY]);
});

test("P6: a QoS 2 message whose publisher has gone before it counts is not called acknowledged, and nobody gets it early", () => {
  const { clock, leader, outbox, proposals, released, run } = setUp();
  leader.isKnown = false;
  const once = (claim: number): void => {
    const message = { ...retained("t", "1", 2), retain: false };
    proposals.propose(
      { kind: "publishOnce", isRepeated: false, clientId: "p", claim, packetId: 1, message },
      completion(),
    );
  };
  once(1);
  proposals.propose(
    { kind: "close", clientId: "p", claim: 1, fate: "discard", expirySeconds: 60, sentThrough: -1 },
    undefined,
  );
  once(2);
  outbox.isCut = true;
  run(250);
  outbox.write();
  clock.advance(1);
  const acknowledged = outbox.kept.map((bytes) => decodeCommand(bytes).alone?.isAcknowledged);
  expect([acknowledged, released]).toEqual([
    [false, undefined, true],
    [2, 3],
  ]);
  proposals.had(1, "c");
  run(250);
  expect(outbox.kept.slice(3).map((bytes) => decodeCommand(bytes).alone)).toEqual([
    { cluster: CLUSTER, seenThrough: 17, stamp: 0, had: ["c"], isAcknowledged: false },
  ]);
});

test("P5: what its client has released says so, in the next form that goes to the disk and to a leader", () => {
  const { clock, leader, outbox, proposals, run, sent } = setUp();
  leader.isKnown = false;
  outbox.isCut = true;
  const of = { clientId: "p", claim: 1, packetId: 1 } as const;
  const message = { ...retained("t", "1", 2), retain: false };
  const once = { kind: "publishOnce", isRepeated: false, ...of, message } as const;
  proposals.propose(once, completion());
  run(250);
  outbox.write();
  proposals.propose({ kind: "release", ...of }, completion());
  proposals.propose({ ...once, packetId: 2 }, completion());
  // The same identifier again, on a later connection.
  proposals.propose({ ...once, claim: 5 }, completion());
  run(500);
  outbox.write();
  const isReleased = (commands: readonly Uint8Array[]) =>
    commands.map((bytes) => decodeCommand(bytes).alone?.isReleased === true);
  expect(isReleased(outbox.kept)).toEqual([false, false, false, false, true]);
  outbox.isCut = false;
  leader.isKnown = true;
  proposals.sendAgain();
  clock.advance(1);
  expect(isReleased(sent)).toEqual([true, false, false, false]);
});

test("in another cluster, whose log it has never seen, only the clocks can tell which write is the later one", () => {
  const { clock, proposals, sent } = setUp();
  const envelope = { node: "000000000000000b" as NodeId, incarnation: FIRST, seq: 3 };
  const alone = { cluster: CLUSTER, seenThrough: 40, stamp: 7, had: [], isAcknowledged: true };
  const operation = retainedOperation(retained("t", "1"));
  expect(proposals.inherit([encodeCommand({ envelope, stamp: 7, alone, operation })])).toBe(7);
  clock.advance(1);
  expect(sent.map((bytes) => decodeCommand(bytes).alone)).toEqual([{ ...alone, seenThrough: 0 }]);
});

test("what an earlier run has acknowledged goes before all else, as it was, and what another identity wrote as this node's own", () => {
  const { clock, frames, leader, outbox, proposals } = setUp();
  const of = (node: string, seq: number) => {
    const envelope = { node: node as NodeId, incarnation: FIRST, seq };
    return encodeCommand({ envelope, stamp: 0, operation: retainedOperation(retained(`t${seq}`, "1")) });
  };
  proposals.inherit([of(NODE, 7), of(NODE, 8), of("000000000000000b", 3)]);
  clock.advance(1);
  expect(frames).toEqual([[1, 7, 8]]);
  proposals.inheritedLeft(({ envelope }) => envelope.seq > 7);
  expect(leader.isKnown && outbox.isCleared).toBe(false);
  proposals.inheritedLeft(() => false);
  clock.advance(1);
  expect(frames).toEqual([[1, 7, 8], [1]]);
  proposals.settleThrough(1);
  expect(outbox.isCleared).toBe(true);
});

test("what was not acknowledged leaves its places only, those side by side in one command, those at the end in none", () => {
  const { clock, frames, outbox, proposals } = setUp();
  const of = (seq: number, operation: Operation) => {
    return encodeCommand({ envelope: { node: NODE, incarnation: FIRST, seq }, stamp: 0, operation });
  };
  const skip = (seq: number) => of(seq, { kind: "skip", through: seq });
  const message = { ...retained("t", "1"), retain: false };
  const publish = { kind: "publish", publisher: undefined, served: [], message } as const;
  proposals.inherit([skip(3), skip(4), skip(5), of(6, publish), skip(7), of(8, publish), skip(9), skip(10)]);
  clock.advance(1);
  expect(frames).toEqual([[1, 3, 6, 7, 8]]);
  const through = ({ envelope, operation }: Command) =>
    operation.kind === "skip" ? operation.through : envelope.seq;
  proposals.inheritedLeft((command) => through(command) > 5);
  proposals.sendAgain();
  clock.advance(1);
  expect(frames.at(-1)).toEqual([6, 7, 8]);
  const idle = setUp();
  idle.proposals.inherit([skip(1), skip(2)]);
  expect([idle.proposals.count, idle.outbox.isCleared, outbox.isCleared]).toEqual([0, true, false]);
});

test("what all nodes have lost before an outbox leaves its places only, of each process that left something", () => {
  const { clock, proposals, ...ports } = setUp();
  const message = { ...retained("t", "1"), retain: false };
  const operation = { kind: "publish", publisher: undefined, served: [], message } as const;
  const of = (incarnation: number, seq: number) => {
    const envelope = { node: NODE, incarnation: incarnation as Incarnation, seq };
    return encodeCommand({ envelope, stamp: 0, operation });
  };
  proposals.inherit([of(4, 7), of(4, 8), of(5, 1), of(6, 3)]);
  clock.advance(1);
  expect(ports.frames).toEqual([[1, 7, 8, 1, 1, 3]]);
  // Sent one after the other they follow on each other, whatever the log has.
  for (const has of [0, 3, 6, 7, 8]) {
    const sequencer = new Sequencer();
    const envelope = { node: NODE, incarnation: 4 as Incarnation, seq: 1 };
    if (has > 0) sequencer.take(envelope, 1, has);
    sequencer.take(envelope, 2, 6);
    for (const seq of [7, 8]) sequencer.take({ ...envelope, seq }, seq);
    expect(sequencer.last(NODE, envelope.incarnation)).toBe(8);
  }
});

test("what a full disk did not take leaves its places, and does not hold up what was kept after it", () => {
  const of = (seq: number, payload: string) => {
    const envelope = { node: NODE, incarnation: FIRST, seq };
    return encodeCommand({ envelope, stamp: 0, operation: retainedOperation(retained("t", payload)) });
  };
  const { clock, proposals, sent } = setUp(2 as Incarnation);
  proposals.inherit([of(1, "a"), of(4, "d")]);
  clock.advance(1);
  const sequencer = new Sequencer();
  for (const [at, bytes] of sent.entries()) {
    const { envelope, operation } = decodeCommand(bytes);
    const through = operation.kind === "skip" ? operation.through : envelope.seq;
    expect(sequencer.take(envelope, at, through)).toBe("next");
  }
  expect([sequencer.last(NODE, FIRST), proposals.own.hides("t")]).toEqual([4, true]);
});

test("what the disk took only after what came next keeps its place before that", () => {
  const of = (node: NodeId, seq: number, payload: string) => {
    const envelope = { node, incarnation: FIRST, seq };
    return encodeCommand({ envelope, stamp: 0, operation: retainedOperation(retained("t", payload)) });
  };
  const shown = (node: NodeId) => {
    const { clock, proposals, sent } = setUp(2 as Incarnation);
    proposals.inherit([of(node, 1, "a"), of(node, 3, "c"), of(node, 2, "b"), of(node, 3, "c")]);
    clock.advance(1);
    const texts: (string | undefined)[] = [];
    proposals.own.match("#", ({ message }) => texts.push(textOf(message)));
    const payload = (bytes: Uint8Array) => {
      const { operation } = decodeCommand(bytes);
      return operation.kind === "retainedSet" ? textOf(operation.message) : operation.kind;
    };
    return { texts, sent: sent.map(payload) };
  };
  for (const node of [NODE, "000000000000000b" as NodeId])
    expect(shown(node)).toEqual({ texts: ["c"], sent: ["a", "b", "c"] });
});

/** The lifetime, in seconds, and the stamp that the newest copy of command `seq` says. */
function saidOf(sent: readonly Uint8Array[], seq: number): readonly [number | undefined, number] {
  const { operation, stamp } = sent
    .map(decodeCommand)
    .findLast(({ envelope }) => envelope.seq === seq) as Command;
  const { message } = operation as Extract<Operation, { kind: "publish" | "retainedSet" }>;
  return [message.properties?.messageExpirySeconds, stamp];
}

test("a message that has waited for a leader goes into the log as one of now, with what is left of its lifetime; a retained one as it is", () => {
  const { clock, leader, outbox, proposals, run, sent, time } = setUp();
  const properties = { messageExpirySeconds: 60 };
  const publish = (): number => {
    const message = { ...retained("t", "x"), retain: false, properties };
    proposals.propose({ kind: "publish", publisher: undefined, served: [], message }, completion());
    return proposals.proposedSeq;
  };
  time.stamp = 1000;
  publish();
  clock.endTurn();
  expect(saidOf(sent, 1)).toEqual([60, 1000]);
  [leader.isKnown, outbox.isCut, time.stamp] = [false, true, 2000];
  publish();
  proposals.put({ ...retained("t", "x"), properties }, completion());
  run(20_000);
  outbox.write();
  [leader.isKnown, outbox.isCut, time.stamp] = [true, false, 3000];
  proposals.sendAgain();
  clock.endTurn();
  expect([1, 2, 3].map((seq) => saidOf(sent, seq))).toEqual([
    [40, 3000],
    [40, 3000],
    [60, 2000],
  ]);
  const copies = sent.map(decodeCommand);
  expect(copies.map((command) => proposals.hasProposed(command)).includes(false)).toBe(false);
  expect(proposals.hasProposed({ ...(copies[0] as Command), stamp: 3001 })).toBe(false);
  run(50_000);
  expect(saidOf(sent, 1)[0]).toBe(0);
});
