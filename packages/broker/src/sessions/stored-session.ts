/**
 * A session that the mesh keeps, on the node its client is connected to.
 *
 * What it is owed is a queue in the replicated state, the same on every node; this sends from it, in the order of the log, and says
 * what the client has. It remembers only what is under way on this connection: a client that comes back anywhere is sent the
 * rest by whoever serves it then, with the same packet identifiers, because those are functions of the place in the queue. Two
 * things make QoS 2 exactly once: PUBREL leaves only when the PUBREC is committed, and what the client publishes is known by
 * its packet identifier in the replicated state.
 *
 * Source: MQTT 5 sections 4.3, 4.4, 4.9; reference design, section 4.3, rules 6 to 8.
 */

import {
  type ApplicationMessage,
  type Completion,
  type KeptSession,
  type OwedMessage,
  packetIdOf,
  type SessionClaim,
  type SubscriptionWish,
} from "@skein/kernel";
import { PacketType } from "../codec/control-packets.ts";
import { acknowledgementFrame } from "../codec/packet-writer.ts";
import { isFailure, ReasonCode } from "../codec/reason-codes.ts";
import { recordOf } from "../codec/received-publish.ts";
import { MapFront } from "../map-front.ts";
import type { WaitingRetained } from "../outbound/retained-replay.ts";
import type { Granted } from "../subscriptions/subscriptions.ts";
import { ClientSession, type Outlet, type PublishPort, type SessionPorts } from "./client-session.ts";
import { type EarlyMessage, EarlyQueue } from "./early-queue.ts";

/** Packet identifiers come again after 65,535 ordinals: what is under way lies closer together. */
const SPAN_MAX = 60_000;
const PACKET_IDS = 65_535;

/** One message that was sent on this connection and is not acknowledged. Reused: valid until the client has it. */
class UnderWay implements Completion {
  ordinal = 0;
  qos: 1 | 2 = 1;
  /** PUBREC came and is being committed, or is committed and PUBREL was sent. */
  state: "sent" | "confirming" | "released" = "sent";
  readonly #session: StoredSession;
  #waiting = 0;
  #refusal = 0;

  constructor(session: StoredSession) {
    this.#session = session;
  }

  begin({ ordinal, qos }: OwedMessage): this {
    this.ordinal = ordinal;
    this.qos = qos;
    this.state = "sent";
    return this;
  }

  confirm(claim: SessionClaim): void {
    this.state = "confirming";
    this.#waiting = 1;
    this.#waiting += claim.confirm(this.ordinal, this);
    this.settle(ReasonCode.Success);
  }

  settle(reasonCode: number): void {
    if (isFailure(reasonCode)) this.#refusal = reasonCode;
    if (--this.#waiting === 0) this.#session.confirmed(this, this.#refusal);
  }
}

export class StoredSession extends ClientSession {
  readonly isKept = true;
  readonly #kept: KeptSession;
  readonly #claim: SessionClaim;
  /** Packet identifiers that the replica held when this connection began, and under which nothing has come here: what they stand for it knows best. */
  readonly #receivedBefore: Set<number>;
  /** Up to this ordinal messages may have been sent on an earlier connection. */
  readonly #sentBefore: number;
  #sentThrough: number;
  /** Up to this ordinal everything has had its turn on this connection. */
  #cursor = -1;
  /** By packet identifier; the oldest first. */
  readonly #underWay = new Map<number, UnderWay>();
  readonly #oldest = new MapFront(this.#underWay);
  /** For those to come. */
  readonly #unused: UnderWay[] = [];
  /** Nothing is owed behind the cursor. */
  #isExhausted = false;
  /** Undefined until a message comes before the log has it. */
  #early: EarlyQueue | undefined;
  /** The newest whose PUBREC is being committed. */
  #lastConfirming: UnderWay | undefined;

  constructor(clientId: string, ports: SessionPorts, kept: KeptSession, claim: SessionClaim) {
    super(clientId, ports);
    this.#kept = kept;
    this.#claim = claim;
    this.#sentBefore = kept.sentThrough;
    this.#sentThrough = kept.sentThrough;
    this.#receivedBefore = new Set(kept.received);
    for (const packetId of this.#receivedBefore) this.received.set(packetId, undefined);
  }

  get isReady(): boolean {
    return this.outlet?.hasRoom === true && this.#isExhausted;
  }

  get queued(): number {
    return this.#kept.queued;
  }

  get queuedBytes(): number {
    return this.#kept.queuedBytes;
  }

  get hasBacklog(): boolean {
    return !this.#isExhausted || this.isReplaying;
  }

  get sentThrough(): number {
    return this.#sentThrough;
  }

  /** More is owed. */
  grown(): void {
    this.#isExhausted = false;
    this.pump();
  }

  /** A QoS 1 or 2 message that comes before the log has it. */
  deliverEarly(early: EarlyMessage): void {
    this.#early ??= new EarlyQueue();
    this.#early.push(early);
    this.pump();
  }

  /** The log has brought it now. */
  placed(ordinal: number | undefined, name: string, isHad: boolean): void {
    this.#early ??= new EarlyQueue();
    if (ordinal === undefined) this.#early.forget(name);
    else if (this.#early.placed(ordinal, name, isHad))
      this.#sentThrough = Math.max(this.#sentThrough, ordinal);
  }

  /** All of it is the mesh's. */
  end(): void {}

  publishOnce(
    message: ApplicationMessage,
    packetId: number,
    isRepeated: boolean,
    _port: PublishPort,
    done: Completion,
  ): number {
    this.#receivedBefore.delete(packetId);
    return this.#claim.publish(recordOf(message), packetId, isRepeated, done);
  }

  override isAnother(packetId: number, message: ApplicationMessage): boolean {
    return this.#receivedBefore.has(packetId) && !this.#kept.holds(packetId, recordOf(message));
  }

  release(packetId: number, done: Completion): number {
    return this.#claim.release(packetId, done);
  }

  keepSubscriptions(granted: readonly Granted[], done: Completion): number {
    const wishes: SubscriptionWish[] = [];
    for (const { subscription, isReplayed, retainHandling } of granted) {
      // A Topic Filter that comes twice in one SUBSCRIBE counts once, as it came last.
      if (subscription === undefined || this.subscriptions.get(subscription.filter) !== subscription)
        continue;
      const { filter, qos, noLocal, retainAsPublished, identifier } = subscription;
      const form = { filter, qos, noLocal, retainAsPublished, identifier };
      wishes.push({ ...form, retainHandling: isReplayed ? retainHandling : 2 });
    }
    return wishes.length === 0 ? 0 : this.#claim.subscribe(wishes, done);
  }

  dropSubscriptions(filters: readonly string[], done: Completion): number {
    return filters.length === 0 ? 0 : this.#claim.unsubscribe(filters, done);
  }

  puback(packetId: number): void {
    if (this.#underWay.get(packetId)?.qos === 1) this.#finish(packetId);
    else if (this.#early?.find(packetId)?.qos === 1) this.#finishEarly(packetId);
  }

  pubrec(packetId: number, reasonCode: number, outlet: Outlet): void {
    const entry = this.#underWay.get(packetId);
    const early = entry === undefined ? this.#early?.find(packetId) : undefined;
    if (early?.qos === 2) {
      early.isReleased = true;
      if (isFailure(reasonCode)) this.#finishEarly(packetId);
      else if (this.#lastConfirming === undefined) sendPubrel(outlet, packetId);
      else this.#early?.hold(packetId, this.#lastConfirming);
    } else if (entry?.qos !== 2) {
      // A PUBREL now would let the client forget the identifier, and take what is sent again for something new.
      if (!this.#comesAgain(packetId)) sendPubrel(outlet, packetId, ReasonCode.PacketIdentifierNotFound);
    } else if (isFailure(reasonCode))
      this.#finish(packetId); // [MQTT-4.4.0-2]
    else if (entry.state === "released") sendPubrel(outlet, packetId);
    else if (entry.state === "sent") {
      this.#lastConfirming = entry;
      entry.confirm(this.#claim);
    }
  }

  pubcomp(packetId: number): void {
    if (this.#underWay.get(packetId)?.state === "released") this.#finish(packetId);
    else if (this.#early?.find(packetId)?.isReleased === true) this.#finishEarly(packetId);
  }

  /** The PUBREC of `entry` is committed, or (`refusal`) will not be. */
  confirmed(entry: UnderWay, refusal: number): void {
    const { outlet } = this;
    const packetId = packetIdOf(entry.ordinal);
    const isWaitedFor = this.#underWay.get(packetId) === entry;
    if (outlet !== undefined && isWaitedFor && refusal !== 0) outlet.refuse(refusal);
    if (outlet === undefined || refusal !== 0) return;
    if (isWaitedFor) {
      entry.state = "released";
      sendPubrel(outlet, packetId);
    }
    if (this.#lastConfirming === entry) this.#lastConfirming = undefined;
    for (const held of this.#early?.heldBehind(entry) ?? []) sendPubrel(outlet, held);
  }

  /** It comes from the log. */
  protected owe(): void {}

  protected sendNext(outlet: Outlet): boolean {
    if (!this.#isExhausted) {
      if (!this.#hasWindow(outlet)) return false;
      const owed = this.#kept.after(this.#cursor);
      if (owed !== undefined) return this.#sendOwed(outlet, owed);
      this.#isExhausted = true;
    }
    const early = this.#early !== undefined && this.#hasWindow(outlet) ? this.#early.shift() : undefined;
    if (early !== undefined) return this.#sendEarly(outlet, early);
    return this.isReplaying && this.sendRetained(outlet);
  }

  #hasWindow(outlet: Outlet): boolean {
    const underWay = this.#underWay.size + (this.#early?.underWay ?? 0);
    return underWay < Math.min(outlet.receiveMaximum, this.ports.options.inflightMax);
  }

  /** The mesh has put it into the queue. */
  protected sendRetainedOwed(_outlet: Outlet, { message }: WaitingRetained): boolean {
    this.replay.advance(message);
    return true;
  }

  #sendOwed(outlet: Outlet, owed: OwedMessage): boolean {
    const { ordinal } = owed;
    const oldest = this.#underWay.get(this.#oldest.key ?? 0);
    if (oldest !== undefined && ordinal - oldest.ordinal >= SPAN_MAX) return false;
    // It was sent before the log had the session, and said where its ordinals begin.
    if (this.#early?.find(packetIdOf(ordinal)) !== undefined) return false;
    this.#cursor = ordinal;
    if (this.#early?.passes(ordinal) === true) return true;
    if (owed.isReleased) {
      this.#begin(owed).state = "released";
      sendPubrel(outlet, packetIdOf(ordinal));
    } else this.#publish(outlet, owed);
    return true;
  }

  #publish(outlet: Outlet, owed: OwedMessage): void {
    const { ordinal, message, qos, retain, identifiers } = owed;
    const isRepeated = ordinal <= this.#sentBefore;
    const expirySeconds = this.#kept.lifetimeLeft(owed);
    // Delivery that has begun goes on: of QoS 2 the client may hold the identifier until a PUBREL comes.
    if (expirySeconds === 0 && !isRepeated) {
      this.ports.counters.expiredDropped++; // [MQTT-3.3.2-5]
      this.#claim.acknowledge(ordinal);
      return;
    }
    const frame = isRepeated
      ? this.encodeAgain(outlet, message, { qos, retain, dup: true, identifiers, expirySeconds })
      : this.encode(outlet, message, qos, retain, identifiers, expirySeconds);
    if (frame === undefined) {
      this.#claim.acknowledge(ordinal);
      return;
    }
    this.#begin(owed);
    this.#sentThrough = Math.max(this.#sentThrough, ordinal);
    this.send(outlet, frame, packetIdOf(ordinal));
  }

  #sendEarly(outlet: Outlet, early: EarlyMessage): boolean {
    const { message, qos, retain, identifiers } = early;
    const frame = this.encode(outlet, message, qos, retain, identifiers, undefined);
    if (frame === undefined) {
      this.#claim.acknowledgeEarly(early.name);
      return true;
    }
    const oldest = this.#underWay.get(this.#oldest.key ?? 0)?.ordinal ?? this.#kept.nextOrdinal;
    this.send(outlet, frame, this.#early?.send(early, oldest) ?? 0);
    return true;
  }

  #finishEarly(packetId: number): void {
    const sent = this.#early?.finish(packetId);
    if (sent === undefined) return;
    if (sent.ordinal === undefined) this.#claim.acknowledgeEarly(sent.name);
    else this.#claim.acknowledge(sent.ordinal);
    this.pump();
  }

  #begin(owed: OwedMessage): UnderWay {
    const entry = (this.#unused.pop() ?? new UnderWay(this)).begin(owed);
    this.#underWay.set(packetIdOf(owed.ordinal), entry);
    return entry;
  }

  /** The client has the message. */
  #finish(packetId: number): void {
    const entry = this.#underWay.get(packetId);
    if (entry === undefined) return;
    this.#underWay.delete(packetId);
    // One whose PUBREC is being committed will hear of that yet.
    if (entry.state !== "confirming") this.#unused.push(entry);
    this.#claim.acknowledge(entry.ordinal);
    this.pump();
  }

  /** Whether a message with this packet identifier was sent on an earlier connection and has not had its turn on this one. */
  #comesAgain(packetId: number): boolean {
    const first = this.#kept.after(this.#cursor)?.ordinal;
    if (first === undefined) return false;
    const ahead = (packetId - packetIdOf(first) + PACKET_IDS) % PACKET_IDS;
    return first + ahead <= this.#sentBefore && this.#kept.owed(first + ahead) !== undefined;
  }
}

function sendPubrel(outlet: Outlet, packetId: number, reasonCode: number = ReasonCode.Success): void {
  outlet.send(acknowledgementFrame(PacketType.Pubrel, reasonCode, outlet.version), packetId);
}
