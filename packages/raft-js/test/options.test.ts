/** What a driver gets wrong is told at once: options that cannot work, and a disk that no server has written. */

import { expect, test } from "vitest";
import { EMPTY_STATE, type Entry, RaftAssertionError, RaftNode, type RaftOptions } from "../src/index.ts";
import { logOf, OneServer, OPTIONS } from "./support/one-server.ts";

test.each<[keyof RaftOptions, readonly unknown[]]>([
  ["id", [""]],
  ["heartbeatMs", [0, -1, 1000, Number.NaN]],
  ["electionMinMs", [100, 2000, Number.NaN]],
  ["electionMaxMs", [1000, Number.POSITIVE_INFINITY, Number.NaN]],
  ["appendBytesMax", [0, Number.NaN]],
  ["inflightMax", [0, Number.NaN]],
  ["inflightBytesMax", [0, Number.NaN]],
  ["uncommittedBytesMax", [0, Number.NaN]],
  ["entriesKept", [-1, 0.5, Number.NaN]],
  ["leaseGuardMs", [-1, Number.NaN]],
  ["snapshotChunkBytes", [0, 0.5, Number.NaN]],
  ["snapshotBytesMax", [0, Number.NaN]],
])("a server cannot be made with %s of %j", (name, values) => {
  for (const value of values) {
    const options = { ...OPTIONS, id: "a", [name]: value };
    expect(() => new RaftNode(options, EMPTY_STATE, 0)).toThrow(RaftAssertionError);
    expect(() => new RaftNode(options, EMPTY_STATE, 0)).toThrow(name);
  }
});

const entry = (index: number, term: number): Entry => ({ ...(logOf([term], index)[0] as Entry) });

test.each<[string, ConstructorParameters<typeof OneServer>[0]]>([
  ["a term below that of its log", { term: 1, entries: logOf([2]) }],
  ["a gap in its log", { entries: [entry(1, 1), entry(3, 1)] }],
  [
    "a gap behind its snapshot",
    { snapshot: { ...EMPTY_STATE.snapshot, index: 9, term: 1 }, entries: [entry(11, 1)] },
  ],
  ["an entry before the first", { entries: [entry(0, 1)] }],
  ["terms that fall", { term: 2, entries: [entry(1, 2), entry(2, 1)] }],
  ["an entry of no term", { entries: [entry(1, 0)] }],
])("a disk with %s is a bug of the driver", (_, start) => {
  expect(() => new OneServer(start)).toThrow(RaftAssertionError);
});

test("entries that contradict the snapshot are those it was to replace: they are of no use", () => {
  const snapshot = { ...EMPTY_STATE.snapshot, index: 2, term: 3 };
  for (const entries of [logOf([2], 3), logOf([1, 2, 2])]) {
    expect(new OneServer({ term: 3, snapshot, entries }).status).toMatchObject({
      lastIndex: 2,
      commitIndex: 2,
    });
  }
  expect(new OneServer({ term: 3, snapshot, entries: logOf([3], 3) }).status).toMatchObject({ lastIndex: 3 });
});
