/**
 * Frames that a third node passes on for two that cannot reach each other.
 *
 * Hop 1 goes from the sender to the relay and names the receiver; hop 2 goes from the relay to the receiver and names the
 * sender. Only hop 1 is ever passed on, and only over a link of the relay's own, so nothing is relayed twice and loops cannot exist.
 * `offset` counts the bytes of the channel before these: whatever the relay lost on the way is noticed.
 */

import { type ByteReader, type ByteWriter, isNodeId, type NodeId, SkeinError } from "@skein/kernel";

export const RelayKind = {
  /** Do you reach the node I name? Answered with `offer` or `refuse`, on channel 0. */
  ask: 1,
  /** I do, in so many tenths of a millisecond (varint). */
  offer: 2,
  /** I do not, or not any more: the channel is broken. */
  refuse: 3,
  open: 4,
  /** `offset` varint, then bytes. */
  data: 5,
  /** Bytes of the channel received so far (varint): the other end may send on. */
  credit: 6,
  end: 7,
  reset: 8,
} as const;

export interface RelayHead {
  readonly kind: number;
  readonly isSecondHop: boolean;
  /** It comes from the end that opened the channel: the two ends number theirs independently. */
  readonly isFromOpener: boolean;
  /** Hop 1: the receiver; hop 2: the sender. */
  readonly node: NodeId;
  readonly channel: number;
}

const SECOND_HOP = 0x80;
const FROM_OPENER = 0x40;
const KIND = 0x3f;

export function encodeRelayHead(head: RelayHead, out: ByteWriter): ByteWriter {
  const flags = (head.isSecondHop ? SECOND_HOP : 0) | (head.isFromOpener ? FROM_OPENER : 0);
  return out
    .u8(head.kind | flags)
    .text(head.node)
    .varint(head.channel);
}

/** Reads the head only; what follows depends on the kind. */
export function decodeRelayHead(input: ByteReader): RelayHead {
  const first = input.u8();
  const node = input.text();
  if (!isNodeId(node))
    throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot decode frame: node id has the wrong form");
  return {
    kind: first & KIND,
    isSecondHop: (first & SECOND_HOP) !== 0,
    isFromOpener: (first & FROM_OPENER) !== 0,
    node,
    channel: input.varint(),
  };
}
