/**
 * How soon the clients on the address are back after something happened to its holder. Pure.
 *
 * A client counts if it was connected at that moment. It is back when it connects for the next time; one that never loses
 * its connection (it was on another holder, or the address came back in time) does not count.
 */

import type { ClientEvent } from "./client-events.ts";

/** For each client that was connected at `atMs` and lost that connection: when it was back, in ms after `atMs`. */
export function backAfterMs(
  events: readonly ClientEvent[],
  clients: ReadonlySet<string>,
  atMs: number,
  untilMs: number,
): readonly (number | undefined)[] {
  const connected = new Set<string>();
  const backMs = new Map<string, number | undefined>();
  for (const { t, c, e } of events) {
    if (!clients.has(c) || (e !== "up" && e !== "down") || t > untilMs) continue;
    if (t <= atMs) {
      if (e === "up") connected.add(c);
      else connected.delete(c);
    } else if (e === "down" && connected.has(c) && !backMs.has(c)) backMs.set(c, undefined);
    else if (e === "up" && backMs.has(c)) backMs.set(c, backMs.get(c) ?? t - atMs);
  }
  return [...backMs.values()];
}

/** The share of clients that are back, in percent, over seconds. */
export function shareBack(backMs: readonly (number | undefined)[]): readonly (readonly [number, number])[] {
  const sorted = backMs.filter((ms) => ms !== undefined).sort((a, b) => a - b);
  const points: (readonly [number, number])[] = [[0, 0]];
  for (const [at, ms] of sorted.entries()) {
    points.push([ms / 1000, (100 * at) / backMs.length], [ms / 1000, (100 * (at + 1)) / backMs.length]);
  }
  return points;
}
