/**
 * P1 and P2 of the architecture, held against what was measured at each fault that struck the holder of the address. Pure.
 *
 * A split counts as well, although the address may then depend on a node that stands in without a quorum: P1 names partitions.
 */

import type { Return } from "./clients-back.ts";
import type { Act } from "./timetable.ts";

/** What one fault did to those who use the address. Times in ms. */
export interface Impact {
  readonly name: string;
  readonly kind: Act["kind"];
  /** Each time the holder was struck: the longest time in which no CONNECT was answered. */
  readonly addressMs: readonly number[];
  /** Clients on the address that lost their connection then. */
  readonly returns: readonly Return[];
}

/** What one look at the address may add: the pause before it and the time-out of one that began just too early. */
export const PROBE_MS = 600;

/** Two nodes that hear each other may both hold the address for this long while they hand it over. */
const TWO_HOLDERS_MS = 2600;

const PLANNED = { address: 1000, clients: 6000 };
const UNPLANNED = { address: 5000, clients: 10_000 };

/** One sentence for each limit that was passed. */
export function passedLimits(impacts: readonly Impact[]): readonly string[] {
  return impacts.flatMap(({ name, kind, addressMs, returns }) => {
    const limits = kind === "failover" || kind === "rolling" ? PLANNED : UNPLANNED;
    const sentences: string[] = [];
    const worst = Math.max(0, ...addressMs);
    if (worst > limits.address + PROBE_MS) sentences.push(`P1: ${name}: no answer for ${inSeconds(worst)}`);
    const late = returns.filter(({ backMs }) => backMs === undefined || backMs > limits.clients);
    if (late.length > 0) {
      const who = late.map(({ client, lostMs, backMs }) => {
        const back = backMs === undefined ? "not back" : `back after ${inSeconds(backMs)}`;
        return `${client} noticed after ${inSeconds(lostMs)}, ${back}`;
      });
      sentences.push(
        `P2: ${name}: ${late.length} of ${returns.length} clients later than ${inSeconds(limits.clients)} (${who.join("; ")})`,
      );
    }
    return sentences;
  });
}

/** P1 for those who hold the address at once. `overlapMs`: the longest time that two did who were not cut off from each other. */
export function passedOverlap(overlapMs: number): readonly string[] {
  if (overlapMs <= TWO_HOLDERS_MS) return [];
  return [`P1: two nodes that hear each other held the address for ${inSeconds(overlapMs)}`];
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
