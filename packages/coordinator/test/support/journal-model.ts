/**
 * What a journal must remember, in the simplest form, and random histories to compare with.
 *
 * A history is a list of writes as a Raft server would give them. The model holds the state after each write, because
 * after a crash any of the states since the last durable one may be what is left.
 */

import type { Log } from "@skein/kernel";
import fc from "fast-check";
import type { Entry, HardState, InitialState, Snapshot } from "raft-js";
import { Journal, type JournalOptions, type OpenedJournal } from "../../src/journal/journal.ts";
import type { MemoryDisk } from "./memory-disk.ts";

export const FOLDER = "raft";
/** Small, so that short histories have many segments. */
const SMALL_SEGMENTS: JournalOptions = { segmentBytes: 120, entriesKept: 2 };

export type Step =
  /** Appends `count` entries after cutting `back` uncommitted ones off; in a new term if any were cut. */
  | { readonly kind: "append"; readonly count: number; readonly back: number; readonly bytes: number }
  | { readonly kind: "vote"; readonly candidate: string }
  /** Saves a snapshot `behind` entries before the end. */
  | { readonly kind: "snapshot"; readonly behind: number }
  /** A leader's snapshot, `ahead` entries after the end. */
  | { readonly kind: "restore"; readonly ahead: number }
  /** Notes that all but the last `behind` entries are committed. */
  | { readonly kind: "commit"; readonly behind: number }
  /** `nothing`: a write that only waits for those before it. */
  | { readonly kind: "flush" | "nothing" };

export const history: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("append" as const),
        count: fc.integer({ min: 1, max: 4 }),
        back: fc.constantFrom(0, 0, 0, 1, 2, 5),
        bytes: fc.integer({ min: 0, max: 40 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("vote" as const), candidate: fc.constantFrom("a", "b") }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("snapshot" as const),
        behind: fc.integer({ min: 0, max: 6 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("restore" as const), ahead: fc.integer({ min: 1, max: 5 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("commit" as const), behind: fc.integer({ min: 0, max: 4 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("flush" as const, "nothing" as const) }) },
  ),
  { minLength: 1, maxLength: 25 },
);

/** One state of the server. */
export interface Remembered {
  readonly hardState: HardState;
  /** Entry `index` stands at `index - 1`; undefined where a restored snapshot has replaced it. */
  readonly log: readonly (Entry | undefined)[];
}

export class JournalModel {
  /** The state after each write, the first being the empty one. */
  readonly states: Remembered[] = [{ hardState: { term: 0, votedFor: undefined }, log: [] }];
  /** Index of the newest state that a power cut must not take back. */
  durable = 0;
  snapshot = 0;
  /** Noted as committed. */
  committed = 0;
  readonly #isDisk: boolean;
  #serial = 0;

  /** `durability` of the journal: what is promised when a write is done. */
  constructor(durability: "replicated" | "disk" = "replicated") {
    this.#isDisk = durability === "disk";
  }

  get last(): Remembered {
    return this.states.at(-1) as Remembered;
  }

  /** Gives `step` to the journal; notes in `durable` what has been promised when its callbacks come. */
  perform(journal: Journal, step: Step): void {
    const { hardState, log } = this.last;
    switch (step.kind) {
      case "append": {
        const cut = Math.max(this.snapshot, this.committed, log.length - step.back);
        const term = Math.max(1, hardState.term + (cut < log.length ? 1 : 0));
        const isNew = term > hardState.term;
        const next: HardState = isNew ? { term, votedFor: undefined } : hardState;
        const entries = Array.from({ length: step.count }, (_, i) =>
          this.#entry(cut + 1 + i, term, step.bytes),
        );
        const at = this.#remember({ hardState: next, log: [...log.slice(0, cut), ...entries] });
        journal.persist({ hardState: isNew ? next : undefined, entries }, (error) => {
          if (error === undefined && (isNew || this.#isDisk)) this.#promise(at);
        });
        return;
      }
      case "vote": {
        const next = { term: hardState.term + 1, votedFor: step.candidate };
        const at = this.#remember({ hardState: next, log });
        journal.persist({ hardState: next, entries: [] }, (error) => {
          if (error === undefined) this.#promise(at);
        });
        return;
      }
      case "snapshot": {
        const index = Math.max(this.snapshot, log.length - step.behind);
        const entry = log[index - 1];
        if (entry === undefined || index === this.snapshot) return;
        this.snapshot = index;
        journal.saveSnapshot(snapshotAt(index, entry.term), () => {});
        return;
      }
      case "restore": {
        const index = log.length + step.ahead;
        const next = { term: hardState.term + 1, votedFor: undefined };
        const at = this.#remember({ hardState: next, log: Array.from({ length: index }, () => undefined) });
        this.snapshot = index;
        this.committed = index;
        journal.restore(snapshotAt(index, next.term), false, next, (error) => {
          if (error === undefined) this.#promise(at);
        });
        return;
      }
      case "commit": {
        this.committed = Math.max(this.committed, log.length - step.behind);
        journal.noteCommitted(this.committed);
        return;
      }
      case "nothing":
        journal.persist({ hardState: undefined, entries: [] }, () => {});
        return;
      case "flush":
        journal.flushDue();
    }
  }

  /** Whether `state` holds exactly the log of `remembered`, as far as its snapshot does not replace it. */
  static agrees(state: InitialState, remembered: Remembered): boolean {
    const { entries, snapshot } = state;
    const first = entries[0]?.index ?? snapshot.index + 1;
    const last = first + entries.length - 1;
    if (first > snapshot.index + 1 || last < snapshot.index) return false;
    if (last !== Math.max(remembered.log.length, snapshot.index)) return false;
    return entries.every((entry, at) => {
      if (entry.index !== first + at) return false;
      if (entry.index <= snapshot.index && remembered.log[entry.index - 1] === undefined) return true;
      return sameEntry(entry, remembered.log[entry.index - 1]);
    });
  }

  #entry(index: number, term: number, bytes: number): Entry {
    // Every entry is unlike every other, so that a wrong one cannot pass for the right one.
    const serial = this.#serial++;
    return {
      index,
      term,
      kind: "command",
      data: new Uint8Array([serial >> 8, serial, ...new Uint8Array(bytes)]),
    };
  }

  #remember(state: Remembered): number {
    return this.states.push(state) - 1;
  }

  #promise(at: number): void {
    this.durable = Math.max(this.durable, at);
  }
}

function snapshotAt(index: number, term: number): Snapshot {
  const configuration = { voters: ["a", "b"], votersOutgoing: [], learners: [] };
  return { index, term, configuration, data: new Uint8Array([index >> 8, index]) };
}

export interface OpenOptions extends JournalOptions {
  readonly wallMs?: number;
}

/** As the process that is started after the last one, on a machine that has run all the time (unless told otherwise). */
export function openJournal(
  disk: MemoryDisk,
  { wallMs = 1000, ...options }: OpenOptions = {},
): OpenedJournal {
  return Journal.open(disk, FOLDER, SILENT, wallMs, { ...SMALL_SEGMENTS, bootId: "boot-1", ...options });
}

const SILENT: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

function sameEntry(a: Entry, b: Entry | undefined): boolean {
  return b !== undefined && a.term === b.term && a.kind === b.kind && a.data.join() === b.data.join();
}
