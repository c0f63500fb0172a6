/**
 * What became of each message at each subscriber: arrived once and in order, or lost, doubled, overtaken. Pure.
 *
 * The same loss means different things. A pair of message and subscriber is judged strictly if both ends stayed connected
 * from before the message was sent until after it was acknowledged, and no fault hid one end from the other. What a fault
 * hid, and what went to a subscriber that was away, is counted apart, because the mesh promises less there. So is everything
 * for durable sessions: each lives on the node it was made on today, and its queue is delivered when its client is back there.
 *
 * Source: promises P5-P7 of the architecture; docs/plan.md for what is not built yet.
 */

import type { ClientEvent, ClientPlan } from "./client-events.ts";

/** A fault and whom it hides, with the time it takes to be over. Times in ms since 1970. */
export interface FaultWindow {
  readonly name: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Nodes that nobody hears, or that stop. */
  readonly hidden: readonly string[];
  /** In a split: the part of each node and of each room. */
  readonly parts: ReadonlyMap<string, number> | undefined;
}

const CLASSES = ["steady", "hidden", "away", "durable"] as const;
export type PairClass = (typeof CLASSES)[number];

export interface Tally {
  readonly class: PairClass;
  readonly qos: 0 | 1 | 2;
  pairs: number;
  lost: number;
  /** Came again although the publisher had sent it once. */
  duplicated: number;
  /** Came again after the publisher had lost its connection before the acknowledgement and sent it again. */
  repeated: number;
  reordered: number;
  readonly examples: string[];
  /** Some of the duplicated ones. */
  readonly twice: { readonly what: string; readonly sentMs: number }[];
}

export interface Hearing {
  readonly plans: readonly ClientPlan[];
  /** In the order of their times. */
  readonly events: readonly ClientEvent[];
  readonly faults: readonly FaultWindow[];
  /** The node a client was connected to at that time. */
  readonly nodeOf: (plan: ClientPlan, atMs: number) => string | undefined;
}

/** Both ends must have been there for this long before and after. */
const BEFORE_MS = 1000;
const AFTER_MS = 3000;
const EXAMPLES_MAX = 5;

interface Sent {
  readonly plan: ClientPlan;
  readonly sentMs: number;
  readonly ackedMs: number;
  /** The publisher lost its connection between the two. */
  readonly isMoved: boolean;
}

/** One tally for each class and QoS that occurs. */
export function judge(hearing: Hearing): readonly Tally[] {
  const presence = presenceOf(hearing.events);
  const sent = acknowledged(hearing, presence);
  const got = arrivals(hearing.events);
  const tallies = new Map<string, Tally>();
  for (const subscriber of hearing.plans.filter(({ role }) => role === "subscriber")) {
    const newest = new Map<string, number>();
    for (const [key, message] of sent) {
      const tally = tallyOf(tallies, classOf(hearing, presence, message, subscriber), message.plan.qos);
      const times = got.get(subscriber.id)?.get(key) ?? 0;
      count(tally, message, times, `${key} to ${subscriber.id}`);
    }
    for (const { key, number, publisher } of firstArrivals(hearing.events, subscriber.id)) {
      const message = sent.get(key);
      const before = newest.get(publisher) ?? 0;
      newest.set(publisher, Math.max(before, number));
      if (message === undefined || number >= before) continue;
      const tally = tallyOf(tallies, classOf(hearing, presence, message, subscriber), message.plan.qos);
      tally.reordered++;
      if (tally.examples.length < EXAMPLES_MAX)
        tally.examples.push(`${key} to ${subscriber.id} after ${before}`);
    }
  }
  const rank = (tally: Tally): number => CLASSES.indexOf(tally.class) * 3 + tally.qos;
  return [...tallies.values()].sort((a, b) => rank(a) - rank(b));
}

/**
 * What the mesh promises and did not keep; empty if all is well. Of durable sessions QoS 0 is not promised, nor order across the
 * splits, in which each side hands out at once what it takes (docs/guarantees.md).
 */
export function broken(tallies: readonly Tally[]): readonly string[] {
  return tallies.flatMap((tally) => {
    const { class: pairs, qos, lost, duplicated, reordered } = tally;
    const isSteady = pairs === "steady";
    if (!isSteady && (pairs !== "durable" || qos === 0)) return [];
    const faults: string[] = [];
    if (qos > 0 && lost > 0) faults.push(`P5: ${lost} of QoS ${qos} lost (${pairs})`);
    if (qos !== 1 && duplicated > 0) faults.push(`P6: ${duplicated} of QoS ${qos} twice (${pairs})`);
    if (isSteady && reordered > 0) faults.push(`P7: ${reordered} of QoS ${qos} out of order (${pairs})`);
    return faults;
  });
}

function count(tally: Tally, message: Sent, times: number, what: string): void {
  tally.pairs++;
  if (times === 1) return;
  if (times === 0) tally.lost++;
  else if (message.isMoved) tally.repeated++;
  else {
    tally.duplicated++;
    if (tally.twice.length < EXAMPLES_MAX) tally.twice.push({ what, sentMs: message.sentMs });
  }
  if (tally.examples.length < EXAMPLES_MAX) tally.examples.push(`${what} ${times} times`);
}

/** By client the spans in which it was connected. */
type Presence = ReadonlyMap<string, readonly (readonly [fromMs: number, untilMs: number])[]>;

function presenceOf(events: readonly ClientEvent[]): Presence {
  const spans = new Map<string, [number, number][]>();
  for (const { t, c, e } of events) {
    const own = spans.get(c) ?? [];
    spans.set(c, own);
    const last = own.at(-1);
    if (e === "up") own.push([t, Number.POSITIVE_INFINITY]);
    else if (e === "down" && last !== undefined) last[1] = t;
  }
  return spans;
}

function isPresent(presence: Presence, client: string, fromMs: number, untilMs: number): boolean {
  return presence.get(client)?.some(([from, until]) => from <= fromMs && until >= untilMs) ?? false;
}

/** By "publisher number" what was acknowledged; live messages only, retained ones have a check of their own. */
function acknowledged({ plans, events }: Hearing, presence: Presence): ReadonlyMap<string, Sent> {
  const byId = new Map(plans.filter(({ isRetained }) => !isRetained).map((plan) => [plan.id, plan]));
  const begun = new Map<string, number>();
  const done = new Map<string, Sent>();
  for (const event of events) {
    if (event.e !== "sent" && event.e !== "acked") continue;
    const key = `${event.c} ${event.s}`;
    const plan = byId.get(event.c);
    const sentMs = begun.get(key);
    if (event.e === "sent") begun.set(key, event.t);
    else if (plan !== undefined && sentMs !== undefined) {
      const isMoved = !isPresent(presence, plan.id, sentMs, event.t);
      done.set(key, { plan, sentMs, ackedMs: event.t, isMoved });
    }
  }
  return done;
}

/** By subscriber and "publisher number" how often it came. */
function arrivals(events: readonly ClientEvent[]): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const got = new Map<string, Map<string, number>>();
  for (const event of events) {
    if (event.e !== "got") continue;
    const own = got.get(event.c) ?? new Map<string, number>();
    got.set(event.c, own);
    const key = `${event.p} ${event.s}`;
    own.set(key, (own.get(key) ?? 0) + 1);
  }
  return got;
}

function* firstArrivals(
  events: readonly ClientEvent[],
  subscriber: string,
): Generator<{ readonly key: string; readonly publisher: string; readonly number: number }> {
  const seen = new Set<string>();
  for (const event of events) {
    if (event.e !== "got" || event.c !== subscriber) continue;
    const key = `${event.p} ${event.s}`;
    if (seen.has(key)) continue;
    seen.add(key);
    yield { key, publisher: event.p, number: event.s };
  }
}

function classOf(hearing: Hearing, presence: Presence, message: Sent, subscriber: ClientPlan): PairClass {
  const { plan: publisher, sentMs, ackedMs, isMoved } = message;
  const fromMs = sentMs - BEFORE_MS;
  const untilMs = ackedMs + AFTER_MS;
  if (subscriber.isDurable) return "durable";
  if (!isPresent(presence, subscriber.id, fromMs, untilMs)) return "away";
  // QoS 0 counts as sent when the socket took it; whether the connection lived on is part of the question.
  const isThere = publisher.qos > 0 || isPresent(presence, publisher.id, fromMs, untilMs);
  if (isMoved || !isThere) return "hidden";
  const from = hearing.nodeOf(publisher, sentMs);
  const to = hearing.nodeOf(subscriber, sentMs);
  if (from === undefined || to === undefined) return "hidden";
  const isHidden = hearing.faults.some(({ fromMs: begin, untilMs: end, hidden, parts }) => {
    if (end < fromMs || begin > untilMs) return false;
    if (hidden.includes(from) || hidden.includes(to)) return true;
    // A client may be cut off from its own node, too.
    const places = [from, to, publisher.room, subscriber.room];
    return new Set(places.map((place) => parts?.get(place))).size > 1;
  });
  return isHidden ? "hidden" : "steady";
}

function tallyOf(tallies: Map<string, Tally>, pairClass: PairClass, qos: 0 | 1 | 2): Tally {
  const key = `${pairClass} ${qos}`;
  let tally = tallies.get(key);
  if (tally === undefined) {
    tally = {
      class: pairClass,
      qos,
      pairs: 0,
      lost: 0,
      duplicated: 0,
      repeated: 0,
      reordered: 0,
      examples: [],
      twice: [],
    };
    tallies.set(key, tally);
  }
  return tally;
}
