import type { Log } from "@skein/kernel";
import type { RaftEffect, SnapshotPoint } from "raft-js";
import { expect, test } from "vitest";
import { Journal } from "../src/journal/journal.ts";
import { OwnSnapshots } from "../src/own-snapshots.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const LOG: Log = { error() {}, warn() {}, info() {}, debug() {} };
const configuration = { voters: ["a"], votersOutgoing: [], learners: ["b"] };
const at = (index: number): SnapshotPoint => ({ index, term: 1, configuration });

function snapshots() {
  const disk = new MemoryDisk();
  const { journal } = Journal.open(disk, "journal", LOG, 0);
  const machine = new StateMachine();
  const saved: number[] = [];
  const own = new OwnSnapshots(
    journal,
    machine,
    { ...at(10), data: machine.snapshot() },
    { entries: 5, bytes: 1000 },
    {
      clock: new VirtualClock(),
      saved: ({ index }) => saved.push(index),
      failed: (error) => {
        throw error;
      },
    },
  );
  const piece = (minIndex: number) => {
    const effect = {
      kind: "sendSnapshot",
      to: "b",
      term: 1,
      index: undefined,
      offset: 0,
      bytesMax: 1000,
    } as const;
    const message = own.piece({ ...effect, minIndex } satisfies RaftEffect);
    return message?.kind === "installSnapshot" ? message.point.index : undefined;
  };
  return { disk, machine, own, saved, piece };
}

test("a snapshot is saved after so many entries, or so many bytes of them", () => {
  const { disk, own, saved } = snapshots();
  for (let index = 11; index <= 15; index++) {
    own.saveWhenDue(at(index));
    own.noteApplied(1);
  }
  expect(disk.pending).toBe(0);
  own.saveWhenDue(at(15));
  own.noteApplied(1000);
  own.saveWhenDue(at(16));
  disk.settle();
  expect(saved, "one at a time").toEqual([15]);
  own.saveWhenDue(at(16));
  disk.settle();
  expect(saved).toEqual([15, 16]);
});

test("a follower that needs a newer snapshot than the saved one has to wait for it, and it is saved at once", () => {
  const { disk, own, saved, piece } = snapshots();
  expect(piece(10)).toBe(10);
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([]);
  expect(piece(12)).toBeUndefined();
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([12]);
  expect(piece(12)).toBe(12);
});

test("a state that is going to be replaced is not saved, and one that is being saved meanwhile is void", () => {
  const { disk, machine, own, saved, piece } = snapshots();
  own.noteApplied(1000);
  own.saveWhenDue(at(11));
  own.hold();
  own.replacedBy({ ...at(10), data: machine.snapshot() });
  disk.settle();
  own.noteApplied(1000);
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([]);
  expect(piece(10)).toBe(10);
  own.release();
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([12]);
});
