/**
 * A session that this node keeps in its own memory: what its client is owed, whether it is connected or not.
 *
 * A QoS 1 or 2 message goes straight to the connection if nothing waits before it and the client's Receive Maximum and
 * socket have room; else it waits in a bounded queue. `pump` moves on whenever room appears: first what has to be sent
 * again, then the queue, then retained replay.
 *
 * Source: MQTT 5 sections 4.1 (session state), 4.3 (QoS flows), 4.4 (message delivery retry), 4.9 (flow control).
 */

import type { ApplicationMessage, Completion, QoS, SessionWill } from "@skein/kernel";
import { PacketType } from "../codec/control-packets.ts";
import { acknowledgementFrame } from "../codec/packet-writer.ts";
import { isFailure, ReasonCode } from "../codec/reason-codes.ts";
import type { WaitingRetained } from "../outbound/retained-replay.ts";
import { ClientSession, identifiersOf, type Outlet, type PublishPort } from "./client-session.ts";
import { Inflight, type InflightEntry } from "./inflight.ts";
import { MessageQueue } from "./message-queue.ts";

/** A PUBLISH whose PUBREC came needs only its packet identifier; this stands in for the message. */
const RELEASED: ApplicationMessage = {
  topic: "",
  payload: new Uint8Array(0),
  qos: 2,
  retain: false,
  properties: undefined,
};

export class Session extends ClientSession {
  readonly isKept = false;
  will: SessionWill | undefined;
  readonly sentThrough = -1;
  /** Undefined: it never got a QoS 1 or 2 message. */
  #inflight: Inflight | undefined;
  /** Undefined: none ever had to wait. */
  #queue: MessageQueue | undefined;
  /** Under way on an earlier connection and not yet sent again on this one. */
  #resend: InflightEntry[] | undefined;

  get isReady(): boolean {
    const { outlet } = this;
    return outlet?.hasRoom === true && !this.#mustWait(outlet);
  }

  get queued(): number {
    return this.#queue?.length ?? 0;
  }

  get queuedBytes(): number {
    return this.#queue?.bytes ?? 0;
  }

  get hasBacklog(): boolean {
    return this.#isOwing() || this.isReplaying;
  }

  /** What waits will never be sent. */
  end(): void {
    this.#queue?.clear();
  }

  /** Sends again what was under way [MQTT-4.4.0-1]. */
  override resume(outlet: Outlet): void {
    this.#resend = this.#inflight?.unacknowledged();
    super.resume(outlet);
  }

  publishOnce(
    message: ApplicationMessage,
    _packetId: number,
    _isRepeated: boolean,
    port: PublishPort,
    done: Completion,
  ): number {
    return port.publish(message, this, done);
  }

  release(): number {
    return 0;
  }

  keepSubscriptions(): number {
    return 0;
  }

  dropSubscriptions(): number {
    return 0;
  }

  puback(packetId: number): void {
    const entry = this.#inflight?.find(packetId);
    if (entry === undefined || entry.qos !== 1) return;
    this.#inflight?.release(entry);
    this.pump();
  }

  pubrec(packetId: number, reasonCode: number, outlet: Outlet): void {
    const entry = this.#inflight?.find(packetId);
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
      this.#inflight?.release(entry); // [MQTT-4.4.0-2]
      this.pump();
      return;
    }
    entry.isReleased = true;
    entry.message = RELEASED;
    outlet.send(acknowledgementFrame(PacketType.Pubrel, ReasonCode.Success, outlet.version), packetId);
  }

  pubcomp(packetId: number): void {
    const entry = this.#inflight?.find(packetId);
    if (entry === undefined || !entry.isReleased) return;
    this.#inflight?.release(entry);
    this.pump();
  }

  protected owe(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void {
    const { outlet } = this;
    if (outlet?.hasRoom === true && !this.#mustWait(outlet)) {
      this.#transmit(outlet, message, qos, retain, identifiers, undefined);
    } else {
      this.#enqueue(message, qos, retain, identifiers);
    }
  }

  protected sendNext(outlet: Outlet): boolean {
    if (this.#resend !== undefined && this.#resend.length > 0) return this.#sendAgain(outlet, this.#resend);
    if (this.queued > 0) return this.#sendQueued(outlet);
    return this.isReplaying && this.sendRetained(outlet);
  }

  protected sendRetainedOwed(outlet: Outlet, waiting: WaitingRetained, qos: QoS): boolean {
    if (!this.#hasWindow(outlet)) return false;
    const { subscription, message, since } = waiting;
    this.replay.advance(message);
    const left = this.lifetimeLeft(message, since);
    if (left !== 0) this.#transmit(outlet, message, qos, true, identifiersOf(subscription), left);
    return true;
  }

  /** QoS 1 and 2: others are before it, or the client's window is full. */
  #mustWait(outlet: Outlet): boolean {
    return this.#isOwing() || !this.#hasWindow(outlet);
  }

  /** Messages wait to be sent, or sent again. */
  #isOwing(): boolean {
    return (this.#resend !== undefined && this.#resend.length > 0) || this.queued > 0;
  }

  #hasWindow({ receiveMaximum }: Outlet): boolean {
    return this.#inflight === undefined || this.#inflight.hasRoom(receiveMaximum);
  }

  #enqueue(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void {
    const queuedAt = this.ports.clock.monotonicMs();
    // A copy: the buffer it came in may be much larger.
    const kept = this.ports.frames.owned(message);
    const { options, queueBudget } = this.ports;
    this.#queue ??= new MessageQueue(options.queuedMessagesMax, options.queuedBytesMax, queueBudget);
    if (!this.#queue.push({ message: kept, qos, retain, identifiers, queuedAt })) {
      this.ports.counters.queueFullDropped++;
    }
  }

  #sendAgain(outlet: Outlet, resend: InflightEntry[]): boolean {
    const inflight = this.#inflight;
    if (inflight === undefined || inflight.onWire >= outlet.receiveMaximum) return false;
    const entry = resend.shift();
    // It may have been acknowledged before its turn came.
    if (entry?.message === undefined || entry.isOnWire) return true;
    inflight.resent(entry);
    const { message, packetId, qos, retain, identifiers, expiresAt } = entry;
    if (entry.isReleased) {
      outlet.send(acknowledgementFrame(PacketType.Pubrel, ReasonCode.Success, outlet.version), packetId);
      return true;
    }
    // Delivery has begun, so it goes on even if the message expires meanwhile; what is left of it is told [MQTT-3.3.2-6].
    const expirySeconds = Math.max(0, Math.ceil((expiresAt - this.ports.clock.monotonicMs()) / 1000));
    const form = { qos, retain, dup: true, identifiers, expirySeconds };
    const frame = this.encodeAgain(outlet, message, form);
    if (frame === undefined) inflight.release(entry);
    else this.send(outlet, frame, packetId);
    return true;
  }

  #sendQueued(outlet: Outlet): boolean {
    if (!this.#hasWindow(outlet)) return false;
    const queued = this.#queue?.shift();
    if (queued === undefined) return false;
    const { message, qos, retain, identifiers, queuedAt } = queued;
    const left = this.lifetimeLeft(message, queuedAt);
    if (left !== 0) this.#transmit(outlet, message, qos, retain, identifiers, left);
    return true;
  }

  /** Sends `message`, of QoS 1 or 2, for the first time. There is room for it. */
  #transmit(
    outlet: Outlet,
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    expirySeconds: number | undefined,
  ): void {
    const frame = this.encode(outlet, message, qos, retain, identifiers, expirySeconds);
    if (frame === undefined) return;
    this.#inflight ??= new Inflight(this.ports.options.inflightMax);
    const entry = this.#inflight.take(message, qos, retain, identifiers);
    const left = expirySeconds ?? message.properties?.messageExpirySeconds;
    if (left !== undefined) entry.expiresAt = this.ports.clock.monotonicMs() + left * 1000;
    this.send(outlet, frame, entry.packetId);
  }
}
