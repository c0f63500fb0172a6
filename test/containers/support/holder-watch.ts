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

/**
 * The longest time during which two or more nodes that hear each other held it at once, up to `untilMs`. `partOf` says in which part of a split
 * network a node is; that changes at `turnsMs` only.
 */
export function longestOverlapMs(
  changes: readonly Holding[],
  untilMs: number,
  partOf: (name: string, atMs: number) => number = () => 0,
  turnsMs: readonly number[] = [],
): number {
  const moments = [...changes.map(({ fromMs }) => fromMs), ...turnsMs].sort((a, b) => a - b);
  let longest = 0;
  let since: number | undefined;
  for (const [at, atMs] of moments.entries()) {
    const holders = changes.findLast(({ fromMs }) => fromMs <= atMs)?.holders ?? [];
    const parts = new Set(holders.map((name) => partOf(name, atMs)));
    since = parts.size < holders.length ? (since ?? atMs) : undefined;
    if (since !== undefined) longest = Math.max(longest, (moments[at + 1] ?? untilMs) - since);
  }
  return longest;
}
