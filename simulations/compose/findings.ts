/** Makes of the records of a run what the report shows: who was where, what was lost, how long each fail-over took. */

import { type Holding, longestOverlapMs } from "../../test/containers/support/holder-watch.ts";
import type { AddressProbe } from "./address-probe.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";
import { returnsAfter } from "./clients-back.ts";
import { judge } from "./judge.ts";
import type { Impact } from "./promises.ts";
import type { Findings } from "./report.ts";

/** Times are ms since 1970. */
export interface Records
  extends Omit<Findings, "nodes" | "tallies" | "impacts" | "longestOverlapMs" | "idle"> {
  readonly nodes: readonly string[];
  /** Who held the address when. */
  readonly holdings: readonly Holding[];
  readonly probe: Pick<AddressProbe, "longestSilence">;
}

/** A fail-over that has not begun after this time is another one. */
const BEGINS_WITHIN_MS = 8000;
/** A client's fate is followed for this long after a fault, or until the next one. */
const FOLLOWED_MS = 60_000;

export function findingsOf(records: Records): Findings {
  const { nodes, holdings, probe, deeds, readings, startMs } = records;
  const events = records.events.toSorted((a, b) => a.t - b.t);
  const faults = deeds.flatMap(({ windows }) => windows);
  const connectedAt = connections(events);
  const onAddress = new Set(records.plans.filter(({ node }) => node === undefined).map(({ id }) => id));
  const nodeOf = (plan: ClientPlan, atMs: number): string | undefined => {
    if (plan.node !== undefined) return plan.node;
    const t = connectedAt(plan.id, atMs);
    if (t === undefined) return undefined;
    const holders = holdings.findLast(({ fromMs }) => fromMs <= t)?.holders ?? [];
    // In a split each part has a holder of its own: which one it was is known only if there was one.
    return holders.length === 1 ? holders[0] : undefined;
  };
  const impacts = deeds.map(({ act, name, holderStruckMs }, at): Impact => {
    const returns = holderStruckMs.flatMap((struckMs) => {
      return returnsAfter(events, onAddress, struckMs, followedUntil(records, at, struckMs));
    });
    const addressMs = holderStruckMs.map((struckMs) => probe.longestSilence(struckMs, BEGINS_WITHIN_MS));
    return { name, kind: act.kind, addressMs, returns };
  });
  return {
    ...records,
    nodes: nodes.length,
    events,
    tallies: judge({ plans: records.plans, events, faults, nodeOf }),
    impacts,
    longestOverlapMs: connectedOverlapMs(records),
    readings: readings.filter(({ t }) => t > startMs),
    idle: readings.filter(({ t }) => t <= startMs),
  };
}

/** Cut off from each other are the parts of a split until it is healed, not until its aftermath is over. */
function connectedOverlapMs({ deeds, holdings, endMs }: Records): number {
  const splits = deeds.flatMap(({ windows, undoneMs }) =>
    windows.flatMap(({ fromMs, parts }) => (parts === undefined ? [] : [{ fromMs, undoneMs, parts }])),
  );
  const partOf = (node: string, atMs: number): number =>
    splits.find(({ fromMs, undoneMs }) => atMs >= fromMs && atMs < undoneMs)?.parts.get(node) ?? 0;
  const turnsMs = splits.flatMap(({ fromMs, undoneMs }) => [fromMs, undoneMs]);
  return longestOverlapMs(holdings, endMs, partOf, turnsMs);
}

/** The next time that the holder is struck, or the next fault of another kind, ends it. */
function followedUntil({ deeds, endMs }: Records, at: number, struckMs: number): number {
  const again = (deeds[at]?.holderStruckMs ?? []).filter((ms) => ms > struckMs);
  return Math.min(endMs, struckMs + FOLLOWED_MS, deeds[at + 1]?.fromMs ?? endMs, ...again);
}

/** When the connection that a client had at a time was made. */
function connections(events: readonly ClientEvent[]): (client: string, atMs: number) => number | undefined {
  const ups = new Map<string, number[]>();
  for (const { t, c, e } of events) {
    if (e !== "up") continue;
    const own = ups.get(c) ?? [];
    ups.set(c, own);
    own.push(t);
  }
  return (client, atMs) => ups.get(client)?.findLast((t) => t <= atMs);
}
