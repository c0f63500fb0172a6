/** How long the SUBACK of a kept session waits for replicas that do not have the subscription yet. */

import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import type { PeerView } from "../../src/options.ts";
import { ApplyBarrier } from "../../src/sessions/apply-barrier.ts";
import { UNKNOWN_MACHINE } from "../support/peer-view.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const PEER = "000000000000000b" as NodeId;

function setUp() {
  const clock = new VirtualClock();
  const given = { state: "alive" as PeerView["state"], isLinked: true, index: 7 };
  const asked: number[] = [];
  const barrier = new ApplyBarrier({
    clock,
    peers: () => [{ id: PEER, name: "b", cluster: undefined, ...UNKNOWN_MACHINE, ...given }],
    ask: (_, index) => asked.push(index),
    answer: () => {},
    appliedIndex: () => given.index,
  });
  /** Ms until the wait is over. */
  const waited = (limitMs: number): number => {
    const startedAt = clock.monotonicMs();
    let overAt: number | undefined;
    barrier.wait(() => {
      overAt = clock.monotonicMs();
    });
    while (overAt === undefined && clock.monotonicMs() - startedAt < limitMs) {
      clock.advance(50);
      barrier.tick(clock.monotonicMs());
    }
    return (overAt ?? Number.POSITIVE_INFINITY) - startedAt;
  };
  return { given, asked, barrier, waited };
}

test("a peer that is there is waited for until an election is over, a suspect 250 ms, one that is gone not at all", () => {
  expect(setUp().waited(10_000)).toBe(6000);
  const suspect = setUp();
  suspect.given.state = "suspect";
  expect(suspect.waited(10_000)).toBe(250);
  const gone = setUp();
  gone.given.isLinked = false;
  expect(gone.waited(10_000)).toBeLessThanOrEqual(50);
  expect([suspect.barrier.late, gone.barrier.late]).toEqual([1, 0]);
});

test("a peer that was waited for in vain is waited for 250 ms, until it has come there", () => {
  const { given, barrier, waited } = setUp();
  expect(waited(10_000)).toBe(6000);
  given.index = 9;
  expect(waited(10_000)).toBe(250);
  barrier.reached(PEER, 7);
  expect(waited(10_000), "the newer one was in vain, too").toBe(250);
  barrier.reached(PEER, 9);
  expect(waited(10_000)).toBe(6000);
});

test("a question that was lost is asked again, once a second", () => {
  const { asked, barrier, waited, given } = setUp();
  expect(waited(3000)).toBe(Number.POSITIVE_INFINITY);
  expect(asked).toEqual([7, 7, 7, 7]);
  barrier.reached(PEER, 7);
  given.isLinked = false;
  expect(waited(1000)).toBeLessThanOrEqual(50);
});
