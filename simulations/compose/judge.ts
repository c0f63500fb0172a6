/**
 * What became of each message at each subscriber: arrived once and in order, or lost, doubled, overtaken. Pure.
 *
 * The same loss means different things, so each pair of message and subscriber has a class, and `PROMISED` says what the mesh owes to each.
 * Owed most is a pair whose ends both stayed connected from before the message was sent until after it was acknowledged, with no fault that hid
 * one end from the other; next one whose publisher had to send it again on another connection. What a fault hid, and what went to a live
 * subscriber that was away, is only counted. A durable session may be anywhere at any time: it is owed everything but its order across a
 * split, in which each side hands out at once what it takes.
 *
 * Source: P5-P7 of docs/guarantees.md, with what is not promised there ("Known gap").
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

const CLASSES = ["steady", "moved", "hidden", "away", "durable", "split"] as const;
export type PairClass = (typeof CLASSES)[number];

/** The QoS whose messages are not lost (P5), come once (P6), and come in order (P7). */
interface Promised {
  readonly kept: readonly number[];
  readonly once: readonly number[];
  readonly ordered: readonly number[];
}

const NOTHING: Promised = { kept: [], once: [], ordered: [] };
const PROMISED: Readonly<Record<PairClass, Promised>> = {
  steady: { kept: [1, 2], once: [0, 2], ordered: [0, 1, 2] },
  // The publishers connect with Clean Start: on a new connection nobody can know what they have sent on the old one (P6).
  moved: { kept: [1, 2], once: [], ordered: [1, 2] },
  hidden: NOTHING,
  away: NOTHING,
  durable: { kept: [1, 2], once: [2], ordered: [1, 2] },
  split: { ...NOTHING, kept: [1, 2] },
};

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
  /** Some of what broke a promise. */
  readonly examples: { readonly what: string; readonly sentMs: number }[];
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
    for (const [key, message] of sent) {
      const tally = tallyOf(tallies, classOf(hearing, presence, message, subscriber), message.plan.qos);
      countTimes(tally, message, got.get(subscriber.id)?.get(key) ?? 0, `${key} to ${subscriber.id}`);
    }
    /** By publisher the newest that came, and the newest of those that no split may have sent ahead. */
    const newest = new Map<string, number>();
    const newestOwed = new Map<string, number>();
    for (const { key, number, publisher } of firstArrivals(hearing.events, subscriber.id)) {
      const message = sent.get(key);
      const pairs = message && classOf(hearing, presence, message, subscriber);
      const before = raise(newest, publisher, number);
      const owed = subscriber.isDurable && pairs !== "durable" ? 0 : number;
      const beforeOwed = raise(newestOwed, publisher, owed);
      if (message === undefined || pairs === undefined || number >= before) continue;
      const isSplit = pairs === "durable" && number >= beforeOwed;
      const tally = tallyOf(tallies, isSplit ? "split" : pairs, message.plan.qos);
      tally.reordered++;
      if (PROMISED[tally.class].ordered.includes(tally.qos))
        note(tally, message, `${key} to ${subscriber.id} after ${before}`);
    }
  }
  const rank = (tally: Tally): number => CLASSES.indexOf(tally.class) * 3 + tally.qos;
  return [...tallies.values()].sort((a, b) => rank(a) - rank(b));
}

/** What the mesh promises and did not keep; empty if all is well. */
export function broken(tallies: readonly Tally[]): readonly string[] {
  return tallies.flatMap(({ class: pairs, qos, lost, duplicated, reordered }) => {
    const { kept, once, ordered } = PROMISED[pairs];
    const faults: string[] = [];
    if (kept.includes(qos) && lost > 0) faults.push(`P5: ${lost} of QoS ${qos} lost (${pairs})`);
    if (once.includes(qos) && duplicated > 0) faults.push(`P6: ${duplicated} of QoS ${qos} twice (${pairs})`);
    if (ordered.includes(qos) && reordered > 0)
      faults.push(`P7: ${reordered} of QoS ${qos} out of order (${pairs})`);
    return faults;
  });
}

function countTimes(tally: Tally, message: Sent, times: number, what: string): void {
  const { kept, once } = PROMISED[tally.class];
  tally.pairs++;
  if (times === 1) return;
  if (times === 0) tally.lost++;
  else if (message.isMoved) tally.repeated++;
  else tally.duplicated++;
  const isOwed = times === 0 ? kept.includes(tally.qos) : once.includes(tally.qos) && !message.isMoved;
  if (isOwed) note(tally, message, `${what} ${times} times`);
}

function note(tally: Tally, { sentMs }: Sent, what: string): void {
  if (tally.examples.length < EXAMPLES_MAX) tally.examples.push({ what, sentMs });
}

/** Raises the entry of `publisher` to `number`, and returns what it was before. */
function raise(numbers: Map<string, number>, publisher: string, number: number): number {
  const before = numbers.get(publisher) ?? 0;
  numbers.set(publisher, Math.max(before, number));
  return before;
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
  const faults = hearing.faults.filter((fault) => fault.untilMs >= fromMs && fault.fromMs <= untilMs);
  if (subscriber.isDurable) return faults.some(({ parts }) => parts !== undefined) ? "split" : "durable";
  if (!isPresent(presence, subscriber.id, fromMs, untilMs)) return "away";
  // QoS 0 counts as sent when the socket took it; whether the connection lived on is part of the question.
  const isThere = publisher.qos > 0 || isPresent(presence, publisher.id, fromMs, untilMs);
  if (!isThere) return "hidden";
  // The one that acknowledged it has promised, whatever became of the one that was sent it first.
  const from = hearing.nodeOf(publisher, ackedMs);
  const to = hearing.nodeOf(subscriber, sentMs);
  if (from === undefined || to === undefined) return "hidden";
  const isHidden = faults.some(({ hidden, parts }) => {
    if (hidden.includes(from) || hidden.includes(to)) return true;
    // A client may be cut off from its own node, too.
    const places = [from, to, publisher.room, subscriber.room];
    return new Set(places.map((place) => parts?.get(place))).size > 1;
  });
  if (isHidden) return "hidden";
  return isMoved ? "moved" : "steady";
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
    };
    tallies.set(key, tally);
  }
  return tally;
}
