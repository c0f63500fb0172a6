import type { ApplicationMessage, MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { RetainedReplay } from "../src/outbound/retained-replay.ts";
import type { Subscription } from "../src/subscriptions/subscription-index.ts";
import { subscriptionTo } from "./support/subscription.ts";

const NO_SYSTEM = { match: () => undefined };

function message(topic: string): ApplicationMessage {
  return { topic, payload: Uint8Array.of(1), qos: 0, retain: true, properties: undefined };
}

/** A replay of `filters`; `found` says what each of them matches. */
function replayOf(filters: readonly string[], found: (filter: string) => readonly string[]) {
  const replay = new RetainedReplay({ monotonicMs: () => 0 as MonotonicMs }, NO_SYSTEM);
  const searched: string[] = [];
  for (const filter of filters) replay.add(subscriptionTo(filter), 0);
  replay.beginQuestion();
  replay.answered({
    match(filter, visit) {
      searched.push(filter);
      for (const topic of found(filter)) visit(message(topic));
    },
  });
  /** Sends all that one round gives. */
  const round = (): string[] => {
    const sent: string[] = [];
    replay.beginRound();
    for (let next = replay.peek(); next !== undefined; next = replay.peek()) {
      sent.push(next.message.topic);
      replay.advance(next.message);
    }
    return sent;
  };
  return { replay, searched, round };
}

test("one filter with wildcards is searched for in a round, however many there are and whether it matches or not", () => {
  const filters = Array.from({ length: 10 }, (_, i) => `+/${i}`);
  const { replay, searched, round } = replayOf(filters, (filter) => (filter === "+/4" ? ["a/4", "b/4"] : []));
  const sent = filters.map((_, at) => {
    const topics = round();
    expect(searched).toHaveLength(at + 1);
    return topics;
  });
  expect(sent.flat()).toEqual(["a/4", "b/4"]);
  round();
  expect(replay.isPending).toBe(false);
});

test("filters without wildcards are looked up by the hundred, and none is left out", () => {
  const filters = Array.from({ length: 1_200 }, (_, i) => `t/${i}`);
  const { replay, searched, round } = replayOf(filters, (filter) => [filter]);
  const sent: string[] = [];
  let rounds = 0;
  for (; replay.isPending; rounds++) sent.push(...round());
  expect(sent).toEqual(filters);
  expect(searched).toEqual(filters);
  expect(rounds).toBe(3);
});

test("P8: what came live to a subscription that has ended is replayed to one that came after it, and to none that heard it", () => {
  const replay = new RetainedReplay({ monotonicMs: () => 0 as MonotonicMs }, NO_SYSTEM);
  const view = {
    match: (filter: string, visit: (found: ApplicationMessage) => void) => visit(message(filter)),
  };
  const [ended, staying, anew] = ["a", "b", "a"].map(subscriptionTo) as [
    Subscription,
    Subscription,
    Subscription,
  ];
  const first = replay.announce();
  for (const subscription of [ended, staying]) replay.add(subscription, first);
  replay.settled();
  expect(replay.beginQuestion()).toBe(true);
  for (const topic of ["a", "b"]) replay.superseded(message(topic), true);
  replay.remove(ended);
  replay.add(anew, replay.announce());
  replay.settled();
  replay.answered(view);
  expect(replay.beginQuestion()).toBe(true);
  replay.answered(view);
  replay.beginRound();
  expect(replay.peek()).toMatchObject({ subscription: anew, message: { topic: "a" } });
  replay.advance(message("a"));
  expect(replay.peek()).toBeUndefined();
  expect(replay.isWatching).toBe(false);
});
