/**
 * Waiting for something that another process will make true.
 *
 * Containers offer no event for "the mesh has formed", so the state is asked for again and again until it is as
 * wanted or the time is up; the error then tells what was seen last.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

/** How long to wait for, and how often to ask. */
export interface Patience {
  /** Gives up after this time. */
  readonly withinMs: number;
  /** Pause between two attempts. Default 50. */
  readonly everyMs?: number;
}

/** What was seen, and after how long. */
export interface Seen<T> {
  readonly value: T;
  /** From the call of {@link eventually} to the successful attempt. */
  readonly afterMs: number;
}

/**
 * Calls `attempt` until it returns without throwing.
 *
 * @throws {Error} with the last attempt's error as cause, when the time is up.
 */
export async function eventually<T>(
  what: string,
  patience: Patience,
  attempt: () => Promise<T>,
): Promise<Seen<T>> {
  const start = performance.now();
  for (;;) {
    try {
      const value = await attempt();
      return { value, afterMs: Math.round(performance.now() - start) };
    } catch (error) {
      if (performance.now() - start > patience.withinMs) {
        const last = error instanceof Error ? error.message : String(error);
        throw new Error(`Not within ${patience.withinMs} ms: ${what}. Last seen: ${last}`, { cause: error });
      }
    }
    await delay(patience.everyMs ?? 50);
  }
}

/** `min 812 · median 1204 · p90 2100 · max 3301 ms (n=10)`. */
export function distribution(samplesMs: readonly number[]): string {
  const sorted = [...samplesMs].sort((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return `min ${at(0)} · median ${at(0.5)} · p90 ${at(0.9)} · max ${at(1)} ms (n=${sorted.length})`;
}
