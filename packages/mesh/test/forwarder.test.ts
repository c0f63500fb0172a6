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

test("a node sends a message back and leaves before its acknowledgement has come: it is served elsewhere once", () => {
  const [gone, other] = [peerOf("00000000000000bb"), peerOf("00000000000000cc")];
  const delivery = { deliver: () => {}, deliverPackets: () => 0, deliverShared: () => false };
  const counters = { forwarded: 0, received: 0, duplicatesDropped: 0, qos0Dropped: 0, refused: 0 };
  const forwarder = new Forwarder(delivery, new VirtualClock(), counters);
  for (const peer of [gone, other]) forwarder.routes.add(SHARED, peer);
  const done = new Awaited();
  while (gone.outbound.keptCount === 0) done.expected += forwarder.forward(MESSAGE, done, undefined);
  const before = other.outbound.keptCount;

  const frame = new ByteWriter(64).varint(1);
  encodeReturnHead({ sequence: 1, tries: 0, sharedFilter: SHARED }, frame);
  encodeMessage(MESSAGE, frame);
  forwarder.receiveReturn(gone, LINK, frame.finish());
  forwarder.abandon(gone);
  expect(other.outbound.keptCount - before).toBe(1);
  expect(done.isComplete).toBe(false);
  other.outbound.acknowledge(before + 1);
  expect(done.codes).toEqual(Array.from({ length: before + 1 }, () => 0));
});
