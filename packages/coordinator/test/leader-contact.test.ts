/** What a follower concludes from the messages of its leader, and from what that says of its quorum. */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { GIVE_UP_MS } from "../src/address/holding.ts";
import { LeaderContact } from "../src/replica/leader-contact.ts";

const [A, B] = ["000000000000000a", "000000000000000b"] as [NodeId, NodeId];

function setUp() {
  const contact = new LeaderContact();
  const hear = (from: NodeId, now: number): void => {
    const heartbeat = { commit: 0, matchIndex: 0, matchTerm: 0, lastIndex: 0, nonce: 0, sentAt: 0, round: 1 };
    contact.received(from, { kind: "heartbeat", term: 1, ...heartbeat } as RaftMessage, now as MonotonicMs);
  };
  const say = (from: NodeId, isCutOff: boolean, now: number): void =>
    contact.toldCutOff(from, isCutOff, now as MonotonicMs);
  return { contact, hear, say };
}

test("heartbeats of a leader that says that it is cut off are no sign of a quorum, however often it says so", () => {
  const { contact, hear, say } = setUp();
  hear(A, 10_000);
  say(A, true, 10_100);
  for (let now = 10_200; now <= 13_000; now += 200) {
    hear(A, now);
    say(A, true, now);
  }
  expect(contact.quorumAt).toBe(10_100 - GIVE_UP_MS);
  say(A, false, 13_100);
  expect(contact.quorumAt).toBe(13_000);
});

test("what another node says of itself does not count, nor what the last leader said when there is another one", () => {
  const { contact, hear, say } = setUp();
  hear(A, 10_000);
  say(B, true, 10_100);
  expect(contact.quorumAt).toBe(10_000);
  say(A, true, 10_200);
  hear(B, 10_300);
  expect(contact.quorumAt).toBe(10_300);
});
