/**
 * The messages one client publishes: Topic Aliases, flow control, and the acknowledgements they wait for.
 *
 * QoS 2 is exactly once by its packet identifier: while the client has not released it, a PUBLISH with the same
 * identifier is answered but not published again, also on a later connection [MQTT-4.3.3-10].
 * A 5.0 client that exceeds the Receive Maximum breaks the protocol. Below that, and always for 3.x, a client that runs
 * ahead of the mesh is not read from for a while (`isFull`).
 *
 * Source: MQTT 5 sections 3.3.4, 4.3, 4.9.
 */

import { type ApplicationMessage, type Completion, isUtf8, PASSED_BY, SAFE_HERE_ONLY } from "@skein/kernel";
import type { ProtocolVersion } from "../codec/connect-packet.ts";
import { PacketType } from "../codec/control-packets.ts";
import { PacketError, protocolError } from "../codec/packet-error.ts";
import type { PublishPacket } from "../codec/publish-packet.ts";
import { isFailure, ReasonCode } from "../codec/reason-codes.ts";
import { ReceivedPublish } from "../codec/received-publish.ts";
import type { BrokerOptions } from "../options.ts";
import type { ClientSession, PublishPort } from "../sessions/client-session.ts";
import { isSystemTopic } from "../system/system-topics.ts";
import { UNAWAITED } from "../unawaited.ts";
import { type AcknowledgementPool, Acknowledgements, type Publisher } from "./acknowledgements.ts";
import { TopicAliases } from "./topic-alias.ts";

/** A client's answers to its publishes. */
export interface PublishAnswers {
  /** PUBACK, PUBREC or PUBCOMP; `cause` for a Reason String. */
  sendAcknowledgement(type: 4 | 5 | 7, packetId: number, reasonCode: number, cause?: string): void;
  /** The mesh takes no message, or no PUBREL, and there is no packet that can say so. */
  refuse(reasonCode: number): void;
}

const NOT_UTF8 = "the payload is not the UTF-8 text that its format indicator says it is";
/** What an acknowledgement means that does not explain itself. */
const CAUSES: ReadonlyMap<number, string> = new Map([
  [PASSED_BY, "taken, but the queue of a client that is away, or all queues together, had no room for it"],
  [SAFE_HERE_ONLY, "safe on one node only: the mesh has no quorum now"],
  [ReasonCode.PayloadFormatInvalid, NOT_UTF8],
  [ReasonCode.NotAuthorized, "topics below $SYS are the node's own"],
  [ReasonCode.QuotaExceeded, "the store of the mesh is full, or takes nothing now"],
]);

export class InboundPublishes implements Publisher {
  readonly #version: ProtocolVersion;
  readonly #session: ClientSession;
  /** Nothing is waited for (ListenerOptions.acknowledges). */
  readonly #isLocal: boolean;
  readonly #receiveMaximum: number;
  readonly #unsettledMax: number;
  readonly #port: PublishPort;
  readonly #pool: AcknowledgementPool;
  readonly #answers: PublishAnswers;
  readonly #aliases: TopicAliases;
  readonly #acknowledgements: Acknowledgements;
  /** PUBRELs whose PUBCOMP waits for the session. */
  readonly #releases = new Acknowledgements({
    acknowledge: (packetId, _qos, reasonCode) => this.#released(packetId, reasonCode),
    refused: () => undefined,
  });
  /** QoS 1 and 2 messages of this connection that count against the Receive Maximum. */
  #unsettled = 0;

  constructor(
    version: ProtocolVersion,
    session: ClientSession,
    isLocal: boolean,
    options: BrokerOptions,
    port: PublishPort,
    pool: AcknowledgementPool,
    answers: PublishAnswers,
  ) {
    this.#version = version;
    this.#session = session;
    this.#isLocal = isLocal;
    this.#receiveMaximum = options.receiveMaximum;
    this.#unsettledMax = options.unsettledPublishesMax;
    this.#port = port;
    this.#pool = pool;
    this.#answers = answers;
    this.#aliases = new TopicAliases(options.topicAliasMaximum);
    this.#acknowledgements = new Acknowledgements(this);
  }

  /** More messages wait for their acknowledgement than a well-behaved client would send: stop reading. */
  get isFull(): boolean {
    return this.#acknowledgements.length + this.#releases.length > this.#unsettledMax;
  }

  /**
   * `bytes`: what `packet` was read from; nobody changes them any more.
   * @throws {PacketError}
   */
  accept(packet: PublishPacket, bytes: Uint8Array): void {
    const topic = this.#topicOf(packet);
    const { qos, packetId } = packet;
    const message = new ReceivedPublish(packet, topic, bytes, this.#version);
    if (qos === 2 && this.#session.received.has(packetId) && !this.#isAnother(packetId, message)) {
      this.#answerDuplicate(packetId);
      return;
    }
    const refusal = this.#refusal(message);
    if (qos === 0) {
      if (refusal === ReasonCode.PayloadFormatInvalid) throw new PacketError(refusal, NOT_UTF8); // section 3.3.2.3.2
      if (refusal === ReasonCode.Success) this.#port.publish(message, this.#session, undefined);
      return;
    }
    if (this.#version === 5 && this.#unsettled >= this.#receiveMaximum) {
      throw new PacketError(ReasonCode.ReceiveMaximumExceeded, "receive maximum exceeded"); // [MQTT-3.3.4-7]
    }
    this.#unsettled++;
    const slot = this.#pool.take();
    slot.begin(packetId, qos, qos === 2 ? this.#session.received : undefined);
    if (qos === 2) this.#session.received.set(packetId, slot);
    this.#acknowledgements.push(slot);
    if (refusal === ReasonCode.Success) {
      if (this.#isLocal) this.#publish(message, packet, UNAWAITED);
      else slot.expect(this.#publish(message, packet, slot));
    }
    slot.settle(this.#version === 5 ? refusal : ReasonCode.Success); // 3.1.1 [MQTT-3.3.5-2]
  }

  /**
   * PUBREL: the client will not send this message again [MQTT-4.3.3-11]. The session hears of one that is not known, too: a node without a quorum may have
   * taken it on an earlier connection, and the log would hold the identifier that its outbox brings for ever.
   */
  release(packetId: number): void {
    this.#settled();
    const isKnown = this.#session.received.delete(packetId);
    const slot = this.#pool.take();
    slot.begin(packetId, 2, undefined);
    this.#releases.push(slot);
    slot.expect(this.#session.release(packetId, slot));
    slot.settle(isKnown ? ReasonCode.Success : ReasonCode.PacketIdentifierNotFound);
  }

  acknowledge(packetId: number, qos: 1 | 2, settledWith: number): void {
    const reasonCode = settledWith === PASSED_BY ? this.#whenPassedBy(qos) : settledWith;
    const isRefused = isFailure(reasonCode);
    if (qos === 1 || isRefused) this.#settled();
    const type = qos === 1 ? PacketType.Puback : PacketType.Pubrec;
    const cause = settledWith === ReasonCode.Success ? undefined : CAUSES.get(settledWith);
    this.#answers.sendAcknowledgement(type, packetId, isRefused ? reasonCode : ReasonCode.Success, cause);
  }

  /**
   * A 3.x client cannot be told, so its connection ends. At once, not when it is this message's turn: one that came behind it might be
   * taken meanwhile, and would overtake it when the client sends both again.
   */
  refused(reasonCode: number): void {
    if (this.#version !== 5) this.#answers.refuse(reasonCode);
  }

  /** The connection has ended. */
  abandon(): void {
    this.#acknowledgements.abandon();
    this.#releases.abandon();
  }

  /**
   * Everybody else has the message. A 3.x client could only be cut off, and would send it again; one of 5.0 hears that not everybody gets it, but not
   * of an exactly-once message, which it would be free to send again, to those that have it.
   */
  #whenPassedBy(qos: 1 | 2): number {
    return this.#version === 5 && qos === 1 ? ReasonCode.QuotaExceeded : PASSED_BY;
  }

  #publish(message: ApplicationMessage, { packetId, dup }: PublishPacket, done: Completion): number {
    if (message.qos === 1) return this.#port.publish(message, this.#session, done);
    return this.#session.publishOnce(message, packetId, dup, this.#port, done);
  }

  /** PUBCOMP can say that the identifier is not known, and nothing else. */
  #released(packetId: number, reasonCode: number): void {
    if (!isFailure(reasonCode))
      this.#answers.sendAcknowledgement(PacketType.Pubcomp, packetId, ReasonCode.Success);
    else if (reasonCode === ReasonCode.PacketIdentifierNotFound)
      this.#answers.sendAcknowledgement(PacketType.Pubcomp, packetId, reasonCode);
    else this.#answers.refuse(reasonCode);
  }

  /** Why a message is not published, whatever the mesh says; Success: there is no reason. */
  #refusal(message: ApplicationMessage): number {
    // Section 4.7.2: what the node tells of itself is for nobody else to say.
    if (isSystemTopic(message.topic)) return ReasonCode.NotAuthorized;
    const isText = message.properties?.payloadIsUtf8 !== true || isUtf8(message.payload);
    return isText ? ReasonCode.Success : ReasonCode.PayloadFormatInvalid;
  }

  #settled(): void {
    if (this.#unsettled > 0) this.#unsettled--;
  }

  #topicOf(packet: PublishPacket): string {
    const { topic, topicAlias } = packet;
    if (topicAlias === undefined) return topic;
    if (!this.#aliases.isAllowed(topicAlias)) {
      throw new PacketError(ReasonCode.TopicAliasInvalid, "topic alias above the maximum"); // [MQTT-3.3.2-9]
    }
    if (topic !== "") {
      this.#aliases.set(topicAlias, topic);
      return topic;
    }
    const known = this.#aliases.get(topicAlias);
    if (known === undefined) throw protocolError("topic alias was never set");
    return known;
  }

  #isAnother(packetId: number, message: ApplicationMessage): boolean {
    const { received } = this.#session;
    return received.get(packetId) === undefined && this.#session.isAnother(packetId, message);
  }

  /** A message that is already published: answers PUBREC now, or when it is settled. */
  #answerDuplicate(packetId: number): void {
    const slot = this.#session.received.get(packetId);
    if (slot === undefined)
      this.#answers.sendAcknowledgement(PacketType.Pubrec, packetId, ReasonCode.Success);
    else if (slot.queue === undefined) this.#acknowledgements.push(slot);
  }
}
