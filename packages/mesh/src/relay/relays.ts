/**
 * Both sides of relaying: the streams of this node that go through another one, and the frames it passes on for others.
 *
 * Passing on keeps no state: a frame of hop 1 goes over this node's own link to the node it names, as hop 2, or a refusal
 * goes back. So a relay can be lost and replaced at any moment; the two ends notice and open another channel.
 */

import { ByteReader, type ByteWriter, type NodeId } from "@skein/kernel";
import type { Link } from "../link/link.ts";
import { FrameType } from "../messages.ts";
import { decodeRelayHead, encodeRelayHead, type RelayHead, RelayKind } from "./relay-frame.ts";
import { type RelayedEnd, RelayedStream } from "./relayed-stream.ts";

/** Bytes the link to the receiver may owe before nothing more is passed on to it. */
const UNSENT_BYTES_MAX = 16 * 1024 * 1024;

export interface RelaysOwner {
  /** This node's own link to `node`, if it has one on which relayed frames are understood and heard. */
  directLink(node: NodeId): Link | undefined;
  /** Another node has opened a stream to this one. */
  accepted(stream: RelayedStream): void;
  /** `relay` reaches `target` in `rttMs`; undefined: it does not. */
  offered(relay: NodeId, target: NodeId, rttMs: number | undefined): void;
  /** A frame of another node's stream was passed on. */
  passedOn(): void;
}

export class Relays {
  readonly #owner: RelaysOwner;
  readonly #streams = new Map<string, RelayedStream>();
  #channel: number;

  /** `firstChannel`: any number that the past run of this process did not use. */
  constructor(owner: RelaysOwner, firstChannel: number) {
    this.#owner = owner;
    this.#channel = firstChannel;
  }

  /** Asks the node at the other end of `link` whether it reaches `target`. */
  ask(link: Link, target: NodeId): void {
    const head = { kind: RelayKind.ask, isSecondHop: false, isFromOpener: true, node: target, channel: 0 };
    writeFrame(link, head);
  }

  /** Opens a stream to `target` through `relay`. */
  open(relay: NodeId, target: NodeId): RelayedStream {
    const stream = this.#newStream({ relay, peer: target, channel: ++this.#channel, isOpener: true });
    this.#send(stream.route, RelayKind.open);
    return stream;
  }

  /** The link to `relay` is lost, and with it all streams through it. */
  lost(relay: NodeId): void {
    for (const stream of [...this.#streams.values()]) {
      if (stream.route.relay === relay) stream.broken(new Error("link to the relay lost"));
    }
  }

  receive(from: NodeId, link: Link, body: Uint8Array): void {
    const input = new ByteReader(body);
    const head = decodeRelayHead(input);
    if (head.isSecondHop) this.#arrived(from, link, head, input);
    else if (head.kind === RelayKind.ask) this.#answer(link, head.node);
    else if (head.kind === RelayKind.offer) this.#owner.offered(from, head.node, input.varint() / 10);
    else if (head.kind === RelayKind.refuse) this.#refused(from, head);
    else this.#passOn(from, link, head, input.raw(input.remaining));
  }

  #answer(link: Link, target: NodeId): void {
    const direct = this.#owner.directLink(target);
    const answer = { isSecondHop: false, isFromOpener: false, node: target, channel: 0 };
    if (direct === undefined || direct === link) {
      writeFrame(link, { ...answer, kind: RelayKind.refuse });
      return;
    }
    const rttMs = direct.roundTrip.medianMs ?? 0;
    writeFrame(link, { ...answer, kind: RelayKind.offer }, (out) => out.varint(Math.round(rttMs * 10)));
  }

  #passOn(from: NodeId, link: Link, head: RelayHead, rest: Uint8Array): void {
    const direct = this.#owner.directLink(head.node);
    if (direct === undefined || direct === link || direct.unsentBytes > UNSENT_BYTES_MAX) {
      // What breaks a stream needs no answer: it is over either way.
      if (head.kind === RelayKind.reset || head.kind === RelayKind.end) return;
      writeFrame(link, { ...head, kind: RelayKind.refuse, isFromOpener: !head.isFromOpener });
      return;
    }
    this.#owner.passedOn();
    writeFrame(direct, { ...head, isSecondHop: true, node: from }, (out) => out.raw(rest));
  }

  #refused(relay: NodeId, head: RelayHead): void {
    if (head.channel === 0) this.#owner.offered(relay, head.node, undefined);
    else this.#streamOf(relay, head)?.broken(new Error("the relay does not reach the node any more"));
  }

  #arrived(relay: NodeId, link: Link, head: RelayHead, input: ByteReader): void {
    if (head.kind === RelayKind.open) {
      const { node: peer, channel } = head;
      this.#owner.accepted(this.#newStream({ relay, peer, channel, isOpener: false }));
      return;
    }
    const stream = this.#streamOf(relay, head);
    if (stream === undefined) {
      // Of a past run of this node, or long over: its other end must learn of it.
      if (head.kind === RelayKind.data)
        writeFrame(link, {
          ...head,
          kind: RelayKind.reset,
          isSecondHop: false,
          isFromOpener: !head.isFromOpener,
        });
      return;
    }
    switch (head.kind) {
      case RelayKind.data: {
        const offset = input.varint();
        stream.arrived(offset, input.raw(input.remaining));
        break;
      }
      case RelayKind.credit:
        stream.credited(input.varint());
        break;
      case RelayKind.end:
        stream.broken(undefined);
        break;
      case RelayKind.reset:
        stream.broken(new Error("reset by peer"));
        break;
    }
  }

  #newStream(route: RelayedEnd): RelayedStream {
    const key = keyOf(route.peer, route.channel, route.isOpener);
    this.#streams.get(key)?.broken(new Error("opened anew"));
    const stream = new RelayedStream(route, {
      send: (end, kind, count, bytes) => this.#send(end, kind, count, bytes),
      ended: () => this.#streams.delete(key),
    });
    this.#streams.set(key, stream);
    return stream;
  }

  #send(route: RelayedEnd, kind: number, count?: number, bytes?: Uint8Array): boolean {
    const link = this.#owner.directLink(route.relay);
    if (link === undefined) return false;
    const { peer: node, channel, isOpener: isFromOpener } = route;
    writeFrame(link, { kind, isSecondHop: false, isFromOpener, node, channel }, (out) => {
      if (count !== undefined) out.varint(count);
      if (bytes !== undefined) out.raw(bytes);
    });
    return true;
  }

  /** The stream a frame belongs to, if it goes through the relay that the frame came from. */
  #streamOf(relay: NodeId, { node, channel, isFromOpener }: RelayHead): RelayedStream | undefined {
    const stream = this.#streams.get(keyOf(node, channel, !isFromOpener));
    return stream?.route.relay === relay ? stream : undefined;
  }
}

function keyOf(peer: NodeId, channel: number, isOpener: boolean): string {
  return `${peer} ${channel} ${isOpener}`;
}

function writeFrame(link: Link, head: RelayHead, writeRest?: (out: ByteWriter) => void): void {
  const out = encodeRelayHead(head, link.beginFrame(FrameType.relay));
  writeRest?.(out);
  link.endFrame();
}
