import fc from "fast-check";
import type { HardState, InitialState } from "raft-js";
import { expect, test } from "vitest";
import type { Journal } from "../src/journal/journal.ts";
import { LOST_VOTE } from "../src/journal/replay.ts";
import { history, JournalModel, openJournal, type Remembered, type Step } from "./support/journal-model.ts";
import { MemoryDisk } from "./support/memory-disk.ts";

const profile = fc.constantFrom("replicated" as const, "disk" as const);

/** Performs `steps` on `journal`, letting the disk do between 0 and 3 operations after each. */
function perform(disk: MemoryDisk, journal: Journal, model: JournalModel, steps: readonly Step[]): void {
  for (const [at, step] of steps.entries()) {
    // A snapshot is of what has been applied, which is what has been written: let the disk catch up.
    if (step.kind === "snapshot") disk.settle();
    model.perform(journal, step);
    if (step.kind === "snapshot") disk.settle();
    for (let i = 0; i < (at * 7) % 4; i++) disk.step();
  }
}

const ONE_ENTRY = { kind: "append", count: 1, back: 0, bytes: 0 } as const;
/** Its last segment has no entry, only the note of what is committed. */
const ONLY_A_NOTE: readonly Step[] = [
  { kind: "restore", ahead: 1 },
  { kind: "restore", ahead: 1 },
  ONE_ENTRY,
  { kind: "restore", ahead: 1 },
  ONE_ENTRY,
  { kind: "commit", behind: 0 },
];

test("after any history, a restart gives back exactly what was written", () => {
  fc.assert(
    fc.property(fc.array(history, { minLength: 1, maxLength: 3 }), (runs) => {
      const disk = new MemoryDisk();
      const model = new JournalModel();
      for (const steps of runs) {
        const { journal } = openJournal(disk);
        perform(disk, journal, model, steps);
        journal.close();
        disk.settle();
        const { state, snapshotData } = openJournal(disk);
        expect(state.hardState).toEqual(model.last.hardState);
        expect(state.snapshot.index).toBe(model.snapshot);
        expect(Math.max(state.commitIndex ?? 0, model.snapshot)).toBe(
          Math.max(model.committed, model.snapshot),
        );
        expect(JournalModel.agrees(state, model.last)).toBe(true);
        expect(state.isSuspect).toBe(false);
        if (model.snapshot > 0) {
          expect(snapshotData).toEqual(new Uint8Array([model.snapshot >> 8, model.snapshot]));
        }
      }
    }),
    { numRuns: 300, examples: [[[ONLY_A_NOTE, [ONE_ENTRY]]]] },
  );
});

test("P12: after a crash of the process or the power at any moment, the state is one that was written, and no promise is broken", () => {
  fc.assert(
    fc.property(
      history,
      fc.nat(30),
      fc.boolean(),
      fc.nat(),
      profile,
      (steps, more, isPowerCut, kept, durability) => {
        const disk = new MemoryDisk();
        const model = new JournalModel(durability);
        const { journal } = openJournal(disk, { durability });
        perform(disk, journal, model, steps);
        for (let i = 0; i < more; i++) disk.step();
        if (isPowerCut) disk.crash((_, count) => kept % (count + 1));
        else disk.kill();

        const after = { durability, bootId: isPowerCut ? "boot-2" : "boot-1" };
        const { state } = openJournal(disk, after);
        const possible = model.states.slice(model.durable);
        expect(possible.some(({ hardState }) => isAllowed(state, hardState))).toBe(true);
        // A batch may have survived in part, so between two written states also the first entries of the later one.
        const isAnything = state.hardState.term > 0 || state.snapshot.index > 0 || state.entries.length > 0;
        if (isAnything) expect(state.isSuspect).toBe(isPowerCut && durability === "replicated");
        expect(possible.some((remembered) => isPrefix(state, remembered, model))).toBe(true);
        // What is noted as committed was, and is there.
        const last = state.entries.at(-1)?.index ?? 0;
        expect(state.commitIndex).toBeLessThanOrEqual(
          Math.max(state.snapshot.index, Math.min(model.committed, last)),
        );
        // Opening it again changes nothing.
        expect(openJournal(disk, after).state).toEqual(state);
      },
    ),
    { numRuns: 1500 },
  );
});

/** Term and vote as written; or, cut short in a restore, the term of the new snapshot without a vote in it. */
function isAllowed({ hardState, snapshot }: InitialState, written: HardState): boolean {
  if (hardState.votedFor === LOST_VOTE) {
    return (
      hardState.term === snapshot.term && hardState.term === written.term && written.votedFor === undefined
    );
  }
  return hardState.term === written.term && hardState.votedFor === written.votedFor;
}

/**
 * Whether the log found is that of `remembered` up to where it ends, and holds what the durable state shares with it.
 * (A write that overwrites may survive in part: then the durable state's entries behind the common part are gone.)
 */
function isPrefix(state: InitialState, remembered: Remembered, model: JournalModel): boolean {
  const last = state.entries.at(-1)?.index ?? state.snapshot.index;
  const durable = model.states[model.durable]?.log ?? [];
  const split = durable.findIndex((entry, at) => entry !== remembered.log[at]);
  if (last < (split === -1 ? durable.length : split)) return false;
  return JournalModel.agrees(state, { ...remembered, log: remembered.log.slice(0, last) });
}
