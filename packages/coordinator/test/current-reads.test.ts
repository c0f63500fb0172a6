import type { MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { CurrentReads } from "../src/retained/current-reads.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

/** Raft and the proposals of a node in a test's hands. */
class Node {
  readonly clock = new VirtualClock();
  readonly asked: number[] = [];
  readonly answers: [string, boolean][] = [];
  hasLeader = true;
  proposedSeq = 0;
  settledSeq = 0;
  heldThrough = Number.POSITIVE_INFINITY;
  readonly reads: CurrentReads<string>;

  constructor(incarnation = 0) {
    this.reads = new CurrentReads(incarnation, {
      clock: this.clock,
      hasLeader: () => this.hasLeader,
      ask: (request) => this.asked.push(request),
      heldThrough: () => this.heldThrough,
      proposedSeq: () => this.proposedSeq,
      settledSeq: () => this.settledSeq,
      answer: (reader, isCurrent) => this.answers.push([reader, isCurrent]),
    });
  }

  /** Raft answers a question, and the turn ends. */
  confirm(...requests: number[]): void {
    this.reads.confirmed(requests);
    this.reads.settle();
  }

  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 250) {
      this.clock.advance(Math.min(250, left));
      this.reads.tick(this.clock.monotonicMs() as MonotonicMs);
    }
  }
}

test("those that come while a question is under way share the next one", () => {
  const node = new Node();
  for (const reader of ["a", "b", "c"]) node.reads.add(reader);
  expect(node.asked).toEqual([1]);
  node.confirm(1);
  expect(node.answers).toEqual([["a", true]]);
  expect(node.asked).toEqual([1, 2]);
  node.confirm(2);
  expect(node.answers.slice(1)).toEqual([
    ["b", true],
    ["c", true],
  ]);
  expect(node.asked).toEqual([1, 2]);
});

test("nobody is answered within the step of Raft that confirms", () => {
  const node = new Node();
  node.reads.add("a");
  node.reads.confirmed([1]);
  expect(node.answers).toEqual([]);
  node.reads.settle();
  expect(node.answers).toEqual([["a", true]]);
});

test("a question without an answer is asked again, and a late answer still counts for those who were there", () => {
  const node = new Node();
  node.reads.add("a");
  node.pass(500);
  node.reads.add("b");
  expect(node.asked).toEqual([1, 2]);
  node.confirm(1);
  expect(node.answers).toEqual([["a", true]]);
  node.pass(500);
  expect(node.asked).toEqual([1, 2, 3]);
  node.confirm(3);
  expect(node.answers).toEqual([
    ["a", true],
    ["b", true],
  ]);
});

test("an answer to an earlier question does not count for who came after it", () => {
  const node = new Node();
  node.reads.add("a");
  node.reads.add("b");
  node.reads.askAgain();
  expect(node.asked).toEqual([1, 2]);
  node.reads.add("c");
  node.confirm(1);
  node.confirm(2);
  expect(node.answers).toEqual([
    ["a", true],
    ["b", true],
  ]);
});

test("answers to questions of an earlier life count for nobody", () => {
  const before = new Node(41);
  before.reads.add("a");
  const after = new Node(42);
  after.reads.add("b");
  after.confirm(...before.asked);
  expect(after.answers).toEqual([]);
  after.confirm(...after.asked);
  expect(after.answers).toEqual([["b", true]]);
  expect(after.asked[0]).toBeLessThan(2 ** 48);
});

test("it waits for what its own node had proposed when it came, and not for more", () => {
  const node = new Node();
  node.proposedSeq = 7;
  node.settledSeq = 5;
  node.reads.add("a");
  node.confirm(1);
  node.proposedSeq = 9;
  node.settledSeq = 6;
  node.reads.settle();
  expect(node.answers).toEqual([]);
  node.settledSeq = 7;
  node.reads.settle();
  expect(node.answers).toEqual([["a", true]]);
});

test("it waits until what the others had proposed is here, and those who came before it do not", () => {
  const node = new Node();
  node.heldThrough = 1;
  node.reads.add("a");
  node.confirm(1);
  node.reads.add("b");
  node.confirm(2);
  expect(node.answers).toEqual([["a", true]]);
  node.heldThrough = 2;
  node.reads.settle();
  expect(node.answers.at(-1)).toEqual(["b", true]);
});

test("P3: patience ends within a second; what a quorum has confirmed by then is current all the same", () => {
  const node = new Node();
  node.proposedSeq = 1;
  node.reads.add("confirmed, but its node's write is held up");
  node.confirm(1);
  node.reads.add("not confirmed");
  node.pass(500);
  expect(node.answers).toEqual([]);
  node.pass(500);
  expect(node.answers).toEqual([
    ["confirmed, but its node's write is held up", true],
    ["not confirmed", false],
  ]);
  expect(node.reads.uncertain).toBe(1);
});

test("P8: who a quorum has answered waits for its replica, and does not ask again", () => {
  const node = new Node();
  node.reads.add("a");
  node.reads.answered([1]);
  node.reads.settle();
  node.pass(59_000);
  expect(node.answers).toEqual([]);
  expect(node.asked).toEqual([1]);
  node.confirm(1);
  expect(node.answers).toEqual([["a", true]]);
});

test("P8: who comes while others wait for the replica asks a question of its own", () => {
  const node = new Node();
  node.reads.add("a");
  node.reads.answered([1]);
  node.reads.settle();
  node.reads.add("b");
  expect(node.asked).toEqual([1, 2]);
  node.confirm(1);
  expect(node.answers).toEqual([["a", true]]);
  node.reads.answered([2]);
  node.pass(10_000);
  expect(node.answers.slice(1)).toEqual([]);
});

test("P3: the replica is waited for a minute at most, and only as long as there is a leader", () => {
  const slow = new Node();
  slow.reads.add("a");
  slow.reads.answered([1]);
  slow.pass(60_250);
  expect(slow.answers).toEqual([["a", false]]);
  const cut = new Node();
  cut.reads.add("b");
  cut.reads.answered([1]);
  cut.pass(5000);
  cut.hasLeader = false;
  cut.pass(250);
  expect(cut.answers).toEqual([["b", false]]);
});

test("patience does not end while the process stood still: the answer may be there, unread", () => {
  const node = new Node();
  node.pass(250);
  node.reads.add("a");
  node.clock.advance(3000);
  node.pass(250);
  expect(node.answers).toEqual([]);
  node.confirm(1);
  expect(node.answers).toEqual([["a", true]]);
});

test("P3: without a leader nobody waits", () => {
  const node = new Node();
  node.hasLeader = false;
  node.reads.add("a");
  expect(node.answers).toEqual([["a", false]]);
  expect(node.asked).toEqual([]);
});

test("more than 10,000 do not wait", () => {
  const node = new Node();
  for (let i = 0; i <= 10_000; i++) node.reads.add(`${i}`);
  expect(node.answers).toEqual([["10000", false]]);
});

test("who comes after all others have given up asks at once", () => {
  const node = new Node();
  node.reads.add("a");
  node.pass(1000);
  const { length } = node.asked;
  node.reads.add("b");
  expect(node.asked).toHaveLength(length + 1);
});
