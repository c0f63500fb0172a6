import type { RaftMessage, Snapshot } from "raft-js";
import { expect, test } from "vitest";
import { SnapshotPieces } from "../src/replica/snapshot-pieces.ts";

function snapshotAt(index: number, bytes = 10): Snapshot {
  return {
    index,
    term: 1,
    configuration: { voters: ["a"], votersOutgoing: [], learners: [] },
    data: new Uint8Array(bytes),
  };
}

/** The index of the snapshot that a follower in the middle of the one at `index` gets its next piece of. */
function servedFor(pieces: SnapshotPieces, index: number | undefined, now: number): number | undefined {
  const message: RaftMessage | undefined = pieces.message(1, index, 2, 2, now);
  return message?.kind === "installSnapshot" ? message.point.index : undefined;
}

test("a follower gets through with its snapshot although newer ones are saved meanwhile", () => {
  const pieces = new SnapshotPieces();
  pieces.reset(snapshotAt(10));
  expect(servedFor(pieces, undefined, 0)).toBe(10);
  for (let now = 0; now < 60_000; now += 1000) {
    pieces.add(snapshotAt(20 + now), now);
    expect(servedFor(pieces, 10, now)).toBe(10);
  }
});

test("whose link is interrupted finds its snapshot again for half a minute, if nobody needs the one that came next", () => {
  const pieces = new SnapshotPieces();
  pieces.reset(snapshotAt(10));
  for (const [index, now] of [
    [20, 0],
    [30, 10_000],
    [40, 20_000],
  ] as const)
    pieces.add(snapshotAt(index), now);
  expect(servedFor(pieces, 10, 29_000)).toBe(10);
  expect(servedFor(pieces, 10, 60_000)).toBe(40);
});

test("one that nobody asks for does not cost others the one that they are in the middle of", () => {
  const pieces = new SnapshotPieces();
  pieces.reset(snapshotAt(10));
  pieces.add(snapshotAt(20), 0);
  expect(servedFor(pieces, 10, 1000)).toBe(10);
  expect(servedFor(pieces, 20, 8000)).toBe(20);
  pieces.add(snapshotAt(30), 9000);
  expect(servedFor(pieces, 20, 9000)).toBe(20);
});

test("a large one is kept for who waits for it, as long as pieces of it are asked for, and else not at all", () => {
  const large = 17 * 1024 * 1024;
  const pieces = new SnapshotPieces();
  pieces.reset(snapshotAt(10, large));
  expect([pieces.newest, pieces.newestIndex]).toEqual([undefined, 10]);
  pieces.add(snapshotAt(20, large), 0);
  expect([servedFor(pieces, undefined, 0), pieces.newestIndex]).toEqual([undefined, 20]);
  pieces.add(snapshotAt(30, large), 0, true);
  for (let now = 0; now < 60_000; now += 20_000) expect(servedFor(pieces, 30, now)).toBe(30);
  pieces.letGo(60_000);
  expect(servedFor(pieces, 30, 60_000)).toBe(30);
  pieces.letGo(95_000);
  expect(pieces.newest).toBeUndefined();
});
