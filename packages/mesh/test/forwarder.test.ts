/** What becomes of one message of a shared subscription, frame by frame. */

import {
  type ApplicationMessage,
  ByteWriter,
  encodeMessage,
  type Incarnation,
  type NodeId,
} from "@skein/kernel";
import { expect, test } from "vitest";
import { encodeReturnHead } from "../src/codec.ts";
import { Forwarder } from "../src/forwarding/forwarder.ts";
import type { Link } from "../src/link/link.ts";
import { Peer } from "../src/peer.ts";
import { VirtualClock } from "./support/virtual-clock.ts";
import { Awaited } from "./support/world.ts";

const SHARED = "$share/workers/jobs/+";
const MESSAGE: ApplicationMessage = {
  topic: "jobs/x",
  payload: new Uint8Array(1),
  qos: 1,
  retain: false,
  properties: undefined,
};
const LINK = { writeAtTurnEnd: () => {} } as unknown as Link;

function peerOf(id: string): Peer {
  const peer = new Peer(id as NodeId, 1 as Incarnation);
  peer.isReachable = true;
  peer.isLive = true;
  return peer;
}

function forwarderTo(...peers: readonly Peer[]): Forwarder {
  const delivery = { deliver: () => {}, deliverPackets: () => 0, deliverShared: () => false };
  const counters = { forwarded: 0, received: 0, duplicatesDropped: 0, qos0Dropped: 0, refused: 0 };
  const forwarder = new Forwarder(delivery, new VirtualClock(), counters);
  for (const peer of peers) forwarder.routes.add(SHARED, peer);
  return forwarder;
}

/** `peer` has no member any more for the message in its frame of this number. */
function sendBack(forwarder: Forwarder, peer: Peer, sequence: number): void {
  const frame = new ByteWriter(64).varint(1);
  encodeReturnHead({ sequence, tries: 0, sharedFilter: SHARED }, frame);
  encodeMessage(MESSAGE, frame);
  forwarder.receiveReturn(peer, LINK, frame.finish());
}

/** It counts as dead. */
function lose(forwarder: Forwarder, peer: Peer): void {
  peer.isReachable = false;
  peer.isLive = false;
  forwarder.abandon(peer);
}

/** It is back, and has all up to `lastSequence`. */
function regain(forwarder: Forwarder, peer: Peer, lastSequence: number): void {
  peer.isReachable = true;
  peer.isLive = true;
  forwarder.resume(peer, LINK, lastSequence);
}

test("a node sends a message back and leaves before its acknowledgement has come: it is served elsewhere once", () => {
  const [gone, other] = [peerOf("00000000000000bb"), peerOf("00000000000000cc")];
  const forwarder = forwarderTo(gone, other);
  const done = new Awaited();
  while (gone.outbound.keptCount === 0) done.expected += forwarder.forward(MESSAGE, done, undefined);
  const before = other.outbound.keptCount;

  sendBack(forwarder, gone, 1);
  forwarder.abandon(gone);
  expect(other.outbound.keptCount - before).toBe(1);
  expect(done.isComplete).toBe(false);
  other.outbound.acknowledge(before + 1);
  expect(done.codes).toEqual(Array.from({ length: before + 1 }, () => 0));
});

test.each([
  { came: "had it", lastSequence: 1, isSentBack: false, isDealtAgain: false },
  { came: "had nothing", lastSequence: 0, isSentBack: false, isDealtAgain: true },
  { came: "had it and had nobody for it", lastSequence: 1, isSentBack: true, isDealtAgain: true },
])(
  "two nodes after each other are taken for dead, and the first, which is back, $came",
  ({ lastSequence, isSentBack, isDealtAgain }) => {
    const [first, second] = [peerOf("00000000000000bb"), peerOf("00000000000000cc")];
    const forwarder = forwarderTo(first, second);
    const done = new Awaited();
    done.expected = forwarder.forward(MESSAGE, done, undefined);
    expect([first.outbound.keptCount, second.outbound.keptCount]).toEqual([1, 0]);

    lose(forwarder, first);
    expect([first.outbound.keptCount, second.outbound.keptCount]).toEqual([0, 1]);
    regain(forwarder, first, lastSequence);
    if (isSentBack) sendBack(forwarder, first, 1);
    // What it is sent from now on it acknowledges, too, and that says nothing of what was given up.
    forwarder.forward({ ...MESSAGE, topic: "jobs/y" }, undefined, undefined);
    first.outbound.acknowledge(2);
    lose(forwarder, second);
    expect(first.outbound.keptCount).toBe(isDealtAgain ? 1 : 0);
    expect(done.codes).toEqual(isDealtAgain ? [] : [0]);
  },
);
