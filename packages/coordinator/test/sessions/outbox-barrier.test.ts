/** Who waits for the outboxes of other nodes, and for how long. */

import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import type { PeerView } from "../../src/options.ts";
import { OutboxBarrier } from "../../src/sessions/outbox-barrier.ts";
import { UNKNOWN_MACHINE } from "../support/peer-view.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const PEER = "000000000000000b" as NodeId;
const TICK_MS = 250;

function setUp() {
  const clock = new VirtualClock();
  const given = { state: "alive" as PeerView["state"], isLinked: false };
  const own = { hasQuorum: true, proposed: 3, written: 0 };
  const asked: number[] = [];
  const answered: number[] = [];
  const barrier = new OutboxBarrier({
    clock,
    peers: () => [{ id: PEER, name: "b", cluster: undefined, ...UNKNOWN_MACHINE, ...given }],
    hasQuorum: () => own.hasQuorum,
    ask: (_, request) => asked.push(request),
    answer: (_, request) => answered.push(request),
    proposedSeq: () => own.proposed,
    isWritten: (seq) => own.written >= seq,
  });
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= TICK_MS) {
      clock.advance(Math.min(left, TICK_MS));
      barrier.tick(clock.monotonicMs());
    }
  };
  /** Time passes, and this process stands still. */
  const stall = (ms: number): void => clock.advance(ms);
  /** A CONNECT comes. Its wait in ms, once it is over. */
  const connect = (): { waited: number | undefined } => {
    const startedAt = clock.monotonicMs();
    const wait: { waited: number | undefined } = { waited: undefined };
    barrier.wait(() => {
      wait.waited = clock.monotonicMs() - startedAt;
    });
    return wait;
  };
  /** Long after anything has happened. */
  const calm = (): void => {
    given.isLinked = true;
    pass(TICK_MS);
    barrier.written(PEER, asked.at(-1) ?? 0);
    pass(5000);
    asked.length = 0;
  };
  return { given, own, asked, answered, barrier, pass, stall, connect, calm };
}

test("where nothing has happened nobody waits, and nobody is asked", () => {
  const alone = setUp();
  expect(alone.connect().waited).toBe(0);
  const { calm, connect, asked } = setUp();
  calm();
  expect([connect().waited, asked]).toEqual([0, []]);
});

test("a CONNECT waits for the answer of a peer whose link is new, be it that nobody has looked since", () => {
  const { given, connect, asked, barrier, pass } = setUp();
  given.isLinked = true;
  const client = connect();
  expect([client.waited, asked.length]).toEqual([undefined, 1]);
  pass(100);
  barrier.written(PEER, asked[0] ?? 0);
  expect(client.waited).toBe(100);
  expect(connect().waited).toBe(0);
});

test("and after a return of the quorum, and after a standstill of the process", () => {
  const returned = setUp();
  returned.calm();
  returned.own.hasQuorum = false;
  returned.pass(5000);
  expect(returned.connect().waited, "without a quorum").toBe(0);
  returned.own.hasQuorum = true;
  expect([returned.connect().waited, returned.asked.length]).toEqual([undefined, 1]);
  const frozen = setUp();
  frozen.calm();
  frozen.stall(3000);
  expect(frozen.connect().waited).toBe(undefined);
});

test("a node that finds a link waits for its quorum as well", () => {
  const { own, given, barrier, connect, asked, pass } = setUp();
  own.hasQuorum = false;
  pass(5000);
  given.isLinked = true;
  const client = connect();
  barrier.written(PEER, asked[0] ?? 0);
  pass(TICK_MS);
  expect(client.waited).toBe(undefined);
  own.hasQuorum = true;
  pass(TICK_MS);
  expect(asked.length, "with a quorum everybody is asked once more").toBe(2);
  barrier.written(PEER, asked[1] ?? 0);
  expect(client.waited).toBe(2 * TICK_MS);
});

test("nobody waits longer than a second, also where one thing after the other happens; then nobody waits for that peer", () => {
  const { given, connect, pass } = setUp();
  given.isLinked = true;
  const first = connect();
  pass(500);
  given.isLinked = false;
  pass(TICK_MS);
  given.isLinked = true;
  const second = connect();
  pass(1000);
  expect(first.waited).toBeLessThanOrEqual(1000);
  expect(second.waited).toBeLessThanOrEqual(1000);
  expect(connect().waited).toBe(0);
});

test("a peer that goes is waited for no longer, and an answer to an earlier question counts for nothing", () => {
  const { given, connect, pass, asked, barrier } = setUp();
  given.isLinked = true;
  const first = connect();
  given.isLinked = false;
  pass(TICK_MS);
  expect(first.waited).toBe(TICK_MS);
  given.isLinked = true;
  const second = connect();
  barrier.written(PEER, asked[0] ?? 0);
  expect(second.waited).toBe(undefined);
  barrier.written(PEER, asked[1] ?? 0);
  expect(second.waited).toBe(0);
});

test("a node answers when all that it had proposed when it was asked is in the log, and what has followed from that", () => {
  const { own, barrier, answered, pass } = setUp();
  barrier.asked(PEER, 7);
  own.written = 2;
  barrier.applied();
  expect(answered).toEqual([]);
  // With the last of them a message gets its place that a client has had early: that is acknowledged now.
  own.written = 3;
  own.proposed = 4;
  barrier.applied();
  expect(answered).toEqual([]);
  // What comes after that is not waited for.
  own.proposed = 9;
  own.written = 4;
  barrier.applied();
  expect(answered).toEqual([7]);
  barrier.asked(PEER, 8);
  own.written = 9;
  pass(TICK_MS);
  expect(answered).toEqual([7, 8]);
});
