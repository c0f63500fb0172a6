import { expect, test } from "vitest";
import { AddressHolder } from "../../src/checkers/address-holder.ts";
import { BoundedMemory } from "../../src/checkers/bounded-memory.ts";
import { ElectionSafety } from "../../src/checkers/election-safety.ts";
import { ElectionStorms } from "../../src/checkers/election-storms.ts";
import { LeaderCompleteness } from "../../src/checkers/leader-completeness.ts";
import { LeaseHolder } from "../../src/checkers/lease-holder.ts";
import { LogMatching } from "../../src/checkers/log-matching.ts";
import { blackout, check, end, healed, seen, started } from "../support/history.ts";

const leader = (at: number, node: string, term: number) => seen(at, "leader", { node, term });
const applied = (at: number, node: string, index: number, term: number, hash: number) =>
  seen(at, "applied", { node, index, term, hash });
const restored = (at: number, node: string, index: number, term: number) =>
  seen(at, "restored", { node, index, term });
const lease = (at: number, node: string, until: number) => seen(at, "lease", { node, until });
const stopped = (at: number, node: string, how: "crash" | "power" | "pause" | "resume" | "clean") =>
  seen(at, "stopped", { node, how });
const election = (at: number, node: string) => seen(at, "election", { node });

test("election safety accepts a leader that says so twice, and leaders of other terms", () => {
  check(new ElectionSafety(), [leader(1, "a", 1), leader(2, "a", 1), leader(3, "b", 2)]);
});

test("election safety bites: two nodes lead one term", () => {
  expect(() => check(new ElectionSafety(), [leader(1, "a", 4), leader(9, "b", 4)])).toThrow(
    /a and b both lead term 4/,
  );
});

test("log matching accepts the same entries everywhere, a snapshot's jump, and a replay after a restart or a snapshot", () => {
  check(new LogMatching("replicated"), [
    applied(1, "a", 1, 1, 11),
    applied(2, "a", 2, 1, 12),
    applied(3, "a", 3, 2, 13),
    applied(4, "b", 3, 2, 13),
    stopped(5, "a", "power"),
    ...started(6, "a"),
    applied(7, "a", 2, 1, 12),
    applied(8, "a", 3, 2, 13),
    restored(9, "a", 1, 1),
    applied(10, "a", 2, 1, 12),
  ]);
});

test.each([
  ["another command at the same index", [applied(1, "a", 1, 1, 11), applied(2, "b", 1, 1, 99)]],
  ["another term at the same index", [applied(1, "a", 1, 1, 11), applied(2, "b", 1, 2, 11)]],
  ["an index applied twice in one life", [applied(1, "a", 1, 1, 11), applied(2, "a", 1, 1, 11)]],
  ["an entry that the snapshot covers", [restored(1, "a", 5, 1), applied(2, "a", 5, 1, 11)]],
  ["an older term after a newer one", [applied(1, "a", 1, 3, 11), applied(2, "a", 2, 2, 12)]],
])("log matching bites: %s", (_name, history) => {
  expect(() => check(new LogMatching("replicated"), history)).toThrow(/log matching/);
});

/** `b` has entry 3 on its disk, and the voters that go on in term 2 have not. */
const forgotten = [
  ...started(0, "a", "b", "c"),
  applied(1, "b", 2, 1, 12),
  applied(2, "b", 3, 1, 13),
  ...blackout(3, "a", "b", "c"),
  ...started(4, "b"),
  applied(5, "b", 2, 1, 12),
  applied(6, "b", 3, 1, 13),
  ...started(7, "a", "c"),
  applied(8, "a", 2, 1, 12),
  leader(9, "a", 2),
  applied(10, "a", 3, 2, 99),
];

test("who loses its power last of all, while the programs of the others have crashed, takes nothing with it", () => {
  const history = [
    ...started(0, "a", "b", "c"),
    applied(1, "a", 5, 1, 15),
    stopped(2, "b", "crash"),
    stopped(2, "c", "crash"),
    stopped(3, "a", "power"),
    ...started(4, "b", "c"),
    leader(5, "b", 2),
    applied(6, "b", 5, 2, 99),
  ];
  for (const checker of [new LogMatching("replicated"), new LeaderCompleteness("replicated")])
    expect(() => check(checker, history)).toThrow();
});

test("a blackout is one for nodes that were down, too", () => {
  const history = [
    ...started(0, "a"),
    applied(1, "a", 5, 1, 15),
    stopped(2, "a", "crash"),
    seen(3, "blackout", {}),
    ...started(4, "a"),
    leader(5, "a", 2),
    applied(6, "a", 5, 2, 99),
  ];
  for (const checker of [new LogMatching("replicated"), new LeaderCompleteness("replicated")])
    check(checker, history);
});

test("after a blackout in `replicated` a node may still have what the voters have lost, and what they put in its place counts", () => {
  const overtaken = [...forgotten, restored(11, "b", 3, 2), applied(12, "b", 4, 2, 14)];
  for (const checker of [new LogMatching("replicated"), new LeaderCompleteness("replicated")])
    check(checker, overtaken);
  expect(() => check(new LogMatching("disk"), overtaken)).toThrow(/but b applied it/);
  expect(() => check(new LeaderCompleteness("disk"), overtaken)).toThrow(/before that election/);
  const other = [...forgotten, applied(11, "c", 3, 2, 98)];
  expect(() => check(new LogMatching("replicated"), other)).toThrow(/but a applied it/);
  const invented = [...forgotten, applied(11, "c", 3, 1, 98)];
  expect(() => check(new LogMatching("replicated"), invented)).toThrow(/but a applied it/);
});

test("leader completeness accepts a leader that appends behind what was committed", () => {
  check(new LeaderCompleteness("replicated"), [
    applied(1, "a", 5, 1, 1),
    leader(2, "b", 2),
    applied(3, "b", 6, 2, 1),
    healed(4),
    end(30_000),
  ]);
});

test("leader completeness bites: an entry of the new term stands where an older one was committed", () => {
  const history = [applied(1, "a", 5, 1, 1), leader(2, "b", 2), applied(3, "b", 4, 2, 1)];
  expect(() => check(new LeaderCompleteness("replicated"), history)).toThrow(/before that election/);
});

test("leader completeness bites: a committed entry is nowhere to be found after healing", () => {
  const history = [
    applied(1, "a", 5, 1, 1),
    applied(1, "b", 4, 1, 1),
    stopped(2, "a", "power"),
    ...started(3, "a"),
    applied(4, "a", 4, 1, 1),
    healed(5),
    end(30_000),
  ];
  expect(() => check(new LeaderCompleteness("replicated"), history)).toThrow(/nobody is past 4/);
});

test("lease holder accepts renewal, expiry and a crash", () => {
  check(new LeaseHolder(), [
    lease(0, "a", 100),
    lease(50, "a", 150),
    lease(150, "b", 300),
    stopped(200, "b", "crash"),
    lease(210, "c", 400),
    lease(220, "c", 0),
    lease(230, "a", 300),
  ]);
});

test.each([
  ["a lease begins before another has run out", [lease(0, "a", 100), lease(99, "b", 200)]],
  ["a paused node still believes", [lease(0, "a", 100), stopped(10, "a", "pause"), lease(50, "b", 200)]],
])("lease holder bites: %s", (_name, history) => {
  expect(() => check(new LeaseHolder(), history)).toThrow(/lease holder/);
});

const addressAdded = (at: number, node: string) => seen(at, "addressAdded", { node });
const addressRemoved = (at: number, node: string) => seen(at, "addressRemoved", { node });

test("[P1] address holder accepts an overlap of 2.6 s, and a machine that lost its power", () => {
  check(new AddressHolder(), [
    addressAdded(0, "a"),
    addressAdded(1000, "b"),
    addressRemoved(3600, "a"),
    stopped(4000, "b", "power"),
    addressAdded(4001, "c"),
    end(99_000),
  ]);
});

test("[P1] address holder bites: two hold it for longer, also when the process is dead and the kernel keeps it", () => {
  expect(() =>
    check(new AddressHolder(), [
      addressAdded(0, "a"),
      stopped(10, "a", "crash"),
      addressAdded(1000, "b"),
      end(3601),
    ]),
  ).toThrow(/a and b have held the address since 1000 ms/);
});

test("[P1] address holder lets each side of a split have it, but no longer once they are connected", () => {
  let areConnected = false;
  const checker = new AddressHolder({ areConnected: () => areConnected });
  check(checker, [addressAdded(0, "a"), addressAdded(0, "b"), end(60_000)]);
  areConnected = true;
  expect(() => check(checker, [end(60_001), end(62_602)])).toThrow(/address/);
});

test("bounded memory bites: above the cap, and a queue that nobody gave a cap", () => {
  const memory = (queueName: string, bytes: number) => seen(1, "memory", { node: "a", queueName, bytes });
  const checker = new BoundedMemory(new Map([["link", 100]]));
  check(checker, [memory("link", 100)]);
  expect(() => check(checker, [memory("link", 101)])).toThrow(/101 bytes of at most 100/);
  expect(() => check(checker, [memory("other", 1)])).toThrow(/has no cap/);
});

test("election storms accepts five a minute, and any number before healing or around faults", () => {
  const many = (from: number) => [0, 1, 2, 3, 4, 5, 6].map((i) => election(from + i, "a"));
  check(new ElectionStorms(), [
    ...many(0),
    healed(10),
    ...many(11).slice(0, 5),
    stopped(20, "b", "crash"),
    ...many(21).slice(0, 5),
    ...many(80_000).slice(0, 5),
  ]);
});

test("election storms bites: six within a minute", () => {
  const history = [healed(0), ...[1, 2, 3, 4, 5, 6].map((i) => election(i * 9_000, "a"))];
  expect(() => check(new ElectionStorms(), history)).toThrow(/6 elections between 9000 and 54000/);
});
