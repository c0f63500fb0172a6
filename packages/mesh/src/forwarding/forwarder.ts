/**
 * Takes messages of local publishers to the nodes that want them, and theirs to local subscribers. One hop only: what
 * came from a peer is never forwarded, so loops cannot exist.
 *
 * A message is encoded once; the same bytes go into the batch of each peer, behind a small head that says whom to
 * serve there. QoS 0 goes to live peers only and is dropped (and counted) when their link is full; without shared subscriptions it is
 * not encoded at all but passed on as its client has sent it, a burst of them in one frame. QoS >= 1 is kept
 * until the peer acknowledges it, resent after a cut, refused with 0x97 (Quota exceeded) when too much is kept for the
 * peer, and counts as done when the peer is dead: its live sessions died with it.
 *
 * Which node serves a shared subscription, shared-dealing.ts says.
 *
 * Source: architecture.md section 4 (Routing, Links, Hot path rules).
 */

import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  type Clock,
  type Completion,
  decodeMessage,
  encodeMessage,
  type PublishBytes,
  type QoS,
  type SharedChoice,
} from "@skein/kernel";
import {
  decodeDataAck,
  decodeDataHead,
  decodeReturnHead,
  encodeDataHead,
  encodeReturnHead,
} from "../codec.ts";
import { FORWARD_BYTES_MAX } from "../limits.ts";
import type { Link } from "../link/link.ts";
import type { KeptFrame, Shares } from "../link/stream-numbering.ts";
import { FrameType } from "../messages.ts";
import type { Delivery } from "../options.ts";
import type { Peer } from "../peer.ts";
import { Routes } from "./routes.ts";
import { SharedDealing } from "./shared-dealing.ts";

/** Bytes kept for one peer until it acknowledges them. Above: QoS >= 1 is refused with 0x97. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes the link to one peer may owe the operating system. Above: QoS 0 is dropped and counted. */
const QOS0_UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** An encoder that a large message has grown above this size is given back. */
const KEPT_ENCODER_BYTES_MAX = 1024 * 1024;
/** MQTT 5 reason codes. */
const QUOTA_EXCEEDED = 0x97;
const PACKET_TOO_LARGE = 0x95;

/** Head of the commonest frame: ordinary subscribers only, first try, no shared filters. */
const ORDINARY_HEAD = headBytes(true, undefined);

/** To more peers than these, a message is encoded once and copied. */
const ENCODED_ANEW_MAX = 2;
/** Payload, or properties that may be as large as a packet, for which the limit of a frame need not be looked at. */
const SMALL_BYTES = 65_536;

/** Counters the forwarder writes. */
export type ForwardCounters = Record<
  "forwarded" | "received" | "duplicatesDropped" | "qos0Dropped" | "refused",
  number
>;

export class Forwarder {
  readonly routes = new Routes();
  readonly #delivery: Delivery;
  readonly #clock: Clock;
  readonly #counters: ForwardCounters;
  readonly #sharing: SharedDealing;
  readonly #encoder = new ByteWriter(1024, KEPT_ENCODER_BYTES_MAX);
  #refused: { readonly completion: Completion; readonly reasonCode: number }[] = [];

  constructor(delivery: Delivery, clock: Clock, counters: ForwardCounters) {
    this.#delivery = delivery;
    this.#clock = clock;
    this.#counters = counters;
    this.#sharing = new SharedDealing(this.routes, delivery, {
      encode: (message) => this.#encode(message),
      send: (peer, isOrdinary, shares, message, qos, done) =>
        this.#send(peer, isOrdinary, shares, message, qos, done),
    });
  }

  /** See the broker's Forwarder port: returns the number of parts `done` will be settled for. */
  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number {
    const route = this.routes.routeOf(message.topic);
    if (route.groups.length > 0)
      return this.#sharing.forward(message, done, route.peers, route.groups, choice);
    if (route.peers.length === 0) return 0;
    const { packet } = message;
    const isUnkept =
      packet === undefined
        ? isForFew(message, route.peers.length)
        : packet.end - packet.at <= FORWARD_BYTES_MAX;
    if (isUnkept) {
      for (const peer of route.peers) this.#sendUnkept(peer, message);
      return 0;
    }
    const bytes = this.#encode(message);
    let parts = 0;
    for (const peer of route.peers) parts += this.#send(peer, true, undefined, bytes, message.qos, done);
    return parts;
  }

  /** The part of it that is about shared subscriptions, but for those in `dealt`. Nobody waits. */
  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void {
    const { groups } = this.routes.routeOf(message.topic);
    const left = groups.filter(({ sharedFilter }) => !dealt.includes(sharedFilter));
    if (left.length > 0) this.#sharing.forward(message, undefined, [], left, undefined);
  }

  /** The link to `peer`, which has everything up to `lastSequence`, is up: goes on from there. */
  resume(peer: Peer, link: Link, lastSequence: number): void {
    peer.outbound.resume(lastSequence);
    for (const frame of peer.outbound.unacknowledged()) writeFrame(link, frame);
  }

  receiveData(peer: Peer, link: Link, body: Uint8Array): void {
    const input = new ByteReader(body);
    const sequence = input.varint();
    if (!this.#isNew(peer, link, sequence)) return;
    const head = decodeDataHead(input);
    const message = decodeMessage(input);
    input.end();
    this.#counters.received++;
    if (head.isOrdinary) this.#delivery.deliver(message);
    for (const sharedFilter of head.sharedFilters) {
      if (this.#delivery.deliverShared(sharedFilter, message)) continue;
      const returned = new ByteWriter(64);
      encodeReturnHead({ sequence, tries: head.tries, sharedFilter }, returned);
      this.#number(
        peer,
        FrameType.return,
        returned.finish(),
        undefined,
        this.#encode(message),
        message.qos,
        undefined,
      );
    }
    if (message.qos > 0) acknowledgeAtTurnEnd(peer, link);
  }

  receivePackets(peer: Peer, link: Link, version: 4 | 5, body: Uint8Array): void {
    const input = new ByteReader(body);
    const sequence = input.varint();
    if (!this.#isNew(peer, link, sequence)) return;
    const at = body.length - input.remaining;
    this.#counters.received += this.#delivery.deliverPackets({ version, bytes: body, at, end: body.length });
  }

  /** A node that was to serve a shared subscription has no member any more: asks another one. */
  receiveReturn(peer: Peer, link: Link, body: Uint8Array): void {
    const input = new ByteReader(body);
    const sequence = input.varint();
    if (!this.#isNew(peer, link, sequence)) return;
    const head = decodeReturnHead(input);
    const message = decodeMessage(input);
    input.end();
    if (message.qos > 0) acknowledgeAtTurnEnd(peer, link);
    if (peer.outbound.sentBack(head.sequence)) return;
    const kept = peer.outbound.find(head.sequence);
    this.#sharing.returned(peer, head.sharedFilter, head.tries, message, kept);
  }

  receiveAck(peer: Peer, body: Uint8Array): void {
    peer.outbound.acknowledge(decodeDataAck(body));
  }

  /** Writes the acknowledgement that was gathered for `peer`, if any. */
  writeAck(peer: Peer, link: Link): void {
    if (!peer.isDataAckDue) return;
    peer.isDataAckDue = false;
    link.beginFrame(FrameType.dataAck).varint(peer.inbound.last);
    link.endFrame();
  }

  /** `peer` is dead, has left or has restarted: nothing is waited for, shared subscriptions go to other nodes. */
  abandon(peer: Peer): void {
    for (const frame of peer.outbound.abandon()) {
      if (frame.shares === undefined) frame.completion?.settle(0);
      else this.#sharing.givenUp(peer, frame, frame.shares);
    }
  }

  /** QoS 0 to ordinary subscribers: nobody keeps it, so it is passed on as it came, or encoded where it leaves. */
  #sendUnkept(peer: Peer, message: ApplicationMessage): void {
    const { link } = peer;
    if (link === undefined || !peer.isLive || link.unsentBytes > QOS0_UNSENT_BYTES_MAX) {
      this.#counters.qos0Dropped++;
      return;
    }
    this.#counters.forwarded++;
    const { packet } = message;
    if (packet !== undefined) addPacket(peer, link, packet);
    else {
      encodeMessage(message, link.beginFrame(FrameType.data).varint(peer.outbound.next()).raw(ORDINARY_HEAD));
      link.endFrame();
    }
  }

  /** Applies the limits, then puts the message on the stream to `peer`. Returns the parts of `done`: 0 or 1. */
  #send(
    peer: Peer,
    isOrdinary: boolean,
    shares: Shares | undefined,
    message: Uint8Array,
    qos: QoS,
    done: Completion | undefined,
  ): number {
    const head = shares === undefined ? ORDINARY_HEAD : headBytes(isOrdinary, shares);
    const isTooLarge = head.length + message.length > FORWARD_BYTES_MAX;
    if (qos === 0) {
      const { link } = peer;
      if (link === undefined || !peer.isLive || isTooLarge || link.unsentBytes > QOS0_UNSENT_BYTES_MAX) {
        this.#counters.qos0Dropped++;
        return 0;
      }
    } else {
      if (!peer.isReachable) return 0;
      const isFull = peer.outbound.keptBytes + message.length > KEPT_BYTES_MAX && peer.outbound.keptCount > 0;
      if (isTooLarge || isFull) return this.#refuse(done, isTooLarge ? PACKET_TOO_LARGE : QUOTA_EXCEEDED);
    }
    this.#counters.forwarded++;
    this.#number(peer, FrameType.data, head, shares, message, qos, done);
    return qos === 0 || done === undefined ? 0 : 1;
  }

  #number(
    peer: Peer,
    type: number,
    head: Uint8Array,
    shares: Shares | undefined,
    message: Uint8Array,
    qos: QoS,
    completion: Completion | undefined,
  ): void {
    const { link } = peer;
    const sequence = peer.outbound.next();
    const frame: KeptFrame = { sequence, type, head, message, shares, completion };
    if (qos > 0) peer.outbound.keep(frame);
    if (link !== undefined) writeFrame(link, frame);
  }

  /** Settles at the end of the turn: a completion is never settled before the call that took it has returned. */
  #refuse(completion: Completion | undefined, reasonCode: number): number {
    this.#counters.refused++;
    if (completion === undefined) return 0;
    if (this.#refused.length === 0) {
      this.#clock.atTurnEnd(() => {
        const refused = this.#refused;
        this.#refused = [];
        for (const one of refused) one.completion.settle(one.reasonCode);
      });
    }
    this.#refused.push({ completion, reasonCode });
    return 1;
  }

  #isNew(peer: Peer, link: Link, sequence: number): boolean {
    if (peer.inbound.accept(sequence)) return true;
    this.#counters.duplicatesDropped++;
    // The acknowledgement of the first copy may have been lost with the link it was written to.
    acknowledgeAtTurnEnd(peer, link);
    return false;
  }

  #encode(message: ApplicationMessage): Uint8Array {
    encodeMessage(message, this.#encoder.reset());
    return this.#encoder.finish();
  }
}

/** Whether to encode a message for each of so many peers anew, whatever its size. */
function isForFew({ qos, payload, properties }: ApplicationMessage, peers: number): boolean {
  return qos === 0 && peers <= ENCODED_ANEW_MAX && payload.length <= SMALL_BYTES && properties === undefined;
}

/** Nobody keeps them, so all packets of a frame have one number. */
function addPacket(peer: Peer, link: Link, { version, bytes, at, end }: PublishBytes): void {
  const type = version === 5 ? FrameType.publish5 : FrameType.publish;
  if (!link.isOpenFor(type)) {
    link.beginFrame(type).varint(peer.outbound.next());
    link.endFrame();
  }
  link.extendFrame(bytes, at, end);
}

function acknowledgeAtTurnEnd(peer: Peer, link: Link): void {
  peer.isDataAckDue = true;
  (peer.link ?? link).writeAtTurnEnd();
}

function writeFrame(link: Link, frame: KeptFrame): void {
  link.beginFrame(frame.type).varint(frame.sequence).raw(frame.head).raw(frame.message);
  link.endFrame();
}

function headBytes(isOrdinary: boolean, shares: Shares | undefined): Uint8Array {
  const out = new ByteWriter(64);
  encodeDataHead({ isOrdinary, tries: shares?.tries ?? 0, sharedFilters: shares?.filters ?? [] }, out);
  return out.finish();
}
