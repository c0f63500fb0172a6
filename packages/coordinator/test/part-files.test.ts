import * as fc from "fast-check";
import type { Snapshot } from "raft-js";
import { expect, test } from "vitest";
import type { Journal } from "../src/journal/journal.ts";
import { frameOf } from "../src/journal/snapshot-writer.ts";
import { FOLDER, openJournal } from "./support/journal-model.ts";
import { MemoryDisk, ProcessDied } from "./support/memory-disk.ts";

const configuration = { voters: ["a"], votersOutgoing: [], learners: [] };

function snapshotAt(index: number): Snapshot {
  return { index, term: 1, configuration, data: Uint8Array.from([9, index]) };
}

/** A part that differs from all others. */
function part(number: number, length = 100): Uint8Array {
  return new Uint8Array(length).fill(number);
}

function save(journal: Journal, index: number, parts: readonly Uint8Array[] | undefined): string[] {
  const outcome: string[] = [];
  const snapshot = snapshotAt(index);
  journal.saveSnapshot(snapshot, (error) => outcome.push(error?.code ?? "saved"), frameOf(snapshot, parts));
  return outcome;
}

function partNames(disk: MemoryDisk): readonly string[] {
  return disk.list(FOLDER).filter((name) => name.endsWith(".part"));
}

/** A journal with one snapshot at 1. */
function journalWith(parts: readonly Uint8Array[]) {
  const disk = new MemoryDisk();
  const { journal } = openJournal(disk);
  save(journal, 1, parts);
  disk.settle();
  return { disk, journal };
}

test("a part is written once: later snapshots name it, before and after a restart", () => {
  const [a, b, c] = [part(1), part(2), part(3)];
  const { disk, journal } = journalWith([a, b]);
  const written = disk.read(`${FOLDER}/0000000001.part`);
  expect(written).toHaveLength(200);
  save(journal, 2, [a, b, c]);
  disk.settle();
  expect(partNames(disk)).toEqual(["0000000001.part", "0000000002.part"]);
  expect(disk.read(`${FOLDER}/0000000002.part`)).toEqual(c);
  const again = openJournal(disk);
  expect(again.snapshotParts).toEqual([a, b, c]);
  const before = disk.completed.replace;
  save(again.journal, 3, again.snapshotParts);
  disk.settle();
  expect(disk.completed.replace - before, "the snapshot's file only").toBe(1);
});

test("files go when the snapshot that names them last has been replaced, and not before", () => {
  const { disk, journal } = journalWith([part(1)]);
  save(journal, 2, [part(2)]);
  while (disk.pending > 0) {
    expect(partNames(disk)).toContain("0000000001.part");
    disk.step();
  }
  expect(partNames(disk)).toEqual(["0000000002.part"]);
  save(journal, 3, undefined);
  disk.settle();
  expect(partNames(disk)).toEqual([]);
  expect(openJournal(disk).snapshotData).toEqual(snapshotAt(3).data);
});

test("a part that comes back when its file has gone is written again", () => {
  const [a, b] = [part(1), part(2)];
  const { disk, journal } = journalWith([a]);
  for (const [at, parts] of [[b], [a, b]].entries()) save(journal, at + 2, parts);
  disk.settle();
  expect(openJournal(disk).snapshotParts).toEqual([a, b]);
});

test("what is left of a file is written anew when it is less than half, so that files are at most twice what is named", () => {
  const parts = [part(1), part(2), part(3), part(4), part(5)];
  const { disk, journal } = journalWith(parts);
  save(journal, 2, parts.slice(2));
  disk.settle();
  expect(partNames(disk)).toEqual(["0000000001.part"]);
  save(journal, 3, parts.slice(3));
  disk.settle();
  expect(partNames(disk)).toEqual(["0000000002.part"]);
  expect(openJournal(disk).snapshotParts).toEqual(parts.slice(3));
});

test("a disk without room costs one snapshot: what was written of it gives its room back, and the one before stays", () => {
  const old = part(1);
  const { disk, journal } = journalWith([old]);
  const many = [old, ...Array.from({ length: 3 }, (_, at) => part(at + 2, 4 * 1024 * 1024))];
  disk.room = 10 * 1024 * 1024;
  const outcome = save(journal, 2, many);
  disk.settle();
  expect(outcome).toEqual(["ERR_SKEIN_DISK_FULL"]);
  expect(partNames(disk)).toEqual(["0000000001.part"]);
  expect(openJournal(disk.clone()).state.snapshot.index).toBe(1);
  disk.room = Number.POSITIVE_INFINITY;
  expect(save(journal, 3, many)).toEqual([]);
  disk.settle();
  expect(openJournal(disk).snapshotParts?.map(({ length }) => length)).toEqual(
    many.map(({ length }) => length),
  );
});

test("P12: one bit that is wrong in a part makes the snapshot damaged, and the next one clears it away", () => {
  const { disk, journal } = journalWith([part(1), part(2)]);
  journal.close();
  disk.settle();
  disk.corrupt(`${FOLDER}/0000000001.part`, 150);
  const opened = openJournal(disk);
  expect(opened.snapshotData).toBeUndefined();
  expect(opened.isDamaged).toBe(true);
  expect(opened.state.isSuspect).toBe(true);
  expect(disk.list(FOLDER).filter((name) => name.startsWith("snapshot"))).toEqual(["snapshot.bad-1000"]);
  expect(partNames(disk), "for whoever wants to look").toHaveLength(1);
  save(opened.journal, 5, [part(7)]);
  disk.settle();
  expect(partNames(disk)).toEqual(["0000000002.part"]);
  expect(openJournal(disk).snapshotParts).toEqual([part(7)]);
});

test("a part that is missing, cut off or unreadable is damage, too", () => {
  const path = `${FOLDER}/0000000001.part`;
  const damages = [
    (disk: MemoryDisk) => disk.remove(path),
    (disk: MemoryDisk) => disk.cut(path, 150),
    (disk: MemoryDisk) => disk.makeUnreadable(path),
  ];
  for (const damage of damages) {
    const { disk } = journalWith([part(1), part(2)]);
    damage(disk);
    expect(openJournal(disk).isDamaged).toBe(true);
  }
});

test("P12: whenever the process dies or the power fails, one whole snapshot is left, with its parts and no others", () => {
  /** Of the parts of the snapshot before, which stay; how many are new; what the disk does until the next one. */
  const change = fc.record({
    kept: fc.array(fc.boolean(), { maxLength: 12 }),
    added: fc.integer({ min: 0, max: 3 }),
    isWhole: fc.nat(9).map((die) => die === 0),
    steps: fc.nat(6),
  });
  const end = fc.record({
    isPowerCut: fc.boolean(),
    comesBack: fc.boolean(),
    diesAfter: fc.option(fc.nat(8), { nil: Number.POSITIVE_INFINITY }),
  });
  const run = fc.tuple(fc.array(change, { minLength: 1, maxLength: 6 }), end);
  fc.assert(
    fc.property(fc.array(run, { minLength: 1, maxLength: 4 }), (runs) => {
      const disk = new MemoryDisk();
      let number = 0;
      let index = 0;
      let parts: readonly Uint8Array[] | undefined = [];
      for (const [changes, { isPowerCut, comesBack, diesAfter }] of runs) {
        const { journal } = openJournal(disk);
        /** By index, those that may be left. */
        const possible = new Map([[index, parts]]);
        const removed = new Map<string, Uint8Array>();
        disk.dieAfter(diesAfter);
        try {
          for (const { kept, added, isWhole, steps } of changes) {
            const left: readonly Uint8Array[] = (parts ?? []).filter((_, at) => kept[at] ?? true);
            const more = Array.from({ length: added }, () => part(++number % 256, 10 + number));
            parts = isWhole ? undefined : [...left, ...more];
            const saved = ++index;
            possible.set(saved, parts);
            const snapshot = snapshotAt(saved);
            const done = (): void => {
              for (const before of possible.keys()) if (before < saved) possible.delete(before);
            };
            journal.saveSnapshot(snapshot, done, frameOf(snapshot, parts));
            for (let step = 0; step < steps; step++) {
              for (const name of partNames(disk))
                removed.set(name, disk.read(`${FOLDER}/${name}`) as Uint8Array);
              disk.step();
            }
          }
        } catch (error) {
          if (!(error instanceof ProcessDied)) throw error;
        }
        disk.dieAfter(Number.POSITIVE_INFINITY);
        if (isPowerCut) disk.crash();
        else disk.kill();
        // No one has told the medium to forget the names.
        if (isPowerCut && comesBack)
          for (const [name, bytes] of removed)
            if (!disk.list(FOLDER).includes(name)) disk.replaceNow(`${FOLDER}/${name}`, bytes);

        const opened = openJournal(disk);
        expect(opened.isDamaged).toBe(false);
        index = opened.state.snapshot.index;
        expect([...possible.keys()]).toContain(index);
        expect(opened.snapshotParts ?? []).toEqual(possible.get(index) ?? []);
        if (index > 0) expect(opened.snapshotData).toEqual(snapshotAt(index).data);
        parts = opened.snapshotParts;
        const named = (parts ?? []).reduce((bytes, { length }) => bytes + length, 0);
        const stored = partNames(disk).reduce(
          (bytes, name) => bytes + (disk.read(`${FOLDER}/${name}`)?.length ?? 0),
          0,
        );
        expect(stored).toBeLessThanOrEqual(named * 2);
      }
    }),
    { numRuns: 1000 },
  );
});
