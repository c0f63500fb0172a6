/**
 * Who held the floating address when, asked of the kernels of all nodes forty times a second.
 *
 * What nodes believe is left out on purpose: two holders are what clients on the wire see. Times are of `performance.now`.
 */

import { performance } from "node:perf_hooks";
import { kernelHolds } from "./kernel-view.ts";
import type { NodeContainer } from "./node-container.ts";

const EVERY_MS = 25;

/** From `fromMs` until the next change these nodes held it. */
export interface Holding {
  readonly fromMs: number;
  readonly holders: readonly string[];
}

export class HolderWatch {
  readonly #nodes: readonly NodeContainer[];
  readonly #address: string;
  readonly #changes: Holding[] = [];
  readonly #timer: NodeJS.Timeout;
  #longestGapMs = 0;
  #lookedMs = performance.now();

  constructor(nodes: readonly NodeContainer[], address: string) {
    this.#nodes = nodes;
    this.#address = address;
    this.#timer = setInterval(() => this.#look(), EVERY_MS);
    this.#look();
  }

  get changes(): readonly Holding[] {
    return this.#changes;
  }

  /** The longest time between two looks: what was shorter may have been missed. */
  get longestGapMs(): number {
    return this.#longestGapMs;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  #look(): void {
    const now = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lookedMs);
    this.#lookedMs = now;
    const holders = this.#nodes
      .filter(({ pid }) => pid > 0 && kernelHolds(pid, this.#address))
      .map(({ name }) => name);
    const last = this.#changes.at(-1);
    if (last === undefined || last.holders.join() !== holders.join())
      this.#changes.push({ fromMs: now, holders });
  }
}

/** The longest time during which two or more of those that count held it at once, up to `untilMs`. */
export function longestOverlapMs(
  changes: readonly Holding[],
  untilMs: number,
  counts: (name: string, atMs: number) => boolean = () => true,
): number {
  let longest = 0;
  let since: number | undefined;
  for (const [at, { fromMs, holders }] of changes.entries()) {
    const several = holders.filter((name) => counts(name, fromMs)).length > 1;
    if (several) since ??= fromMs;
    const endMs = changes[at + 1]?.fromMs ?? untilMs;
    if (since !== undefined) longest = Math.max(longest, (several ? endMs : fromMs) - since);
    if (!several) since = undefined;
  }
  return longest;
}
