/**
 * One client's session: what it is owed, whether it is connected or not.
 *
 * A QoS 1 or 2 message goes straight to the connection if nothing waits before it and the client's Receive Maximum and
 * socket have room; else it waits in a bounded queue. `pump` moves on whenever room appears: first what has to be sent
 * again, then the queue, then retained replay. QoS 0 is sent or dropped, never kept.
 *
 * Source: MQTT 5 sections 4.1 (session state), 4.3 (QoS flows), 4.4 (message delivery retry), 4.9 (flow control).
 */

import type { ApplicationMessage, Clock, MonotonicMs, QoS } from "@skein/kernel";
import type { ReceivedQos2 } from "./acknowledgements.ts";
import type { ProtocolVersion } from "./codec/connect-packet.ts";
import { PacketType } from "./codec/control-packets.ts";
import { acknowledgementFrame, type Frame, frameBytes } from "./codec/packet-writer.ts";
import type { PublishFrames } from "./codec/publish-encoder.ts";
import { isFailure, ReasonCode } from "./codec/reason-codes.ts";
import type { Counters } from "./counters.ts";
import { Inflight, type InflightEntry } from "./inflight.ts";
import { MessageQueue } from "./message-queue.ts";
import type { BrokerOptions } from "./options.ts";
import type { OutboundAliases } from "./outbound-aliases.ts";
import type { RetainedReader, RetainedStore, RetainedView } from "./ports.ts";
import type { QueueBudget } from "./queue-budget.ts";
import { RetainedReplay } from "./retained-replay.ts";
import type { Subscriber, Subscription } from "./subscription-index.ts";
import type { Will } from "./will.ts";

/** The connection of a session, as far as the session needs it. */
export interface Outlet {
  readonly version: ProtocolVersion;
  /** Receive Maximum of the client. */
  readonly receiveMaximum: number;
  /** Maximum Packet Size of the client, in bytes. */
  readonly clientPacketBytesMax: number;
  /** Topic Aliases, if the client allows any. */
  readonly aliases: OutboundAliases | undefined;
  /** Fewer bytes than the bound wait for its socket. */
  readonly hasRoom: boolean;
  /** Sends a frame at the end of this turn. `packetId` is 0 where it has none. */
  send(frame: Frame, packetId: number): void;
  /** Calls {@link Session.pump} at the end of this turn. */
  wake(): void;
  /** A newer connection of the same client has come, from address `by`: ends this one. */
  takenOver(by: string): void;
}

export interface SessionPorts {
  readonly options: BrokerOptions;
  readonly counters: Counters;
  readonly retained: RetainedStore;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly frames: PublishFrames;
  readonly queueBudget: QueueBudget;
}

/** A PUBLISH whose PUBREC came needs only its packet identifier; this stands in for the message. */
const RELEASED: ApplicationMessage = {
  topic: "",
  payload: new Uint8Array(0),
  qos: 2,
  retain: false,
  properties: undefined,
};

export class Session implements Subscriber, RetainedReader {
  readonly clientId: string;
  /** The present connection. */
  outlet: Outlet | undefined;
  /** Session Expiry Interval: seconds it lives without a connection. */
  expirySeconds = 0;
  will: Will | undefined;
  readonly subscriptions = new Map<string, Subscription>();
  /** Characters of all their Topic Filters. */
  filtersLength = 0;
  readonly received: ReceivedQos2 = new Map();
  readonly replay: RetainedReplay;
  readonly #ports: SessionPorts;
  readonly #inflight: Inflight;
  readonly #queue: MessageQueue;
  /** Under way on an earlier connection and not yet sent again on this one. */
  #resend: InflightEntry[] = [];

  constructor(clientId: string, ports: SessionPorts) {
    const { options } = ports;
    this.clientId = clientId;
    this.#ports = ports;
    this.replay = new RetainedReplay(ports.clock);
    this.#inflight = new Inflight(options.inflightMax);
    this.#queue = new MessageQueue(options.queuedMessagesMax, options.queuedBytesMax, ports.queueBudget);
  }

  get isConnected(): boolean {
    return this.outlet !== undefined;
  }

  get isReady(): boolean {
    const { outlet } = this;
    return outlet?.hasRoom === true && !this.#mustWait(outlet);
  }

  /** Messages in the queue, for status. */
  get queued(): number {
    return this.#queue.length;
  }

  /** The session has ended: what waits will never be sent. */
  end(): void {
    this.#queue.clear();
  }

  /** Something could be sent if there were room. */
  get hasBacklog(): boolean {
    return this.#resend.length > 0 || this.#queue.length > 0 || this.replay.isPending;
  }

  deliver(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void {
    const { outlet } = this;
    const isSent = qos === 0 ? this.#deliverQos0(message, retain, identifiers) : false;
    if (qos > 0) {
      if (outlet?.hasRoom === true && !this.#mustWait(outlet)) {
        this.#transmit(outlet, message, qos, retain, identifiers, undefined);
      } else {
        this.#enqueue(message, qos, retain, identifiers);
      }
    }
    if (message.retain && this.replay.isWatching) this.replay.superseded(message, isSent || qos > 0);
  }

  /** A connection of this client has come, and has got its CONNACK. Sends again what was under way [MQTT-4.4.0-1]. */
  resume(outlet: Outlet): void {
    this.outlet = outlet;
    this.#resend = this.#inflight.unacknowledged();
    this.pump();
  }

  /** Sends what waits, as far as there is room. Call it whenever room may have appeared. */
  pump(): void {
    const { outlet } = this;
    this.replay.beginRound();
    while (outlet?.hasRoom === true && this.#sendNext(outlet));
  }

  /** Retained messages of the subscriptions added to `replay` follow as soon as the store lets them be read. */
  readRetained(): void {
    if (this.replay.beginQuestion()) this.#ports.retained.read(this);
  }

  mayRead(view: RetainedView): void {
    this.replay.answered(view);
    this.readRetained();
    this.pump();
  }

  puback(packetId: number): void {
    const entry = this.#inflight.find(packetId);
    if (entry === undefined || entry.qos !== 1) return;
    this.#inflight.release(entry);
    this.pump();
  }

  pubrec(packetId: number, reasonCode: number, outlet: Outlet): void {
    const entry = this.#inflight.find(packetId);
    if (entry === undefined || entry.qos !== 2) {
      const frame = acknowledgementFrame(
        PacketType.Pubrel,
        ReasonCode.PacketIdentifierNotFound,
        outlet.version,
      );
      outlet.send(frame, packetId);
      return;
    }
    if (isFailure(reasonCode)) {
      this.#inflight.release(entry); // [MQTT-4.4.0-2]
      this.pump();
      return;
    }
    entry.isReleased = true;
    entry.message = RELEASED;
    outlet.send(acknowledgementFrame(PacketType.Pubrel, ReasonCode.Success, outlet.version), packetId);
  }

  pubcomp(packetId: number): void {
    const entry = this.#inflight.find(packetId);
    if (entry === undefined || !entry.isReleased) return;
    this.#inflight.release(entry);
    this.pump();
  }

  #deliverQos0(
    message: ApplicationMessage,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): boolean {
    const { outlet } = this;
    if (outlet === undefined) return false;
    if (!outlet.hasRoom) {
      this.#ports.counters.slowReaderDropped++;
      return false;
    }
    this.#transmit(outlet, message, 0, retain, identifiers, undefined);
    return true;
  }

  /** QoS 1 and 2: others are before it, or the client's window is full. */
  #mustWait(outlet: Outlet): boolean {
    return (
      this.#resend.length > 0 || this.#queue.length > 0 || !this.#inflight.hasRoom(outlet.receiveMaximum)
    );
  }

  #enqueue(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void {
    const queuedAt = this.#ports.clock.monotonicMs();
    // A copy: the buffer it came in may be much larger.
    const kept = this.#ports.frames.owned(message);
    if (!this.#queue.push({ message: kept, qos, retain, identifiers, queuedAt })) {
      this.#ports.counters.queueFullDropped++;
    }
  }

  /** Sends one thing that waits. False: nothing waits, or the client's window is full. */
  #sendNext(outlet: Outlet): boolean {
    if (this.#resend.length > 0) return this.#sendAgain(outlet);
    if (this.#queue.length > 0) return this.#sendQueued(outlet);
    return this.replay.isPending && this.#sendRetained(outlet);
  }

  #sendAgain(outlet: Outlet): boolean {
    if (this.#inflight.onWire >= outlet.receiveMaximum) return false;
    const entry = this.#resend.shift();
    // It may have been acknowledged before its turn came.
    if (entry?.message === undefined || entry.isOnWire) return true;
    this.#inflight.resent(entry);
    const { packetId, qos, retain, identifiers, expiresAt } = entry;
    if (entry.isReleased) {
      outlet.send(acknowledgementFrame(PacketType.Pubrel, ReasonCode.Success, outlet.version), packetId);
      return true;
    }
    // Delivery has begun, so it goes on even if the message expires meanwhile; what is left of it is told [MQTT-3.3.2-6].
    const expirySeconds = Math.max(0, Math.ceil((expiresAt - this.#ports.clock.monotonicMs()) / 1000));
    const form = { qos, retain, dup: true, identifiers, expirySeconds };
    const frame = this.#ports.frames.encode(entry.message, outlet.version, form);
    if (frameBytes(frame) > outlet.clientPacketBytesMax) {
      this.#inflight.release(entry);
      this.#ports.counters.tooLargeDropped++;
    } else {
      outlet.send(frame, packetId);
      this.#sent(entry.message);
    }
    return true;
  }

  #sendQueued(outlet: Outlet): boolean {
    if (!this.#inflight.hasRoom(outlet.receiveMaximum)) return false;
    const queued = this.#queue.shift();
    if (queued === undefined) return false;
    const { message, qos, retain, identifiers, queuedAt } = queued;
    const left = this.#lifetimeLeft(message, queuedAt);
    if (left !== 0) this.#transmit(outlet, message, qos, retain, identifiers, left);
    return true;
  }

  /**
   * Seconds that are left of the Message Expiry Interval of a message that has waited since `since`; undefined: it has none. 0: it has
   * expired and must not be sent, which is counted [MQTT-3.3.2-5].
   */
  #lifetimeLeft(message: ApplicationMessage, since: MonotonicMs): number | undefined {
    const lifetime = message.properties?.messageExpirySeconds;
    if (lifetime === undefined) return undefined;
    const left = lifetime - Math.floor((this.#ports.clock.monotonicMs() - since) / 1000);
    if (left > 0) return left;
    this.#ports.counters.expiredDropped++;
    return 0;
  }

  #sendRetained(outlet: Outlet): boolean {
    const next = this.replay.peek();
    if (next === undefined) {
      if (this.replay.isPending) outlet.wake();
      return false;
    }
    const { subscription, message, since } = next;
    const qos = Math.min(message.qos, subscription.qos) as QoS;
    if (qos > 0 && !this.#inflight.hasRoom(outlet.receiveMaximum)) return false;
    this.replay.advance(message);
    const identifiers = subscription.identifier === undefined ? undefined : [subscription.identifier];
    const left = this.#lifetimeLeft(message, since);
    if (left !== 0) this.#transmit(outlet, message, qos, true, identifiers, left);
    return true;
  }

  /** Sends `message` for the first time. There is room for it. */
  #transmit(
    outlet: Outlet,
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    expirySeconds: number | undefined,
  ): void {
    const { frames, counters } = this.#ports;
    const alias = outlet.aliases?.of(message.topic);
    const isParticular =
      outlet.version === 5 &&
      (identifiers !== undefined || expirySeconds !== undefined || alias !== undefined);
    const frame = isParticular
      ? this.#ports.frames.encode(message, outlet.version, {
          qos,
          retain,
          dup: false,
          identifiers,
          expirySeconds,
          alias,
        })
      : frames.shared(message, outlet.version, qos, retain);
    if (frameBytes(frame) > outlet.clientPacketBytesMax) {
      counters.tooLargeDropped++; // [MQTT-3.1.2-24] [MQTT-3.1.2-25]: as if it had been sent
      return;
    }
    if (alias !== undefined) alias.isSet = true;
    const packetId = qos === 0 ? 0 : this.#takeUnderWay(message, qos, retain, identifiers, expirySeconds);
    outlet.send(frame, packetId);
    this.#sent(message);
  }

  #sent({ payload }: ApplicationMessage): void {
    const { counters } = this.#ports;
    counters.publishesSent++;
    counters.publishBytesSent += payload.length;
  }

  /** Returns its packet identifier. */
  #takeUnderWay(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    expirySeconds: number | undefined,
  ): number {
    const entry = this.#inflight.take(message, qos, retain, identifiers);
    const left = expirySeconds ?? message.properties?.messageExpirySeconds;
    if (left !== undefined) entry.expiresAt = this.#ports.clock.monotonicMs() + left * 1000;
    return entry.packetId;
  }
}
