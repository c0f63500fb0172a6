import { type Log, type LogFields, seededPrng } from "@skein/kernel";
import type { Entry, Snapshot } from "raft-js";
import { expect, test } from "vitest";
import { Journal, type JournalOptions, type OpenedJournal } from "../src/journal/journal.ts";
import type { JournalDone } from "../src/journal/journal-job.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const FOLDER = "raft";
const NO_CONFIGURATION = { voters: [], votersOutgoing: [], learners: [] };

class RecordingLog implements Log {
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = [];
  error = (fields: LogFields, message: string): void => this.#add("error", fields, message);
  warn = (fields: LogFields, message: string): void => this.#add("warn", fields, message);
  info = (fields: LogFields, message: string): void => this.#add("info", fields, message);
  debug = (fields: LogFields, message: string): void => this.#add("debug", fields, message);

  #add(level: string, fields: LogFields, message: string): void {
    this.lines.push({ level, fields, message });
  }
}

function open(disk: MemoryDisk, options?: JournalOptions, log: Log = new RecordingLog()): OpenedJournal {
  return Journal.open(disk, FOLDER, log, 1_700_000_000_000, { bootId: "boot-1", ...options });
}

function entry(index: number, term = 1, size = 4): Entry {
  return { index, term, kind: "command", data: new Uint8Array(size).fill(index) };
}

function entries(from: number, to: number, term = 1, size = 4): readonly Entry[] {
  return Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term, size));
}

function snapshotAt(index: number, term = 1): Snapshot {
  const configuration = { voters: ["a"], votersOutgoing: [], learners: ["b"] };
  return { index, term, configuration, data: new Uint8Array([9, index]) };
}

const noError: JournalDone = (error) => {
  if (error !== undefined) throw error;
};

test("a fresh folder is an empty state that is not suspect", () => {
  const { state, snapshotData } = open(new MemoryDisk());
  expect(state).toEqual({
    hardState: { term: 0, votedFor: undefined },
    snapshot: { index: 0, term: 0, configuration: NO_CONFIGURATION },
    entries: [],
    isSuspect: false,
    isIncomplete: false,
    commitIndex: 0,
  });
  expect(snapshotData).toBeUndefined();
});

test("Raft figure 2: term, vote and entries are there after a restart", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  journal.persist({ hardState: { term: 3, votedFor: "b" }, entries: entries(1, 3, 3) }, noError);
  journal.close();
  disk.settle();
  const { state } = open(disk);
  expect(state.hardState).toEqual({ term: 3, votedFor: "b" });
  expect(state.entries).toEqual(entries(1, 3, 3));
});

test("Raft AppendEntries rule 3: a write with a lower index replaces that entry and all that follow it", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  journal.persist({ hardState: { term: 1, votedFor: undefined }, entries: entries(1, 5) }, noError);
  journal.persist({ hardState: { term: 2, votedFor: undefined }, entries: entries(3, 3, 2) }, noError);
  disk.settle();
  disk.crash();
  expect(open(disk).state.entries).toEqual([...entries(1, 2), ...entries(3, 3, 2)]);
});

test("what was noted as committed is known after a restart, but for what was written over since", () => {
  const disk = new MemoryDisk();
  const first = open(disk).journal;
  first.persist({ hardState: undefined, entries: entries(1, 5) }, noError);
  first.noteCommitted(4);
  first.close();
  disk.settle();
  const second = open(disk);
  expect(second.state.commitIndex).toBe(4);
  second.journal.persist({ hardState: undefined, entries: entries(5, 6) }, noError);
  second.journal.close();
  disk.settle();
  const third = open(disk);
  expect(third.state.commitIndex).toBe(4);
  third.journal.persist({ hardState: undefined, entries: entries(3, 3) }, noError);
  third.journal.close();
  disk.settle();
  const fourth = open(disk);
  expect(fourth.state.commitIndex).toBe(2);
  fourth.journal.restore(snapshotAt(9), false, { term: 1, votedFor: undefined }, noError);
  fourth.journal.close();
  disk.settle();
  expect(open(disk).state.commitIndex).toBe(9);
});

test("the note of what is committed goes with the next write, or by itself when none comes for a while", () => {
  const disk = new MemoryDisk();
  const first = open(disk).journal;
  first.persist({ hardState: undefined, entries: entries(1, 3) }, noError);
  disk.settle();
  first.noteCommitted(2);
  expect(disk.appends).toHaveLength(1);
  first.persist({ hardState: undefined, entries: entries(4, 4) }, noError);
  disk.settle();
  disk.kill();
  const second = open(disk);
  expect(second.state.commitIndex).toBe(2);
  second.journal.noteCommitted(4);
  expect(disk.appends).toHaveLength(2);
  for (let i = 0; i < 5; i++) second.journal.noteCommitted(4);
  disk.settle();
  expect(disk.appends, "once").toHaveLength(3);
  disk.kill();
  expect(open(disk).state.commitIndex).toBe(4);
});

test("Raft §5.4: the note of what is committed does not stand before what was given before it, or an entry that is replaced would count", () => {
  for (let steps = 0; ; steps++) {
    const disk = new MemoryDisk();
    const { journal } = open(disk);
    let isDone = false;
    journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: entries(1, 3) }, noError);
    journal.persist({ hardState: undefined, entries: entries(4, 5) }, noError);
    // Another leader's, which has neither.
    journal.restore(snapshotAt(4, 2), false, { term: 2, votedFor: undefined }, noError);
    journal.persist({ hardState: undefined, entries: entries(5, 5, 2) }, () => {
      isDone = true;
    });
    journal.noteCommitted(5);
    for (let i = 0; i < steps; i++) disk.step();
    disk.kill();
    const { state } = open(disk);
    expect(state.commitIndex, `${steps} steps`).toBe(isDone ? 5 : state.snapshot.index);
    if (isDone) break;
  }
});

test("writes given while one is under way are written together, and done in order", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const done: number[] = [];
  for (let index = 1; index <= 5; index++) {
    journal.persist({ hardState: undefined, entries: entries(index, index) }, () => done.push(index));
  }
  expect(disk.appends).toHaveLength(1);
  disk.step();
  expect(done).toEqual([1]);
  expect(disk.appends).toHaveLength(2);
  disk.step();
  expect(done).toEqual([1, 2, 3, 4, 5]);
});

test("a write with term or vote is done only once it is on the medium, together with the entries around it", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const done: string[] = [];
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, () => done.push("vote"));
  disk.step();
  expect(done).toEqual([]);
  disk.step();
  expect(done).toEqual(["vote"]);
  disk.crash();
  expect(open(disk).state.hardState).toEqual({ term: 1, votedFor: "a" });
});

test("durability `replicated`: entries are done when the operating system has them; flushDue forces them out", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  let isDone = false;
  journal.persist({ hardState: undefined, entries: entries(1, 2) }, () => {
    isDone = true;
  });
  disk.step();
  expect(isDone).toBe(true);
  expect(disk.completed.sync).toBe(0);
  expect(journal.isDirty).toBe(true);

  const unflushed = disk.clone();
  unflushed.crash();
  expect(open(unflushed).state.entries).toEqual([]);

  journal.flushDue(noError);
  journal.flushDue(noError);
  disk.settle();
  expect(disk.completed.sync).toBe(1);
  expect(journal.isDirty).toBe(false);
  disk.crash();
  expect(open(disk).state.entries).toEqual(entries(1, 2));
});

test("durability `replicated`: a flush under way does not hold up a write", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, noError);
  disk.settle();
  journal.flushDue();
  journal.persist({ hardState: undefined, entries: entries(2, 2) }, noError);
  expect(disk.appends).toHaveLength(2);
  disk.settle();
  expect(journal.isDirty).toBe(true);
});

test("durability `disk`: entries are done only once they are on the medium", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk, { durability: "disk" });
  let isDone = false;
  journal.persist({ hardState: undefined, entries: entries(1, 2) }, () => {
    isDone = true;
  });
  disk.step();
  expect(isDone).toBe(false);
  disk.step();
  expect(isDone).toBe(true);
  disk.crash();
  expect(open(disk).state.entries).toEqual(entries(1, 2));
});

test("after a failed sync every later call gets the error and nothing more is written", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const errors: (string | undefined)[] = [];
  const note: JournalDone = (error) => errors.push(error?.message);
  disk.failNext("sync", "card gone");
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, note);
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, note);
  disk.settle();
  const appends = disk.appends.length;
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, note);
  journal.saveSnapshot(snapshotAt(1), note);
  journal.restore(snapshotAt(9), false, { term: 2, votedFor: undefined }, note);
  journal.clearSuspect(note);
  journal.flushDue(note);
  journal.close(note);
  disk.settle();
  expect(errors).toEqual(Array.from({ length: 8 }, () => "card gone"));
  expect(disk.appends).toHaveLength(appends);
});

test("close waits for the mark of a suspect server: without it the next start would trust what the medium may lack", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  disk.failNext("sync", "card gone");
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, () => {});
  disk.step();
  disk.step();
  let isClosed = false;
  journal.close(() => {
    isClosed = true;
  });
  expect(isClosed).toBe(false);
  disk.settle();
  expect(isClosed).toBe(true);
  expect(open(disk).state.isSuspect).toBe(true);
});

test("durability `disk`: what a process left that died is written again, since its last sync may have failed", () => {
  const disk = new MemoryDisk();
  const options = { durability: "disk", bootId: "boot-1" } as const;
  const { journal } = open(disk, options);
  disk.failNext("sync", "card gone");
  journal.persist({ hardState: undefined, entries: entries(1, 2) }, () => {});
  disk.step();
  disk.step();
  // Killed before it could mark itself suspect; the operating system still gives back what it took for written.
  disk.kill();
  expect(open(disk, options).state).toMatchObject({ isSuspect: false, entries: entries(1, 2) });
  disk.crash();
  expect(open(disk, { ...options, bootId: "boot-2" }).state.entries).toEqual(entries(1, 2));
});

test("a failed append or snapshot is reported to its caller", () => {
  const disk = new MemoryDisk();
  const errors: (string | undefined)[] = [];
  disk.failNext("append", "no space");
  open(disk).journal.persist({ hardState: undefined, entries: entries(1, 1) }, (e) => errors.push(e?.code));
  disk.settle();
  disk.failNext("replace", "no space");
  open(disk).journal.saveSnapshot(snapshotAt(1), (e) => errors.push(e?.code));
  disk.settle();
  expect(errors).toEqual(["ERR_SKEIN_DISK", "ERR_SKEIN_DISK"]);
});

test("Raft §7: a snapshot lets whole segments go, and the log goes on behind it", () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 80, entriesKept: 2 };
  const { journal } = open(disk, options);
  for (let index = 1; index <= 40; index++) {
    journal.persist({ hardState: undefined, entries: entries(index, index) }, noError);
    disk.settle();
  }
  const before = disk.list(FOLDER).length;
  journal.saveSnapshot(snapshotAt(30), noError);
  disk.settle();
  expect(disk.list(FOLDER).length).toBeLessThan(before - 3);
  journal.persist({ hardState: { term: 2, votedFor: "a" }, entries: entries(41, 41, 2) }, noError);
  journal.close();
  disk.settle();

  const { state, snapshotData } = open(disk, options);
  expect(snapshotData).toEqual(new Uint8Array([9, 30]));
  expect(state.snapshot).toEqual({ index: 30, term: 1, configuration: snapshotAt(30).configuration });
  expect(state.entries[0]?.index).toBe(29);
  expect(state.entries.slice(2)).toEqual([...entries(31, 40), ...entries(41, 41, 2)]);
  expect(state.hardState).toEqual({ term: 2, votedFor: "a" });
  expect(state.isSuspect).toBe(false);
});

test("term and vote outlive the segment they were written to", () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 100, entriesKept: 0 };
  const { journal } = open(disk, options);
  journal.persist({ hardState: { term: 7, votedFor: "c" }, entries: [] }, noError);
  for (let index = 1; index <= 20; index++) {
    journal.persist({ hardState: undefined, entries: entries(index, index, 7) }, noError);
    disk.settle();
  }
  journal.saveSnapshot(snapshotAt(20, 7), noError);
  disk.settle();
  expect(disk.list(FOLDER)).not.toContain("0000000001.log");
  expect(open(disk, options).state.hardState).toEqual({ term: 7, votedFor: "c" });
});

test("an older snapshot than the saved one changes nothing", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  journal.persist({ hardState: undefined, entries: entries(1, 9) }, noError);
  journal.saveSnapshot(snapshotAt(9), noError);
  journal.saveSnapshot(snapshotAt(5), noError);
  disk.settle();
  expect(open(disk).state.snapshot.index).toBe(9);
});

test("Raft §7: a leader's snapshot replaces snapshot and log, and what is written next follows it", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const order: string[] = [];
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: entries(1, 5) }, () => order.push("old"));
  journal.restore(snapshotAt(100, 4), false, { term: 4, votedFor: undefined }, () => order.push("restored"));
  journal.persist({ hardState: undefined, entries: entries(101, 102, 4) }, () => order.push("new"));
  disk.settle();
  expect(order).toEqual(["old", "restored", "new"]);
  const { state, snapshotData } = open(disk);
  expect(state.snapshot.index).toBe(100);
  expect(snapshotData).toEqual(new Uint8Array([9, 100]));
  expect(state.entries).toEqual(entries(101, 102, 4));
  expect(state.hardState).toEqual({ term: 4, votedFor: undefined });
  expect(disk.list(FOLDER)).toEqual(["0000000002.log", "running", "snapshot"]);
});

test("a leader's snapshot may replace the saved one alone: the log stays, also where it goes on behind it", () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 80, entriesKept: 2 };
  const { journal } = open(disk, options);
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: entries(1, 20) }, noError);
  disk.settle();
  journal.saveSnapshot(snapshotAt(15), noError);
  disk.settle();
  const own = { ...snapshotAt(17), data: new Uint8Array([77]) };
  journal.restore(own, true, { term: 2, votedFor: undefined }, noError);
  journal.persist({ hardState: undefined, entries: entries(21, 21, 2) }, noError);
  disk.settle();
  disk.crash(() => Number.MAX_SAFE_INTEGER);
  const { state, snapshotData } = open(disk, options);
  expect(snapshotData).toEqual(own.data);
  expect(state).toMatchObject({ hardState: { term: 2 }, snapshot: { index: 17, term: 1 }, isSuspect: false });
  expect(state.entries.filter(({ index }) => index > 17)).toEqual([
    ...entries(18, 20),
    ...entries(21, 21, 2),
  ]);
});

/** Two pieces of checksum. */
const LARGE = { ...snapshotAt(100, 4), data: new Uint8Array(600_000).fill(7) };

test("a large snapshot of a leader is framed in pieces, with other work between them, and what is written next waits for it", () => {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const { journal } = open(disk, { clock });
  const order: string[] = [];
  journal.restore(LARGE, false, { term: 4, votedFor: undefined }, () => order.push("restored"));
  journal.persist({ hardState: undefined, entries: entries(101, 102, 4) }, () => order.push("new"));
  disk.settle();
  expect(order).toEqual([]);
  clock.advance(0);
  disk.settle();
  expect(order).toEqual(["restored", "new"]);
  expect(open(disk)).toMatchObject({ state: { entries: entries(101, 102, 4) }, snapshotData: LARGE.data });
});

test("a disk that fails while a leader's snapshot is framed is not written to any more", () => {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const { journal } = open(disk, { clock });
  const errors: (string | undefined)[] = [];
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, noError);
  disk.settle();
  journal.restore(LARGE, false, { term: 4, votedFor: undefined }, (error) => errors.push(error?.message));
  disk.failNext("sync", "card gone");
  journal.flushDue((error) => errors.push(error?.message));
  disk.settle();
  clock.advance(0);
  disk.settle();
  expect(errors).toEqual(["card gone", "card gone"]);
  expect(open(disk).snapshotData).toBeUndefined();
});

test("a crash at any step of a restore leaves the old state or the new one, never a mixture", () => {
  for (let steps = 0; ; steps++) {
    const disk = new MemoryDisk();
    const { journal } = open(disk);
    journal.persist({ hardState: { term: 3, votedFor: "a" }, entries: entries(1, 5) }, noError);
    disk.settle();
    let isDone = false;
    journal.restore(snapshotAt(100, 3), false, { term: 4, votedFor: undefined }, () => {
      isDone = true;
    });
    for (let i = 0; i < steps; i++) disk.step();
    disk.crash();
    const { state } = open(disk);
    const isNew = state.snapshot.index === 100;
    expect(state.entries).toEqual(isNew ? [] : entries(1, 5));
    expect(state.hardState.term).toBeGreaterThanOrEqual(isDone ? 4 : 3);
    expect(state.isSuspect).toBe(false);
    // What comes next must stand after yet another restart.
    const next = isNew ? 101 : 6;
    const { journal: again } = open(disk);
    again.persist({ hardState: undefined, entries: entries(next, next, 4) }, noError);
    again.close();
    disk.settle();
    expect(open(disk).state.entries.at(-1)).toEqual(entry(next, 4));
    if (isDone) break;
  }
});

test("close completes what was given, forces it to the medium and reports", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const order: string[] = [];
  journal.persist({ hardState: undefined, entries: entries(1, 3) }, () => order.push("written"));
  journal.saveSnapshot(snapshotAt(2), () => order.push("saved"));
  journal.close(() => order.push("closed"));
  expect(() => journal.persist({ hardState: undefined, entries: [] }, noError)).toThrow("after close");
  disk.settle();
  expect(order.at(-1)).toBe("closed");
  expect(order).toHaveLength(3);
  disk.crash();
  expect(open(disk).state.entries).toEqual(entries(1, 3));
});

test("a write that finds no room waits for it: the reserve is given up first, and what was given later keeps its order", () => {
  const disk = new MemoryDisk();
  const log = new RecordingLog();
  const { journal } = open(disk, { reserveBytes: 8192 }, log);
  expect(disk.read(`${FOLDER}/reserve`)).toHaveLength(8192);
  const done: string[] = [];
  const fullOnce = (): void => disk.failNext("append", "no space left", "ERR_SKEIN_DISK_FULL");

  // The reserve makes room for this one.
  fullOnce();
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, (e) =>
    done.push(`vote ${e?.code}`),
  );
  disk.settle();
  expect(done).toEqual(["vote undefined"]);
  expect(journal.isFull).toBe(true);
  expect(disk.files.has(`${FOLDER}/reserve`)).toBe(false);

  // Then there is none, for two tries.
  fullOnce();
  fullOnce();
  journal.persist({ hardState: undefined, entries: entries(1, 2) }, (e) => done.push(`entries ${e?.code}`));
  journal.persist({ hardState: undefined, entries: entries(3, 3) }, (e) => done.push(`more ${e?.code}`));
  disk.settle();
  journal.flushDue(noError);
  disk.settle();
  expect(done).toHaveLength(1);
  journal.flushDue(noError);
  disk.settle();
  expect(done).toEqual(["vote undefined", "entries undefined", "more undefined"]);

  // Room again: the reserve comes back, and only then is the disk no longer full.
  expect(journal.isFull).toBe(true);
  for (let second = 0; second < 12 && journal.isFull; second++) {
    journal.flushDue(noError);
    disk.settle();
  }
  expect(journal.isFull).toBe(false);
  expect(disk.read(`${FOLDER}/reserve`)).toHaveLength(8192);
  expect(log.lines.map(({ level }) => level)).toEqual(["error", "info"]);
  journal.close();
  disk.settle();
  expect(open(disk).state).toMatchObject({ entries: entries(1, 3), isSuspect: false });
});

/** A journal whose reserve has been given up for a vote, and that has room for nothing else. */
function fullJournal() {
  const disk = new MemoryDisk();
  const { journal } = open(disk, { reserveBytes: 8192 });
  disk.room = 0;
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, noError);
  disk.settle();
  expect(journal.isFull).toBe(true);
  disk.room = 0;
  const seconds = (count: number): void => {
    for (let second = 0; second < count && journal.isFull; second++) {
      journal.flushDue(noError);
      disk.settle();
    }
  };
  return { disk, journal, seconds };
}

test("a full disk gets nothing written onto it to ask for room but once in ten seconds, and has its reserve back a second after there is some", () => {
  const { disk, journal, seconds } = fullJournal();
  let tries = 0;
  const { replace } = disk;
  disk.replace = (...given) => {
    tries++;
    replace.apply(disk, given);
  };
  seconds(30);
  expect([journal.isFull, tries]).toEqual([true, 3]);
  // It would be given up at once.
  disk.room = 8192;
  seconds(8);
  expect([journal.isFull, tries]).toEqual([true, 3]);
  disk.room = 16_384;
  seconds(1);
  expect([journal.isFull, tries]).toEqual([false, 4]);
  expect(disk.read(`${FOLDER}/reserve`)).toHaveLength(8192);
});

test("a file system that says there is room, and has none, is believed no more until there is; one that says nothing is asked by writing", () => {
  const { disk, journal, seconds } = fullJournal();
  disk.room = Number.POSITIVE_INFINITY;
  for (let failure = 0; failure < 3; failure++)
    disk.failNext("replace", "quota exceeded", "ERR_SKEIN_DISK_FULL");
  // Once because of what it says, then with the tenth and the twentieth.
  seconds(29);
  expect(journal.isFull).toBe(true);
  seconds(1);
  expect(journal.isFull).toBe(false);

  const other = fullJournal();
  other.disk.isRoomKnown = false;
  other.disk.room = Number.POSITIVE_INFINITY;
  other.seconds(9);
  expect(other.journal.isFull).toBe(true);
  other.seconds(1);
  expect(other.journal.isFull).toBe(false);
});

test("a snapshot that finds no room is not saved, and nothing else is the worse for it", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  journal.persist({ hardState: undefined, entries: entries(1, 9) }, noError);
  disk.settle();
  disk.failNext("replace", "no space left", "ERR_SKEIN_DISK_FULL");
  let code: string | undefined;
  journal.saveSnapshot(snapshotAt(5), (error) => {
    code = error?.code;
  });
  disk.settle();
  expect(code).toBe("ERR_SKEIN_DISK_FULL");
  journal.persist({ hardState: undefined, entries: entries(10, 10) }, noError);
  journal.saveSnapshot(snapshotAt(9), noError);
  disk.settle();
  expect(open(disk).state.snapshot.index).toBe(9);
});

test("close does not wait for room", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const codes: (string | undefined)[] = [];
  disk.failNext("append", "no space left", "ERR_SKEIN_DISK_FULL");
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, (error) => codes.push(error?.code));
  disk.settle();
  expect(codes).toEqual([]);
  journal.close((error) => codes.push(error?.code));
  disk.settle();
  expect(codes).toEqual(["ERR_SKEIN_DISK_FULL", "ERR_SKEIN_DISK_FULL"]);
});

test("superfluous segments are written over: files keep their size, and nothing of their old life is read", () => {
  const disk = new MemoryDisk();
  const options = { segmentBytes: 400, entriesKept: 0 };
  const { journal } = open(disk, options);
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, noError);
  for (let index = 1; index <= 200; index++) {
    journal.persist({ hardState: undefined, entries: entries(index, index) }, noError);
    disk.settle();
    if (index % 10 === 0) journal.saveSnapshot(snapshotAt(index), noError);
    disk.settle();
  }
  expect(disk.completed.move).toBeGreaterThan(5);
  const segments = disk.list(FOLDER).filter((name) => name.endsWith(".log"));
  expect(segments.length).toBeLessThanOrEqual(3);
  for (const kept of [0, 7, 1_000_000]) {
    const after = disk.clone();
    after.crash(() => kept);
    const { state } = open(after, { ...options, durability: "disk" });
    const last = state.entries.at(-1)?.index ?? state.snapshot.index;
    expect(last).toBeGreaterThanOrEqual(200);
    for (const { index, data } of state.entries) expect(data).toEqual(entry(index).data);
  }
});

test("writes, snapshots and flushes that overlap in any way leave every entry in its own segment", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const disk = new MemoryDisk();
    const prng = seededPrng(seed);
    const options: JournalOptions = { segmentBytes: 400, entriesKept: 0, durability: "disk" };
    const { journal } = open(disk, options);
    let snapshot = 0;
    let done = 0;
    for (let index = 1; index <= 120; index++) {
      journal.persist({ hardState: undefined, entries: entries(index, index) }, (error) => {
        noError(error);
        done = index;
      });
      if (prng.below(20) === 0 && done > snapshot) {
        snapshot = done;
        journal.saveSnapshot(snapshotAt(snapshot), noError);
      }
      if (prng.below(4) === 0) journal.flushDue(noError);
      for (let steps = prng.below(8); steps > 0; steps--) disk.step();
    }
    disk.settle();
    const { state, isDamaged } = open(disk, options);
    expect({ seed, isDamaged, last: state.entries.at(-1)?.index ?? state.snapshot.index }).toEqual({
      seed,
      isDamaged: false,
      last: 120,
    });
    for (const { index, data } of state.entries) expect(data).toEqual(entry(index).data);
  }
});

test("at most one sync at a time; whoever asks meanwhile shares the next one", () => {
  const disk = new MemoryDisk();
  const { journal } = open(disk);
  const waiting = (): number => disk.waiting("sync");
  journal.persist({ hardState: undefined, entries: entries(1, 1) }, noError);
  disk.settle();
  journal.flushDue(noError);
  expect(waiting()).toBe(1);
  journal.persist({ hardState: { term: 1, votedFor: "a" }, entries: [] }, noError);
  journal.saveSnapshot(snapshotAt(1), noError);
  for (let steps = 0; steps < 20; steps++) {
    expect(waiting()).toBeLessThanOrEqual(1);
    disk.step();
  }
  expect(disk.completed.sync).toBe(2);
});
