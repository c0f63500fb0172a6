/**
 * How well a node suits to vote or to lead, as one number from 0 to 100.
 *
 * A cable counts most: Wi-Fi roams, sleeps and drops what it is busy with. Then the disk (commits wait for the median voter's
 * flush), then how long the node has been running (one that restarts every few minutes does so again), then the way to it.
 * Disk and way count by orders of magnitude, because that is what can be told apart. What is not known counts as average.
 *
 * Source: reference design, section 1.2; the weights are ours.
 */

import type { PeerView } from "../options.ts";

export type NodeQualities = Pick<PeerView, "isWired" | "flushP99Ms" | "uptimeMs" | "rttMs">;

/**
 * Only a node that is better by so much replaces another one: a cable instead of Wi-Fi, a disk a hundred times as fast. An
 * hour's uptime alone is not enough after the ten minutes that it must stay better (voter-watch.ts).
 */
export const SCORE_MARGIN = 20;

const WIRED = 40;
const FLUSH = 30;
const UPTIME = 20;
const RTT = 10;
const UPTIME_FULL_MS = 3_600_000;

export function scoreOf({ isWired, flushP99Ms, uptimeMs, rttMs }: NodeQualities): number {
  const wired = isWired === undefined ? 0.5 : Number(isWired);
  const flush = flushP99Ms === 0 ? 0.5 : quickness(flushP99Ms);
  const uptime = Math.min(1, uptimeMs / UPTIME_FULL_MS);
  const rtt = rttMs === undefined ? 0.5 : quickness(rttMs);
  return WIRED * wired + FLUSH * flush + UPTIME * uptime + RTT * rtt;
}

/** 1 for a millisecond and less, 0 for a second and more, in between by orders of magnitude. */
function quickness(ms: number): number {
  return Math.min(1, Math.max(0, 1 - Math.log10(Math.max(1, ms)) / 3));
}
