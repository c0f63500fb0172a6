import type { Log, LogFields } from "@skein/kernel";
import fc from "fast-check";
import type { InitialState } from "raft-js";
import { expect, test } from "vitest";
import { Journal, type JournalOptions } from "../src/journal/journal.ts";
import { decodeRecord } from "../src/journal/record.ts";
import { LOST_VOTE } from "../src/journal/replay.ts";
import { FOLDER, history, JournalModel, openJournal, type Step } from "./support/journal-model.ts";
import { MemoryDisk, ProcessDied } from "./support/memory-disk.ts";

/** A closed journal with everything on the medium; or, with `options`, one that is left open. */
function build(
  steps: readonly Step[],
  options?: JournalOptions,
): { readonly disk: MemoryDisk; readonly model: JournalModel } {
  const disk = new MemoryDisk();
  const model = new JournalModel();
  const { journal } = openJournal(disk, options);
  for (const step of steps) {
    model.perform(journal, step);
    disk.settle();
  }
  if (options === undefined) journal.close();
  else journal.flushDue();
  disk.settle();
  return { disk, model };
}

const append = (count: number, back = 0): Step => ({ kind: "append", count, back, bytes: 5 });
const segmentsOf = (disk: MemoryDisk): readonly string[] =>
  disk.list(FOLDER).filter((name) => name.endsWith(".log"));
const sizeOf = (disk: MemoryDisk, path: string): number => disk.read(path)?.length ?? 0;

/** Offsets of the records of a good segment, and their kinds. */
function recordsOf(disk: MemoryDisk, path: string): { readonly at: number; readonly kind: string }[] {
  const bytes = disk.read(path) ?? new Uint8Array(0);
  const generation = Number(/(\d+)\.log$/.exec(path)?.[1] ?? 0);
  const records: { at: number; kind: string }[] = [];
  for (let at = 0; ; ) {
    const decoded = decodeRecord(bytes, at, generation);
    if (decoded === undefined) break;
    records.push({ at, kind: decoded.record.kind });
    at = decoded.end;
  }
  if (records.length === 0 && path.endsWith(".log")) throw new Error(`no records in ${path}`);
  return records;
}

/** Every entry in `state` stood in the log at one same moment. */
function wasOnceTrue(state: InitialState, model: JournalModel): boolean {
  return model.states.some((remembered) => {
    const last = state.entries.at(-1)?.index ?? state.snapshot.index;
    return JournalModel.agrees(state, { ...remembered, log: remembered.log.slice(0, last) });
  });
}

/** Calls `check` with the journal cut at every byte of its last record and end mark. */
function forEachCut(
  { disk, model }: ReturnType<typeof build>,
  check: (torn: MemoryDisk, before: JournalModel["last"]["log"], isWhole: boolean) => void,
): void {
  const name = `${FOLDER}/${segmentsOf(disk).at(-1)}`;
  const last = recordsOf(disk, name).at(-1)?.at ?? 0;
  for (let length = last; length < sizeOf(disk, name); length++) {
    const torn = disk.clone();
    torn.cut(name, length);
    const isWhole = length >= sizeOf(disk, name) - 4;
    check(torn, isWhole ? model.last.log : model.last.log.slice(0, -1), isWhole);
  }
}

test("P12: durability `disk`: of a write cut short at any byte nothing is left, and nothing is suspect: it was not acknowledged", () => {
  const built = build([append(4), append(2, 1), append(1)], { durability: "disk" });
  forEachCut(built, (torn, before, isWhole) => {
    const { state, journal } = openJournal(torn, { durability: "disk", bootId: "boot-2" });
    expect(state.entries).toEqual(before);
    expect(state.isSuspect).toBe(false);
    // The next write takes the place of the torn one.
    const next = built.model.last.log.at(-1);
    journal.persist({ hardState: undefined, entries: isWhole || next === undefined ? [] : [next] }, () => {});
    torn.settle();
    expect(openJournal(torn).state.entries).toEqual(built.model.last.log);
  });
});

test("P12: a cut end that may have been acknowledged makes suspect: after a clean stop, and always in `replicated`", () => {
  for (const options of [undefined, { durability: "replicated" as const }]) {
    forEachCut(build([append(4), append(1)], options), (torn, before) => {
      const { state } = openJournal(torn);
      expect(state).toMatchObject({ isSuspect: true, entries: before });
      expect(torn.list(FOLDER).some((name) => name.includes(".log.bad-"))).toBe(true);
      // Until it has caught up, also over restarts.
      expect(openJournal(torn).state).toEqual(state);
    });
  }
});

test("P5: after a power cut a server of a `replicated` mesh is suspect, though nothing is damaged; after kill -9 it is not", () => {
  for (const [durability, bootId, isSuspect] of [
    ["replicated", "boot-1", false],
    ["replicated", "boot-2", true],
    ["replicated", undefined, true],
    ["disk", "boot-1", false],
    ["disk", "boot-2", false],
    ["disk", undefined, false],
  ] as const) {
    const { disk, model } = build([append(3)], { durability });
    const { state } = openJournal(disk, { bootId });
    expect([durability, bootId, state.isSuspect]).toEqual([durability, bootId, isSuspect]);
    expect(state.entries).toEqual(model.last.log);
    // The answer is about the last run: a kill -9 now does not take it back.
    expect(openJournal(disk, { bootId }).state.isSuspect).toBe(isSuspect || bootId === undefined);
  }
  const closed = build([append(3)]);
  expect(openJournal(closed.disk, { bootId: "boot-2" }).state.isSuspect).toBe(false);
  expect(openJournal(new MemoryDisk(), { bootId: "boot-2" }).state.isSuspect).toBe(false);
});

test("a damaged mark of an unclean stop counts as the worst that it can have said", () => {
  const { disk } = build([append(3)], { durability: "disk" });
  disk.corrupt(`${FOLDER}/running`, 0);
  expect(openJournal(disk).state.isSuspect).toBe(true);
});

test("P12: a changed byte anywhere never stops a node, serves a wrong entry or forgets a vote in silence", () => {
  fc.assert(
    fc.property(history, fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (steps, file, at, mask) => {
      const { disk, model } = build(steps);
      const names = disk.list(FOLDER);
      const name = names[file % Math.max(1, names.length)];
      if (name === undefined) return;
      const path = `${FOLDER}/${name}`;
      const offset = at % sizeOf(disk, path);
      const hit = recordsOf(disk, path).findLast((record) => record.at <= offset);
      disk.corrupt(path, offset, mask);

      const { state } = openJournal(disk);
      expect(wasOnceTrue(state, model)).toBe(true);
      const isComplete = JournalModel.agrees(state, model.last);
      if (!isComplete) expect(state.isSuspect).toBe(true);
      const { hardState } = model.last;
      if (hit?.kind !== "hardState" && hit?.kind !== "segment") {
        expect(state.hardState.term).toBe(hardState.term);
        expect([hardState.votedFor, LOST_VOTE]).toContain(state.hardState.votedFor);
        if (hardState.votedFor !== undefined) expect(state.hardState.votedFor).toBe(hardState.votedFor);
      } else if (state.hardState.term === hardState.term) {
        expect([hardState.votedFor, LOST_VOTE]).toContain(state.hardState.votedFor);
      }
      // What was repaired stays as it is, also for the next start.
      expect(openJournal(disk, { wallMs: 2000 }).state).toEqual(state);
    }),
    { numRuns: 2000 },
  );
});

test("P12: a record whose length has become 0 is no end mark: the node knows that it lacks something", () => {
  const { disk } = build([append(1)]);
  const path = `${FOLDER}/${segmentsOf(disk).at(-1)}`;
  const { at } = recordsOf(disk, path).at(-1) as { at: number };
  for (const offset of [at, at + 1, at + 2, at + 3]) {
    const byte = disk.read(path)?.[offset] ?? 0;
    if (byte !== 0) disk.corrupt(path, offset, byte);
  }
  const { state } = openJournal(disk);
  expect(state.entries).toEqual([]);
  expect(state.isSuspect).toBe(true);
});

test("P12: a crash at any step of the repair leaves a folder that the next start repairs to the same end", () => {
  fc.assert(
    fc.property(history, fc.nat(), fc.nat(), (steps, file, at) => {
      const { disk } = build(steps);
      const names = disk.list(FOLDER);
      const name = names[file % Math.max(1, names.length)];
      if (name === undefined) return;
      disk.corrupt(`${FOLDER}/${name}`, at % sizeOf(disk, `${FOLDER}/${name}`), 0x10);
      const { state: expected } = openJournal(disk.clone());
      for (let changes = 0; changes < 40; changes++) {
        const dying = disk.clone();
        dying.dieAfter(changes);
        const isDead = diesWhileOpening(dying);
        dying.dieAfter(Number.POSITIVE_INFINITY);
        expect(openJournal(dying, { wallMs: 2000 }).state).toEqual(expected);
        if (!isDead) return;
      }
      expect.unreachable("a repair takes fewer steps");
    }),
    { numRuns: 300 },
  );
});

function diesWhileOpening(disk: MemoryDisk): boolean {
  try {
    openJournal(disk);
    return false;
  } catch (error) {
    if (error instanceof ProcessDied) return true;
    throw error;
  }
}

test("a rotten record in the middle: one clear line, the file set aside, the good part kept, the rest asked of peers", () => {
  const { disk, model } = build([append(3), append(3), append(3)]);
  const name = segmentsOf(disk)[0] ?? "";
  const third = recordsOf(disk, `${FOLDER}/${name}`)[3];
  const original = disk.read(`${FOLDER}/${name}`);
  disk.corrupt(`${FOLDER}/${name}`, (third?.at ?? 0) + 12);
  const damaged = disk.read(`${FOLDER}/${name}`);
  const lines: { readonly fields: LogFields; readonly message: string }[] = [];
  const note = (fields: LogFields, message: string): unknown => lines.push({ fields, message });
  const log: Log = { error: note, warn: note, info: note, debug: note };

  const { state } = Journal.open(disk, FOLDER, log, 1_700_000_000_000, { segmentBytes: 120 });
  expect(state.isSuspect).toBe(true);
  expect(state.entries).toEqual(model.last.log.slice(0, 1));
  expect(disk.read(`${FOLDER}/${name}.bad-1700000000000`)).toEqual(damaged);
  expect(damaged).not.toEqual(original);
  expect(lines).toEqual([
    {
      message: "data file damaged",
      fields: expect.objectContaining({
        explanation:
          `Data file damaged at record 4 (power loss?). Kept 3 records, moved the rest to ` +
          `${FOLDER}/${name}.bad-1700000000000, taking current state from peers`,
      }),
    },
  ]);
});

test("suspect outlives restarts until clearSuspect, which first makes what was caught up durable", () => {
  const { disk, model } = build([append(6), append(6)]);
  const name = `${FOLDER}/${segmentsOf(disk)[0]}`;
  disk.corrupt(name, (recordsOf(disk, name)[2]?.at ?? 0) + 9);
  expect(openJournal(disk).state.isSuspect).toBe(true);
  disk.crash();
  const { journal, state } = openJournal(disk);
  expect(state.isSuspect).toBe(true);

  const missing = model.last.log.slice(state.entries.length).filter((entry) => entry !== undefined);
  journal.persist({ hardState: undefined, entries: missing }, () => {});
  journal.clearSuspect(() => {});
  disk.settle();
  disk.crash();
  const { state: healed } = openJournal(disk);
  expect(healed.isSuspect).toBe(false);
  expect(healed.entries).toEqual(model.last.log);
});

test("a suspect that has caught up stays so where the removed mark comes back after a power cut", () => {
  const { disk } = build([append(6), append(6)]);
  const name = `${FOLDER}/${segmentsOf(disk)[0]}`;
  disk.corrupt(name, (recordsOf(disk, name)[2]?.at ?? 0) + 9);
  const { journal } = openJournal(disk);
  // Nothing forces the folder to the medium: what was removed is there again.
  disk.remove = () => {};
  journal.clearSuspect(() => {});
  disk.settle();
  disk.crash();
  expect(disk.list(FOLDER)).toContain("suspect");
  expect(openJournal(disk).state.isSuspect).toBe(false);
});

test("Raft §5.2: a vote that stands behind the damage is honoured", () => {
  const { disk } = build([append(6), append(6), { kind: "vote", candidate: "b" }]);
  const name = `${FOLDER}/${segmentsOf(disk)[0]}`;
  disk.corrupt(name, (recordsOf(disk, name)[3]?.at ?? 0) + 9);
  const { state } = openJournal(disk);
  expect(state.hardState).toEqual({ term: 2, votedFor: "b" });
  expect(openJournal(disk).state.hardState).toEqual({ term: 2, votedFor: "b" });
});

test("Raft §5.2: where the vote of the newest term may have been in the damage, nobody gets it again", () => {
  const { disk } = build([append(2), { kind: "vote", candidate: "b" }, append(6)]);
  const name = `${FOLDER}/${segmentsOf(disk)[0]}`;
  const vote = recordsOf(disk, name).filter((record) => record.kind === "hardState")[1];
  for (const other of segmentsOf(disk).slice(1)) disk.remove(`${FOLDER}/${other}`);
  disk.corrupt(name, (vote?.at ?? 0) + 9);
  expect(openJournal(disk).state).toMatchObject({
    hardState: { term: 2, votedFor: LOST_VOTE },
    isSuspect: true,
  });
});

test("a damaged snapshot is set aside; suspect, unless the log still reaches back to its beginning", () => {
  const whole = build([append(5), { kind: "snapshot", behind: 2 }]);
  whole.disk.corrupt(`${FOLDER}/snapshot`, 10);
  const complete = openJournal(whole.disk);
  expect(complete.state.entries).toEqual(whole.model.last.log);
  expect(complete.state).toMatchObject({ isSuspect: false, snapshot: { index: 0 } });
  expect(complete.snapshotData).toBeUndefined();
  expect(whole.disk.list(FOLDER)).toContain("snapshot.bad-1000");

  const behind = build([append(3), { kind: "restore", ahead: 4 }, append(3)]);
  behind.disk.corrupt(`${FOLDER}/snapshot`, 10);
  expect(openJournal(behind.disk).state).toMatchObject({
    isSuspect: true,
    entries: [],
    snapshot: { index: 0 },
  });
  expect(openJournal(behind.disk).state).toMatchObject({ isSuspect: true, entries: [] });
});

test("a segment or snapshot that cannot be read at all (dead sectors) counts as damaged", () => {
  const { disk, model } = build([append(4), append(4), append(4)]);
  const second = segmentsOf(disk)[1] ?? "";
  disk.makeUnreadable(`${FOLDER}/${second}`);
  const { state } = openJournal(disk);
  expect(state.isSuspect).toBe(true);
  expect(wasOnceTrue(state, model)).toBe(true);
  expect(disk.list(FOLDER)).toContain(`${second}.bad-1000`);

  const other = build([append(3), { kind: "restore", ahead: 4 }]);
  other.disk.makeUnreadable(`${FOLDER}/snapshot`);
  expect(openJournal(other.disk).state.isSuspect).toBe(true);
});

test("a segment missing in the middle is damage, not an end", () => {
  const { disk, model } = build([append(8), append(8), append(8)]);
  expect(segmentsOf(disk).length).toBeGreaterThan(2);
  disk.remove(`${FOLDER}/${segmentsOf(disk)[1]}`);
  const { state } = openJournal(disk);
  expect(state.isSuspect).toBe(true);
  expect(state.entries.length).toBeGreaterThan(0);
  expect(wasOnceTrue(state, model)).toBe(true);
});

test("old segments that come back after a power cut do not get in the way of the log behind the snapshot", () => {
  const { disk, model } = build([append(8), append(8), append(8), append(8), append(8)]);
  const oldest = segmentsOf(disk)[0] ?? "";
  const kept = disk.read(`${FOLDER}/${oldest}`) ?? new Uint8Array(0);
  const { journal } = openJournal(disk);
  model.perform(journal, { kind: "snapshot", behind: 0 });
  journal.close();
  disk.settle();
  expect(segmentsOf(disk)[0]).not.toBe("0000000002.log");
  disk.replaceNow(`${FOLDER}/${oldest}`, kept);
  const { state } = openJournal(disk);
  expect(state.isSuspect).toBe(false);
  expect(JournalModel.agrees(state, model.last)).toBe(true);
});

test("P12: entries behind damage are legible as long as the server is suspect, however many files they take", () => {
  const { disk, model } = build([append(2), ...Array.from({ length: 40 }, () => append(3))]);
  const first = `${FOLDER}/${segmentsOf(disk)[0]}`;
  disk.corrupt(first, (recordsOf(disk, first)[3]?.at ?? 0) + 12);
  const keptAside = (): number => disk.list(FOLDER).filter((name) => name.includes(".log.bad-")).length;
  for (const wallMs of [5000, 3000, 1000]) {
    const { state, remains } = openJournal(disk, { wallMs });
    expect(state).toMatchObject({ isSuspect: true, isIncomplete: true, entries: [{ index: 1 }] });
    const behind = model.last.log.slice(2);
    expect(remains.after(2, model.last.log[1]?.term ?? 0, 1_000_000)).toEqual(behind);
    expect(keptAside()).toBeGreaterThan(20);
  }
  const { journal } = openJournal(disk);
  journal.clearSuspect(() => {});
  journal.close();
  disk.settle();
  const { state, remains } = openJournal(disk);
  expect(state).toMatchObject({ isSuspect: false, isIncomplete: false });
  expect(remains.lastIndex).toBe(0);
  expect(keptAside()).toBe(16);
});

test("damage that a snapshot covers leaves everything behind the snapshot legible", () => {
  const { disk, model } = build([append(3), append(3), { kind: "snapshot", behind: 1 }, append(3)]);
  const names = segmentsOf(disk).map((name) => `${FOLDER}/${name}`);
  const entryIn = names.flatMap((path) => recordsOf(disk, path).map((record) => ({ path, ...record })));
  const hit = entryIn.find(({ kind }) => kind === "entry");
  disk.corrupt(hit?.path ?? "", (hit?.at ?? 0) + 12);
  const { state, remains } = openJournal(disk);
  const { index, term } = state.snapshot;
  expect(index).toBe(5);
  expect(remains.after(index, term, 1_000_000)).toEqual(model.last.log.slice(index));
});

test("Raft §5.3: entries before the damage that others behind it had replaced are not kept", () => {
  const steps = [append(3), append(4, 2), append(2)];
  const { disk, model } = build(steps, { durability: "disk", segmentBytes: 10_000 });
  const path = `${FOLDER}/${segmentsOf(disk)[0]}`;
  const entries = recordsOf(disk, path).filter(({ kind }) => kind === "entry");
  // The fourth record of an entry is the first of the new leader's: entry 2 once more.
  disk.corrupt(path, (entries[3]?.at ?? 0) + 12);
  for (const wallMs of [1000, 2000]) {
    const { state, remains } = openJournal(disk, { wallMs, durability: "disk" });
    expect(state.entries).toEqual(model.last.log.slice(0, 1));
    expect(remains.after(2, 2, 1_000_000)).toEqual(model.last.log.slice(2));
  }
});

test("at most sixteen damaged files are kept; the oldest go first", () => {
  const disk = new MemoryDisk();
  for (let i = 1; i <= 20; i++) disk.replaceNow(`${FOLDER}/snapshot.bad-${i}`, new Uint8Array(1));
  openJournal(disk);
  expect(disk.list(FOLDER).filter((name) => name.includes(".bad-"))).toHaveLength(16);
  expect(disk.list(FOLDER)).not.toContain("snapshot.bad-4");
  expect(disk.list(FOLDER)).toContain("snapshot.bad-5");
});
