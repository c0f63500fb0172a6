/**
 * Voters whose journals are damaged at the same time give each other back what each of them has lost.
 *
 * Three voters: a and b have the whole log, c a part of it, or even another end of it. The journals of a and b are damaged, each anywhere. What is then
 * legible on any of the three must be in the log of the one that wins an election in which all vote.
 */

import type { NodeId } from "@skein/kernel";
import fc from "fast-check";
import type { Entry } from "raft-js";
import { expect, test } from "vitest";
import { decodeRecord } from "../src/journal/record.ts";
import { Remains } from "../src/journal/remains.ts";
import { Mending } from "../src/replica/mending.ts";
import { FOLDER, openJournal } from "./support/journal-model.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const LOG = { error() {}, warn() {}, info() {}, debug() {} };

/** Entry `index` of `term`; unlike every other. */
function entry(index: number, term: number): Entry {
  return { index, term, kind: "command", data: Uint8Array.of(index, term, 7, 7, 7) };
}

const keyOf = ({ index, term }: Entry): string => `${index}/${term}`;

/** A step of a journal's history: it appends up to `to`; or entries of an old leader, `stale` of them, that are overwritten. */
interface Append {
  readonly count: number;
  readonly stale: number;
}

/** Writes `log` as a server would that got it in these steps. */
function write(log: readonly Entry[], steps: readonly Append[]): MemoryDisk {
  const disk = new MemoryDisk();
  const { journal } = openJournal(disk);
  const persist = (entries: readonly Entry[]): void => {
    journal.persist({ hardState: undefined, entries }, () => {});
    disk.settle();
  };
  journal.persist({ hardState: { term: 9, votedFor: "a" }, entries: [] }, () => {});
  disk.settle();
  let at = 0;
  for (const { count, stale } of steps) {
    const [before, next] = [log[at - 1]?.term ?? 0, log[at]];
    // A leader of a term in between wrote entries that the next one replaced.
    if (next !== undefined && stale > 0 && next.term > before + 1)
      persist(Array.from({ length: stale }, (_, i) => entry(at + 1 + i, before + 1)));
    persist(log.slice(at, at + count));
    at += count;
  }
  persist(log.slice(at));
  journal.close();
  disk.settle();
  return disk;
}

interface Hit {
  readonly record: number;
  readonly byte: number;
}

/** Damages records and returns the entries that are hit, and whether the first two of those that overwrote others are. */
function damage(disk: MemoryDisk, hits: readonly Hit[]): { lost: Set<string>; isOverwriteLost: boolean } {
  const records: { path: string; at: number; end: number; entry: Entry | undefined }[] = [];
  for (const name of disk.list(FOLDER).filter((file) => file.endsWith(".log"))) {
    const path = `${FOLDER}/${name}`;
    const bytes = disk.read(path) as Uint8Array;
    for (let at = 0; ; ) {
      const decoded = decodeRecord(bytes, at, Number(name.slice(0, 10)));
      if (decoded === undefined) break;
      const { record, end } = decoded;
      records.push({ path, at, end, entry: record.kind === "entry" ? record.entry : undefined });
      at = end;
    }
  }
  const lost = new Set<string>();
  const numbers = new Set(hits.map(({ record }) => record % records.length));
  let isOverwriteLost = false;
  for (const { record, byte } of hits) {
    const number = record % records.length;
    const { path, at, end, entry } = records[number] as (typeof records)[number];
    disk.corrupt(path, at + (byte % (end - at)), 0x20);
    if (entry === undefined) continue;
    lost.add(keyOf(entry));
    const before = records.slice(0, number).findLast((other) => other.entry !== undefined)?.entry?.index ?? 0;
    const next = records.findIndex((other, i) => i > number && other.entry !== undefined);
    isOverwriteLost ||= entry.index <= before && numbers.has(next);
  }
  return { lost, isOverwriteLost };
}

/** A voter with the part of its log that it uses, and what is legible behind. */
class Voter {
  readonly id: NodeId;
  readonly log: Entry[];
  readonly remains: Remains;
  mending: Mending | undefined;
  isComplete = true;

  constructor(id: string, log: readonly Entry[], remains: Remains) {
    this.id = id as NodeId;
    this.log = [...log];
    this.remains = remains;
  }

  get end(): { readonly index: number; readonly term: number } {
    return this.log.at(-1) ?? { index: 0, term: 0 };
  }

  after(index: number, term: number): readonly Entry[] {
    const own = this.mending?.missingAfter(index, term)?.entries ?? [];
    const known = index === 0 ? term === 0 : this.log[index - 1]?.term === term;
    return own.length > 0 ? own : known ? this.log.slice(index, index + 3) : [];
  }
}

/** Lets all of them ask each other until nothing changes any more. */
function mend(voters: readonly Voter[]): void {
  const clock = new VirtualClock();
  const asked: (() => void)[] = [];
  const deliver = (): void => {
    for (let next = asked.shift(); next !== undefined; next = asked.shift()) next();
  };
  for (const voter of voters) {
    const others = voters.filter((other) => other !== voter);
    if (voter.remains.lastIndex <= voter.end.index) continue;
    voter.isComplete = false;
    const mended = {
      end: () => voter.end,
      voters: () => others.map(({ id }) => id),
      isOutgrown: () => false,
      take: (entries: readonly Entry[], isComplete: boolean) => {
        voter.log.push(...entries);
        voter.isComplete ||= isComplete;
      },
      state: () => (voter.isComplete ? "over" : "incomplete") as "over" | "incomplete",
    };
    voter.mending = new Mending(mended, voter.remains, {
      clock,
      log: LOG,
      ask: (to, index, term) =>
        asked.push(() => {
          const entries = others.find(({ id }) => id === to)?.after(index, term) ?? [];
          voter.mending?.answered(to, { index, term, missing: { snapshot: undefined, entries } });
        }),
    });
  }
  for (const { id, mending } of voters)
    mending?.peersChanged(voters.map((other) => other.id).filter((other) => other !== id));
  deliver();
  for (let second = 0; second < 30; second++) {
    clock.advance(1000);
    for (const { mending } of voters) mending?.tick(clock.monotonicMs());
    deliver();
  }
}

/** The first `count` entries of `log`, and what an old leader appended to them before the next one came, if there was one. */
function behind(log: readonly Entry[], count: number): readonly Entry[] {
  const [before, next] = [log[count - 1]?.term ?? 0, log[count]?.term ?? 0];
  const stale = Array.from({ length: next > before + 1 ? 5 : 0 }, (_, i) => entry(count + 1 + i, before + 1));
  return [...log.slice(0, count), ...stale];
}

/** Raft §5.4.1: who wins where all vote. */
function winner(voters: readonly Voter[]): Voter {
  const isBetter = (a: Voter, b: Voter): boolean =>
    a.end.term > b.end.term || (a.end.term === b.end.term && a.end.index > b.end.index);
  return voters.reduce((best, voter) => (isBetter(voter, best) ? voter : best));
}

const steps = fc.array(
  fc.record({ count: fc.integer({ min: 1, max: 6 }), stale: fc.constantFrom(0, 0, 1, 4) }),
  {
    maxLength: 12,
  },
);
const hits = fc.array(fc.record({ record: fc.nat(), byte: fc.nat() }), { minLength: 1, maxLength: 4 });

test("P12: whatever two of three damaged journals still hold between them survives, in the order of the log", () => {
  let repaired = 0;
  let holes = 0;
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0, 0, 0, 0, 1, 2), { minLength: 5, maxLength: 40 }),
      fc.tuple(steps, steps),
      fc.tuple(hits, hits),
      fc.nat(),
      (rises, [stepsOfA, stepsOfB], [hitsOfA, hitsOfB], lag) => {
        let term = 1;
        const log = rises.map((rise, i) => {
          term += rise;
          return entry(i + 1, term);
        });
        const diskOf = [write(log, stepsOfA), write(log, stepsOfB)] as const;
        const damaged = [damage(diskOf[0], hitsOfA), damage(diskOf[1], hitsOfB)] as const;
        // The limit named in mending.ts.
        fc.pre(damaged.every(({ isOverwriteLost }) => !isOverwriteLost));
        const opened = diskOf.map((disk) => openJournal(disk));
        // The one that is behind is asked first: its other end must not be taken for what followed.
        const voters = [
          new Voter("c", behind(log, lag % log.length), new Remains()),
          ...opened.map(({ state, remains }, at) => new Voter("ab"[at] as string, state.entries, remains)),
        ];
        const kept = voters.map(({ end }) => end.index);
        mend(voters);
        expect(voters.every(({ isComplete }) => isComplete)).toBe(true);
        const isLegible = (one: Entry): boolean =>
          one.index <= lag % log.length || damaged.some(({ lost }) => !lost.has(keyOf(one)));
        const lostAt = log.findIndex((one) => !isLegible(one));
        const legible = lostAt === -1 ? log : log.slice(0, lostAt);
        const best = winner(voters);
        expect(best.log.slice(0, legible.length).map(keyOf)).toEqual(legible.map(keyOf));
        // And nobody has made anything up.
        for (const voter of voters)
          for (const [at, one] of voter.log.entries()) expect(one.index).toBe(at + 1);
        if (Math.max(...kept) < legible.length) repaired++;
        if (lostAt !== -1) holes++;
      },
    ),
    { numRuns: 1500 },
  );
  // Not vacuous: in many runs nobody had kept everything, and in some an entry was gone everywhere.
  expect(repaired).toBeGreaterThan(300);
  expect(holes).toBeGreaterThan(20);
});

function remainsOf(
  ...entries: readonly (readonly [index: number, term: number, previousTerm: number])[]
): Remains {
  const remains = new Remains();
  remains.beginLayer();
  for (const [index, term, previousTerm] of entries) remains.add(entry(index, term), previousTerm);
  return remains;
}

const keysAfter = (remains: Remains, index: number, term: number): string[] =>
  remains.after(index, term, 1000).map(keyOf);

test("what follows an entry is known where the entry itself is legible, or the next one names its term", () => {
  const remains = remainsOf([5, 2, 1], [6, 2, 2], [8, 3, 2]);
  expect(keysAfter(remains, 4, 1)).toEqual(["5/2", "6/2"]);
  expect(keysAfter(remains, 4, 2)).toEqual([]);
  expect(keysAfter(remains, 5, 2)).toEqual(["6/2"]);
  expect(keysAfter(remains, 5, 3), "another log").toEqual([]);
  expect(keysAfter(remains, 6, 2), "a hole").toEqual([]);
  expect(keysAfter(remains, 7, 2)).toEqual(["8/3"]);
  expect(keysAfter(remains, 8, 3)).toEqual([]);
  expect(remains.lastIndex).toBe(8);
});

test("an entry of which it is not known what it follows continues nothing", () => {
  const remains = remainsOf([5, 2, 1], [6, 3, 0], [7, 3, 3]);
  expect(keysAfter(remains, 5, 2)).toEqual([]);
  expect(keysAfter(remains, 6, 3)).toEqual(["7/3"]);
});

test("a later record supersedes what had its index or a higher one, and what it does not follow", () => {
  const remains = remainsOf([5, 2, 1], [6, 2, 2], [7, 2, 2], [6, 4, 3], [7, 4, 4]);
  expect(keysAfter(remains, 4, 1)).toEqual([]);
  expect(keysAfter(remains, 5, 3)).toEqual(["6/4", "7/4"]);
  remains.supersede(7);
  expect(keysAfter(remains, 5, 3)).toEqual(["6/4"]);
});

test("what was set aside at another time is a layer of its own: it supersedes nothing, but is believed first", () => {
  const remains = remainsOf([5, 2, 1], [6, 2, 2], [7, 2, 2]);
  remains.beginLayer();
  remains.add(entry(4, 1), 1);
  remains.add(entry(5, 3), 1);
  expect(keysAfter(remains, 4, 1)).toEqual(["5/3"]);
  expect(keysAfter(remains, 5, 2)).toEqual(["6/2", "7/2"]);
});

test("an answer holds as much as fits, and one entry at least", () => {
  const remains = remainsOf([1, 1, 0], [2, 1, 1], [3, 1, 1]);
  expect(remains.after(0, 0, 10)).toHaveLength(2);
  expect(remains.after(0, 0, 1)).toHaveLength(1);
});

/** A voter with one entry and entry 3, and those it asks; nobody answers by itself. */
function oneOfThree(voterIds: readonly string[] = ["b", "c"], isOutgrown = false) {
  const clock = new VirtualClock();
  const log = [entry(1, 1)];
  const asked: string[] = [];
  let isComplete = false;
  const mending = new Mending(
    {
      end: () => log.at(-1) as Entry,
      voters: () => voterIds as NodeId[],
      isOutgrown: () => isOutgrown,
      take: (entries, isAll) => {
        log.push(...entries);
        isComplete ||= isAll;
      },
      state: () => (isComplete ? "over" : "incomplete"),
    },
    remainsOf([3, 1, 1]),
    { clock, log: LOG, ask: (to, index, term) => asked.push(`${to} ${index}/${term}`) },
  );
  return {
    mending,
    log,
    takeAsked: () => asked.splice(0),
    second: () => {
      clock.advance(1000);
      mending.tick(clock.monotonicMs());
    },
    answer: (from: string, index: number, term: number, ...entries: readonly Entry[]) =>
      mending.answered(from as NodeId, { index, term, missing: { snapshot: undefined, entries } }),
    get isComplete() {
      return isComplete;
    },
  };
}

const [B, C] = ["b", "c"] as NodeId[] as [NodeId, NodeId];

test("who does not answer is asked again after the others, and who is away is waited for", () => {
  const one = oneOfThree();
  expect(one.mending.awaited).toEqual([B, C]);
  one.mending.peersChanged([B, C]);
  expect(one.takeAsked()).toEqual(["b 1/1"]);
  one.second();
  expect(one.takeAsked()).toEqual(["c 1/1"]);
  one.answer("c", 1, 1);
  expect(one.takeAsked()).toEqual(["b 1/1"]);
  expect(one.mending.awaited).toEqual([B]);
  one.mending.peersChanged([C]);
  for (let i = 0; i < 60; i++) {
    one.second();
    one.answer("c", 1, 1);
  }
  expect(one.isComplete).toBe(false);
  one.mending.peersChanged([C, B]);
  one.second();
  one.answer("c", 1, 1);
  one.answer("b", 1, 1, entry(2, 1), entry(3, 1), entry(4, 1));
  expect(one.log.map(keyOf), "not what the peer has behind that").toEqual(["1/1", "2/1", "3/1"]);
  expect(one.isComplete).toBe(true);
  expect(one.mending.awaited).toEqual([]);
});

test("answers that were not asked for, are late, or do not follow change nothing", () => {
  const one = oneOfThree();
  one.mending.peersChanged([B, C]);
  one.answer("c", 1, 1, entry(2, 1));
  one.answer("b", 9, 1, entry(10, 1));
  one.answer("b", 1, 1, entry(3, 1));
  expect(one.log).toHaveLength(1);
  expect(one.takeAsked(), "b has nothing that follows").toEqual(["b 1/1", "c 1/1"]);
});

test("where the log does not say who votes, it ends when everybody in sight has answered, and not before anybody is", () => {
  const one = oneOfThree([]);
  for (let i = 0; i < 10; i++) one.second();
  expect(one.isComplete).toBe(false);
  one.mending.peersChanged([B]);
  one.answer("b", 1, 1);
  expect(one.isComplete).toBe(true);
});

test("a log from before there were other voters is not taken for all there is, whatever they answer; what they have is taken", () => {
  const one = oneOfThree(["b"], true);
  one.mending.peersChanged([B]);
  for (let i = 0; i < 10; i++) {
    one.answer("b", 1, 1);
    one.second();
  }
  expect(one.isComplete).toBe(false);
  one.answer("b", 1, 1, entry(2, 1), entry(3, 1));
  expect(one.log.map(keyOf)).toEqual(["1/1", "2/1", "3/1"]);
  // Its log would say by now who votes, and it would be over.
  expect(one.isComplete).toBe(false);
});

test("the newest configuration that is legible is the one of the latest term, and what was superseded is none", () => {
  const remains = new Remains();
  expect(remains.configuration).toBeUndefined();
  const configuration = (index: number, term: number): Entry => ({
    ...entry(index, term),
    kind: "configuration",
  });
  remains.beginLayer();
  remains.add(configuration(5, 3), 2);
  remains.add(configuration(6, 3), 3);
  remains.add(entry(7, 3), 3);
  expect(remains.configuration).toMatchObject({ index: 6, term: 3 });
  remains.supersede(6);
  expect(remains.configuration).toMatchObject({ index: 5, term: 3 });
  remains.beginLayer();
  remains.add(configuration(9, 2), 2);
  expect(remains.configuration).toMatchObject({ index: 5, term: 3 });
});
