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
 * A shared subscription gets its copy from exactly one node. A node that has lost its last member sends the message
 * back and another is asked; what was on the way to a node that died is given to another one, which is the one case
 * where a member may see it twice (the dead node may have delivered it). Members whose sessions are kept get QoS >= 1 from the
 * log: which subscriptions are left to it, the caller says.
 *
 * Source: architecture.md section 4 (Routing, Links, Hot path rules); MQTT 5 section 4.8.2.
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
import { VERSION_PUBLISH_PACKETS } from "../link/protocol-version.ts";
import type { KeptFrame } from "../link/stream-numbering.ts";
import { FrameType } from "../messages.ts";
import type { Delivery } from "../options.ts";
import type { Peer } from "../peer.ts";
import { JoinedCompletion } from "./joined-completion.ts";
import { Routes, type ShareGroup, type ShareHolder } from "./routes.ts";

/** Bytes kept for one peer until it acknowledges them. Above: QoS >= 1 is refused with 0x97. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024;
/** Bytes the link to one peer may owe the operating system. Above: QoS 0 is dropped and counted. */
const QOS0_UNSENT_BYTES_MAX = 8 * 1024 * 1024;
/** Nodes asked in turn to serve one shared subscription before the message counts as having no subscriber. */
const SHARED_TRIES_MAX = 8;
/** An encoder that a large message has grown above this size is given back. */
const KEPT_ENCODER_BYTES_MAX = 1024 * 1024;
/** MQTT 5 reason codes. */
const QUOTA_EXCEEDED = 0x97;
const PACKET_TOO_LARGE = 0x95;

/** Head of the commonest frame: ordinary subscribers only, first try, no shared filters. */
const ORDINARY_HEAD = headBytes(true, 0, []);

/** To more peers than these, a message is encoded once and copied. */
const ENCODED_ANEW_MAX = 2;
const NONE_RETURNED: readonly string[] = [];
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
  readonly #encoder = new ByteWriter(1024, KEPT_ENCODER_BYTES_MAX);
  #refused: { readonly completion: Completion; readonly reasonCode: number }[] = [];

  constructor(delivery: Delivery, clock: Clock, counters: ForwardCounters) {
    this.#delivery = delivery;
    this.#clock = clock;
    this.#counters = counters;
  }

  /** See the broker's Forwarder port: returns the number of parts `done` will be settled for. */
  forward(
    message: ApplicationMessage,
    done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number {
    const route = this.routes.routeOf(message.topic);
    if (route.groups.length > 0)
      return this.#forwardWithShares(message, done, route.peers, route.groups, choice);
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
    for (const peer of route.peers) parts += this.#send(peer, ORDINARY_HEAD, false, bytes, message.qos, done);
    return parts;
  }

  /** The part of it that is about shared subscriptions, but for those in `dealt`. Nobody waits. */
  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void {
    const { groups } = this.routes.routeOf(message.topic);
    const left = groups.filter(({ sharedFilter }) => !dealt.includes(sharedFilter));
    if (left.length > 0) this.#forwardWithShares(message, undefined, [], left, undefined);
  }

  /** The link to `peer`, which has everything up to `lastSequence`, is up: goes on from there. */
  resume(peer: Peer, link: Link, lastSequence: number): void {
    peer.outbound.acknowledge(lastSequence);
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
        false,
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
    // The peer counted as dead for a while: another node has served it since.
    if (peer.outbound.wasAbandoned(head.sequence)) return;
    const kept = peer.outbound.find(head.sequence);
    if (kept !== undefined) kept.returned = [...kept.returned, head.sharedFilter];
    // Behind a cut the acknowledgement may have overtaken the return: it is served all the same, nobody waits.
    const joined = kept?.completion === undefined ? undefined : new JoinedCompletion(kept.completion);
    if (joined !== undefined && kept !== undefined) kept.completion = joined;
    const parts = this.#serveElsewhere(head.sharedFilter, message, peer, head.tries + 1, joined);
    joined?.expect(parts);
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
      if (frame.type === FrameType.data && frame.hasShared) this.#serveSharesElsewhere(peer, frame);
      else frame.completion?.settle(0);
    }
  }

  #forwardWithShares(
    message: ApplicationMessage,
    done: Completion | undefined,
    peers: readonly Peer[],
    groups: readonly ShareGroup[],
    choice: SharedChoice | undefined,
  ): number {
    const shares = new Map<Peer, string[]>();
    for (const group of groups) {
      if (choice?.isDealt(group.sharedFilter) === true) continue;
      const holder = this.#choose(group, message, undefined);
      if (holder === undefined) continue;
      choice?.serve(group.sharedFilter);
      if (holder === "local") continue;
      const assigned = shares.get(holder);
      if (assigned === undefined) shares.set(holder, [group.sharedFilter]);
      else assigned.push(group.sharedFilter);
    }
    if (peers.length === 0 && shares.size === 0) return 0;
    const bytes = this.#encode(message);
    let parts = 0;
    for (const peer of peers) {
      const assigned = shares.get(peer);
      shares.delete(peer);
      const head = assigned === undefined ? ORDINARY_HEAD : headBytes(true, 0, assigned);
      parts += this.#send(peer, head, assigned !== undefined, bytes, message.qos, done);
    }
    for (const [peer, assigned] of shares) {
      parts += this.#send(peer, headBytes(false, 0, assigned), true, bytes, message.qos, done);
    }
    return parts;
  }

  /** The holder whose turn it is: a peer, or this node, where a member has been served; undefined: there is nobody. */
  #choose(group: ShareGroup, message: ApplicationMessage, except: Peer | undefined): ShareHolder | undefined {
    const tried: ShareHolder[] = except === undefined ? [] : [except];
    for (;;) {
      const holder = group.pick(message.qos, (candidate) => tried.includes(candidate));
      if (holder !== "local") return holder;
      if (this.#delivery.deliverShared(group.sharedFilter, message)) return holder;
      tried.push(holder);
    }
  }

  /** Returns the parts `done` will be settled for: 1 if a peer that must accept it was found. */
  #serveElsewhere(
    sharedFilter: string,
    message: ApplicationMessage,
    except: Peer,
    tries: number,
    done: Completion | undefined,
  ): number {
    const group = tries < SHARED_TRIES_MAX ? this.routes.groupOf(sharedFilter) : undefined;
    const holder = group === undefined ? undefined : this.#choose(group, message, except);
    if (holder === "local") return 0;
    if (holder === undefined)
      return message.qos === 0 ? 0 : (this.#delivery.unserved?.(sharedFilter, message, done) ?? 0);
    return this.#send(
      holder,
      headBytes(false, tries, [sharedFilter]),
      true,
      this.#encode(message),
      message.qos,
      done,
    );
  }

  #serveSharesElsewhere(peer: Peer, frame: KeptFrame): void {
    const head = decodeDataHead(new ByteReader(frame.head));
    const message = decodeMessage(new ByteReader(frame.message));
    const joined = frame.completion === undefined ? undefined : new JoinedCompletion(frame.completion);
    for (const sharedFilter of head.sharedFilters) {
      if (frame.returned.includes(sharedFilter)) continue;
      const parts = this.#serveElsewhere(sharedFilter, message, peer, head.tries + 1, joined);
      joined?.expect(parts);
    }
    joined?.release();
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
    if (packet !== undefined && link.protocolVersion >= VERSION_PUBLISH_PACKETS)
      addPacket(peer, link, packet);
    else {
      encodeMessage(message, link.beginFrame(FrameType.data).varint(peer.outbound.next()).raw(ORDINARY_HEAD));
      link.endFrame();
    }
  }

  /** Applies the limits, then puts the message on the stream to `peer`. Returns the parts of `done`: 0 or 1. */
  #send(
    peer: Peer,
    head: Uint8Array,
    hasShared: boolean,
    message: Uint8Array,
    qos: QoS,
    done: Completion | undefined,
  ): number {
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
    this.#number(peer, FrameType.data, head, hasShared, message, qos, done);
    return qos === 0 || done === undefined ? 0 : 1;
  }

  #number(
    peer: Peer,
    type: number,
    head: Uint8Array,
    hasShared: boolean,
    message: Uint8Array,
    qos: QoS,
    completion: Completion | undefined,
  ): void {
    const { link } = peer;
    const sequence = peer.outbound.next();
    const returned = NONE_RETURNED;
    const frame: KeptFrame = { sequence, type, head, message, hasShared, returned, completion };
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

function headBytes(isOrdinary: boolean, tries: number, sharedFilters: readonly string[]): Uint8Array {
  const out = new ByteWriter(64);
  encodeDataHead({ isOrdinary, tries, sharedFilters }, out);
  return out.finish();
}
