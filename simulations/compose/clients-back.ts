/**
 * How soon the clients on the address are back after something happened to its holder. Pure.
 *
 * A client counts if it was connected at that moment. It is back when it connects for the next time; one that never loses
 * its connection (it was on another holder, or the address came back in time) does not count.
 */

import type { ClientEvent } from "./client-events.ts";

/** A client that lost its connection, in ms after the fault. */
export interface Return {
  readonly client: string;
  readonly lostMs: number;
  /** When it was back; undefined: not while it was followed. */
  readonly backMs: number | undefined;
}

/** Each client that was connected at `atMs` and lost that connection until `untilMs`. `events` rise. */
export function returnsAfter(
  events: readonly ClientEvent[],
  clients: ReadonlySet<string>,
  atMs: number,
  untilMs: number,
): readonly Return[] {
  const connected = new Set<string>();
  const returns = new Map<string, Return>();
  for (const { t, c: client, e } of events) {
    if (!clients.has(client) || (e !== "up" && e !== "down") || t > untilMs) continue;
    const lost = returns.get(client);
    if (t <= atMs) {
      if (e === "up") connected.add(client);
      else connected.delete(client);
    } else if (e === "down" && connected.has(client) && lost === undefined)
      returns.set(client, { client, lostMs: t - atMs, backMs: undefined });
    else if (e === "up" && lost?.backMs === undefined && lost !== undefined)
      returns.set(client, { ...lost, backMs: t - atMs });
  }
  return [...returns.values()];
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
