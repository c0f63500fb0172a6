/**
 * Strikes one broker after the other, at its own pace, one at a time: what is promised is that any minority may die.
 *
 * A broker that was struck is put right after a while, and the next one is struck only when the cluster is whole again; how long
 * that took is noted.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Prng } from "@skein/kernel";
import type { FaultKind } from "../settings.ts";

/** What can be done to brokers, each by its number. */
export interface FaultHook {
  strike(kind: FaultKind, broker: number): Promise<void>;
  /** Undoes what was done to it. */
  undo(kind: FaultKind, broker: number): Promise<void>;
  /** Resolves when the cluster is whole again. @throws {Error} if that takes too long */
  whole(): Promise<void>;
}

export interface Fault {
  readonly kind: FaultKind;
  readonly broker: number;
  /** Milliseconds of the run. */
  readonly at: number;
  undoneAt: number | undefined;
  wholeAt: number | undefined;
}

export interface Pace {
  readonly kinds: readonly FaultKind[];
  readonly everyMs: number;
  readonly lastsMs: number;
}

export class FaultSchedule {
  readonly faults: Fault[] = [];
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;

  /** Runs until {@link FaultSchedule.stop}. */
  constructor(hook: FaultHook, pace: Pace, brokers: number, random: Prng, now: () => number) {
    this.#done = this.#run(hook, pace, brokers, random, now);
    // It is looked at when the schedule is stopped.
    this.#done.catch(() => undefined);
  }

  /** What is going on now. */
  get current(): string {
    const last = this.faults.at(-1);
    if (last === undefined || last.wholeAt !== undefined) return "quiet";
    return `${last.kind} broker ${last.broker}${last.undoneAt === undefined ? "" : ", undone"}`;
  }

  /** Resolves when the last fault is undone and the cluster is whole. @throws {Error} if a fault could not be carried out */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(
    hook: FaultHook,
    { kinds, everyMs, lastsMs }: Pace,
    brokers: number,
    random: Prng,
    now: () => number,
  ): Promise<void> {
    let dueAt = performance.now() + everyMs;
    for (;;) {
      await this.#pause(Math.max(0, dueAt - performance.now()));
      if (this.#stopping.signal.aborted) return;
      dueAt = performance.now() + everyMs;
      const kind = kinds[random.below(kinds.length)] as FaultKind;
      const broker = random.below(brokers);
      const fault: Fault = { kind, broker, at: now(), undoneAt: undefined, wholeAt: undefined };
      this.faults.push(fault);
      await hook.strike(kind, broker);
      await this.#pause(lastsMs);
      await hook.undo(kind, broker);
      fault.undoneAt = now();
      await hook.whole();
      fault.wholeAt = now();
    }
  }

  async #pause(ms: number): Promise<void> {
    // A stop only ends it sooner.
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
