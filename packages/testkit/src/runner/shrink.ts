/**
 * Makes a failing schedule as short as it can be: delta debugging over its faults, then over the time of the chaos.
 *
 * Every fault draws its randomness from a sequence of its own, so leaving one out changes the others as little as possible. A
 * shorter schedule counts only if it breaks the same promise.
 *
 * Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input" (2002), algorithm ddmin.
 */

import type { Fault, Schedule } from "./schedule.ts";
import type { Verdict } from "./simulation.ts";

export interface Shrunk {
  readonly schedule: Schedule;
  readonly verdict: Verdict;
  /** Simulations it took. */
  readonly runs: number;
}

/** After the last fault the mesh gets this long before the heal. */
const TAIL_MS = 5000;

/**
 * @param failed the verdict on `schedule`, with a failure
 * @param run carries out a schedule; the same schedule always has the same verdict
 * @param runsMax gives up looking for something shorter after so many runs
 */
export function shrink(
  schedule: Schedule,
  failed: Verdict,
  run: (schedule: Schedule) => Verdict,
  runsMax = 400,
): Shrunk {
  const what = failed.failure?.what;
  let best: Shrunk = { schedule, verdict: failed, runs: 0 };
  let runs = 0;
  const holds = (candidate: Schedule): boolean => {
    if (runs >= runsMax) return false;
    runs++;
    const verdict = run(candidate);
    if (verdict.failure === undefined || verdict.failure.what !== what) return false;
    best = { schedule: candidate, verdict, runs };
    return true;
  };
  for (const candidate of shorterFaults(schedule)) if (holds(candidate)) break;
  let parts = 2;
  while (best.schedule.faults.length >= 2 && runs < runsMax) {
    const before: Schedule = best.schedule;
    const found = without(before, parts).find(holds);
    if (found !== undefined) parts = Math.max(2, parts - 1);
    else if (parts >= before.faults.length) break;
    else parts = Math.min(before.faults.length, parts * 2);
  }
  const lastAt = best.schedule.faults.at(-1)?.at ?? best.schedule.chaosFromMs;
  holds({ ...best.schedule, chaosUntilMs: Math.min(best.schedule.chaosUntilMs, lastAt + TAIL_MS) });
  return { ...best, runs };
}

/** First guesses: no faults at all, and only those before the failure showed. */
function shorterFaults(schedule: Schedule): readonly Schedule[] {
  return [{ ...schedule, faults: [] }];
}

/** The schedule without each of `parts` equal parts of its faults. */
function without(schedule: Schedule, parts: number): readonly Schedule[] {
  const { faults } = schedule;
  const size = Math.ceil(faults.length / parts);
  const candidates: Schedule[] = [];
  for (let at = 0; at < faults.length; at += size) {
    const rest: readonly Fault[] = [...faults.slice(0, at), ...faults.slice(at + size)];
    candidates.push({ ...schedule, faults: rest });
  }
  return candidates;
}
