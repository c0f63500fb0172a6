/**
 * One connection's protocol machine, without its socket.
 *
 * It begins `connecting`: nothing but one small CONNECT is accepted, and not for long. When the broker has given it a
 * session it is `connected` and hands each packet to the part that knows about it. What a client does wrong ends here:
 * a reason code in CONNACK or DISCONNECT where the version has one, then the end of the stream (`closing`); a client that
 * does not go is reset. Output is gathered and leaves in one write at the end of the turn.
 *
 * Source: MQTT 5 sections 3.1.4, 3.14, 4.8, 4.13.
 */

import type { MonotonicMs, Stream, StreamHandler } from "@skein/kernel";
import type { ChannelHost } from "./channel-host.ts";
import type { ConnectPacket, ProtocolVersion } from "./codec/connect-packet.ts";
import {
  checkHeaderFlags,
  PacketType,
  readAcknowledgement,
  readDisconnect,
  readSubscribe,
  readUnsubscribe,
} from "./codec/control-packets.ts";
import { FieldReader } from "./codec/field-reader.ts";
import { PacketError, protocolError } from "./codec/packet-error.ts";
import { type PacketHandler, PacketReader } from "./codec/packet-reader.ts";
import {
  acknowledgementFrame,
  type ConnackProperties,
  connackFrame,
  disconnectFrame,
  type Frame,
  frameBytes,
  PINGRESP,
  subackFrame,
  unsubackFrame,
} from "./codec/packet-writer.ts";
import { ReasonCode } from "./codec/reason-codes.ts";
import { CONNECT_HEADER, Handshake, type HandshakeConnection } from "./handshake.ts";
import { InboundPublishes, type PublishAnswers } from "./inbound-publishes.ts";
import { InboundSubscribes, type SubscribeAnswers } from "./inbound-subscribes.ts";
import { Liveness } from "./liveness.ts";
import type { ListenerOptions } from "./options.ts";
import { OutboundAliases } from "./outbound-aliases.ts";
import { OutboundQueue } from "./outbound-queue.ts";
import type { Outlet, Session } from "./session.ts";
import type { WillFate } from "./will.ts";

type ChannelState = "connecting" | "connected" | "closing" | "closed";

export class Channel
  implements StreamHandler, PacketHandler, PublishAnswers, SubscribeAnswers, HandshakeConnection, Outlet
{
  readonly stream: Stream;
  readonly listener: ListenerOptions;
  version: ProtocolVersion = 4;
  receiveMaximum = 0xffff;
  clientPacketBytesMax = Number.MAX_SAFE_INTEGER;
  aliases: OutboundAliases | undefined;
  readonly #host: ChannelHost<Channel>;
  readonly #reader: PacketReader;
  readonly #fields = new FieldReader();
  readonly #outbound: OutboundQueue;
  #state: ChannelState = "connecting";
  #session: Session | undefined;
  #publishes: InboundPublishes | undefined;
  #subscribes: InboundSubscribes | undefined;
  readonly #handshake: Handshake<Channel>;
  #isDirty = false;
  /** The stream asked to wait until it has `drained`. */
  #isBlocked = false;
  /** Reason Strings: not before the client has said what it can take, nor if it does not want any. */
  #wantsReasons = false;
  #hasBegun = false;
  /** Session Expiry Interval of CONNECT was 0, so DISCONNECT must not set another one. */
  #endsWithConnection = true;
  readonly #liveness: Liveness;
  /** In `connecting` and `closing`: when patience ends, ms. */
  #stateEndsAt: number;

  constructor(stream: Stream, listener: ListenerOptions, host: ChannelHost<Channel>) {
    this.stream = stream;
    this.listener = listener;
    this.#host = host;
    this.#outbound = new OutboundQueue(host.batches);
    this.#reader = new PacketReader(this, host.options.connectBytesMax);
    this.#handshake = new Handshake(this, host);
    this.#liveness = new Liveness(stream, host.clock);
    this.#stateEndsAt = host.clock.monotonicMs() + host.options.connectTimeoutMs;
    host.wakeAt(this, this.#stateEndsAt);
  }

  get clientId(): string | undefined {
    return this.#session?.clientId;
  }

  received(bytes: Uint8Array): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#liveness.heard();
    this.#host.counters.bytesReceived += bytes.length;
    if (!this.#hasBegun && bytes.length > 0) {
      this.#hasBegun = true;
      if (bytes[0] !== CONNECT_HEADER) {
        this.#fault(ReasonCode.ProtocolError, "first byte is not that of a CONNECT");
        return;
      }
    }
    this.#reader.feed(bytes);
  }

  drained(): void {
    this.#isBlocked = false;
    this.#session?.pump();
    this.#updatePause();
  }

  closed(_error: Error | undefined): void {
    this.#leave("publish");
    this.#state = "closed";
    this.#reader.stop();
    this.#outbound.clear();
    this.#host.gone(this);
  }

  // ---- packets

  packet(header: number, bytes: Uint8Array, at: number, end: number): void {
    this.#fields.reset(bytes, at, end);
    this.#host.counters.packetsReceived++;
    try {
      if (this.#state === "connecting") this.#handshake.packet(header, this.#fields);
      else if (this.#state === "connected") this.#readNext(header);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#fault(error.reasonCode, error.message);
    }
  }

  unreadable(reasonCode: number): void {
    const isTooLarge = reasonCode === ReasonCode.PacketTooLarge;
    this.#fault(reasonCode, isTooLarge ? "packet too large" : "remaining length is malformed");
  }

  #readNext(header: number): void {
    const session = this.#session as Session;
    const fields = this.#fields;
    checkHeaderFlags(header, this.version);
    switch (header >> 4) {
      case PacketType.Publish: {
        const packet = this.#host.publishPacket;
        packet.read(header, fields, this.version, this.#host.topics);
        this.#host.counters.publishesReceived++;
        this.#host.counters.publishBytesReceived += packet.end - packet.payloadAt;
        this.#publishes?.accept(packet, fields.bytes);
        this.#updatePause();
        return;
      }
      case PacketType.Puback:
        session.puback(readAcknowledgement(fields, this.version).packetId);
        return;
      case PacketType.Pubrec: {
        const { packetId, reasonCode } = readAcknowledgement(fields, this.version);
        session.pubrec(packetId, reasonCode, this);
        return;
      }
      case PacketType.Pubrel:
        this.#publishes?.release(readAcknowledgement(fields, this.version).packetId);
        return;
      case PacketType.Pubcomp:
        session.pubcomp(readAcknowledgement(fields, this.version).packetId);
        return;
      case PacketType.Subscribe:
        this.#subscribes?.subscribe(readSubscribe(fields, this.version));
        this.#updatePause();
        return;
      case PacketType.Unsubscribe:
        this.#subscribes?.unsubscribe(readUnsubscribe(fields, this.version));
        return;
      case PacketType.Pingreq:
        fields.finish();
        this.send(PINGRESP, 0);
        return;
      case PacketType.Disconnect:
        this.#disconnect(session);
        return;
      case PacketType.Auth:
        this.#handshake.auth(fields);
        return;
      default:
        // A second CONNECT [MQTT-3.1.0-2] or a packet only servers send.
        throw protocolError(`packet of type ${header >> 4} is not allowed now`);
    }
  }

  // ---- connecting

  agree({ properties }: ConnectPacket): void {
    const { receiveMaximum, maximumPacketSize, topicAliasMaximum = 0, wantsReasons } = properties;
    this.receiveMaximum = receiveMaximum ?? this.receiveMaximum;
    this.clientPacketBytesMax = maximumPacketSize ?? this.clientPacketBytesMax;
    const aliasesMax = Math.min(topicAliasMaximum, this.#host.options.outboundTopicAliasMax);
    if (aliasesMax > 0) this.aliases = new OutboundAliases(aliasesMax);
    this.#wantsReasons = this.version === 5 && wantsReasons !== false; // [MQTT-3.1.2-29]
  }

  /** The broker accepts: sends CONNACK, then what the session has waiting. */
  connected(
    session: Session,
    isPresent: boolean,
    keepAliveSeconds: number,
    properties: ConnackProperties,
  ): void {
    const { options, acknowledgementPool: pool } = this.#host;
    this.#state = "connected";
    this.#session = session;
    this.#endsWithConnection = session.expirySeconds === 0;
    this.#reader.packetBytesMax = options.packetBytesMax;
    this.#publishes = new InboundPublishes(this.version, session, options, this.#host, pool, this);
    this.#subscribes = new InboundSubscribes(session, options, this.#host.subscriptions, this);
    const silentUntil = this.#liveness.begin(keepAliveSeconds);
    if (silentUntil !== undefined) this.#host.wakeAt(this, silentUntil);
    this.send(connackFrame(this.version, ReasonCode.Success, isPresent, properties), 0);
    session.resume(this);
  }

  /** The broker refuses for good: CONNACK with `reasonCode` (5.0) or `returnCode` (3.x), then the end. */
  rejectConnect(reasonCode: number, returnCode: number, cause: string): void {
    this.#host.faulted(this, reasonCode, cause);
    const code = this.version === 5 ? reasonCode : returnCode;
    this.#sendExplained((reason) => connackFrame(this.version, code, false, { reason }), cause);
    this.close();
  }

  // ---- connected

  #disconnect(session: Session): void {
    const { reasonCode, sessionExpirySeconds } = readDisconnect(this.#fields, this.version);
    if (sessionExpirySeconds !== undefined) {
      if (this.#endsWithConnection && sessionExpirySeconds > 0) {
        throw protocolError("DISCONNECT sets a session expiry that CONNECT had as 0");
      }
      session.expirySeconds = Math.min(sessionExpirySeconds, this.#host.options.sessionExpiryMaxSeconds);
    }
    // [MQTT-3.14.4-3]: only a normal disconnection takes the will back.
    this.#leave(reasonCode === ReasonCode.Success ? "discard" : "publish");
    this.close();
  }

  sendSuback(packetId: number, codes: readonly number[], cause: string | undefined): void {
    this.#sendExplained((reason) => subackFrame(this.version, packetId, codes, reason), cause);
    this.#updatePause();
  }

  sendUnsuback(packetId: number, codes: readonly number[]): void {
    this.send(unsubackFrame(this.version, packetId, codes), 0);
  }

  sendAcknowledgement(type: 4 | 5 | 7, packetId: number, reasonCode: number, cause?: string): void {
    const { version } = this;
    if (cause === undefined) this.send(acknowledgementFrame(type, reasonCode, version), packetId);
    else this.#sendExplained((why) => acknowledgementFrame(type, reasonCode, version, why), cause, packetId);
    this.#updatePause();
  }

  /** A 3.x client cannot be told why; without an acknowledgement it would wait for ever, so its connection ends. */
  refuse(reasonCode: number): void {
    this.#fault(reasonCode, "publish refused");
  }

  /** Reading stops while too much of this client waits for the mesh, or too much of what it was sent waits for the client. */
  #updatePause(): void {
    if (this.#state !== "connected") return;
    const isBusy = this.#subscribes?.isFull === true || this.#publishes?.isFull === true;
    this.#liveness.update(isBusy, this.#isBlocked && !this.hasRoom);
  }

  // ---- output

  get hasRoom(): boolean {
    const waiting = this.stream.bufferedBytes + this.#outbound.bytes;
    return this.#state === "connected" && waiting < this.#host.options.outboundBytesMax;
  }

  send(frame: Frame, packetId: number): void {
    // [MQTT-3.1.2-24] holds for every packet. Only a SUBACK of very many codes can get here; PUBLISH is checked before.
    const bytes = frameBytes(frame);
    if (bytes > this.clientPacketBytesMax) return;
    this.#outbound.push(frame, packetId);
    this.#host.counters.packetsSent++;
    this.#host.counters.bytesSent += bytes;
    this.wake();
  }

  wake(): void {
    if (this.#isDirty) return;
    this.#isDirty = true;
    this.#host.markDirty(this);
  }

  /** Sends a frame with a Reason String, or without where the client does not want one or could not take the packet then. */
  #sendExplained(make: (reason?: string) => Frame, cause: string | undefined, packetId = 0): void {
    const frame = make(this.#wantsReasons ? cause : undefined);
    // [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.9.2-1] [MQTT-3.14.2-3]
    this.send(frameBytes(frame) > this.clientPacketBytesMax ? make() : frame, packetId);
  }

  /** Writes what this turn has gathered; goes on with what waits, unless the stream asks to wait for `drained`. */
  flush(): void {
    this.#isDirty = false;
    if (this.#state === "closed") return;
    this.#isBlocked = !this.#outbound.flush(this.stream);
    if (this.#isBlocked) this.#updatePause();
    else if (this.#session?.hasBacklog === true) this.#session.pump();
  }

  // ---- ending

  takenOver(by: string): void {
    this.#host.takenOver(this, by);
    this.disconnect(ReasonCode.SessionTakenOver, "publish");
  }

  /** Ends the connection from our side; a 5.0 client hears why. */
  disconnect(reasonCode: number, fate: WillFate, serverReference?: string): void {
    this.#announce(reasonCode, undefined, serverReference);
    this.#leave(fate);
    this.close();
  }

  /** As `disconnect`, but at once with a TCP reset, so that the client notices even if the address is about to go. */
  reset(reasonCode: number, fate: WillFate, serverReference?: string): void {
    this.#announce(reasonCode, undefined, serverReference);
    this.#outbound.flush(this.stream);
    this.#leave(fate);
    this.#state = "closing";
    this.#reader.stop();
    this.stream.reset();
  }

  /** Its time may have come. Returns when to ask again, ms; undefined: never. */
  deadline(now: MonotonicMs): number | undefined {
    if (this.#state === "closed") return undefined;
    if (this.#state !== "connected") {
      if (now < this.#stateEndsAt) return this.#stateEndsAt;
      if (this.#state === "connecting")
        this.#host.faulted(this, ReasonCode.KeepAliveTimeout, "no CONNECT in time");
      this.reset(ReasonCode.KeepAliveTimeout, "publish");
      return undefined;
    }
    const silentUntil = this.#liveness.silentUntil(now);
    if (silentUntil === undefined || now < silentUntil) return silentUntil;
    this.#host.counters.keepAliveTimeouts++;
    this.disconnect(ReasonCode.KeepAliveTimeout, "publish");
    return this.#stateEndsAt;
  }

  /** The client broke the protocol or a limit [MQTT-4.13.1-1]. */
  #fault(reasonCode: number, cause: string): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#host.faulted(this, reasonCode, cause);
    if (this.#state === "connecting" && this.#handshake.isVersionKnown && this.version === 5) {
      this.#sendExplained((reason) => connackFrame(5, reasonCode, false, { reason }), cause);
    } else {
      this.#announce(reasonCode, cause);
    }
    this.#leave("publish");
    this.close();
  }

  /** DISCONNECT, which exists in 5.0 and only after CONNACK [MQTT-3.14.0-1]. */
  #announce(reasonCode: number, cause: string | undefined, serverReference?: string): void {
    if (this.#state !== "connected" || this.version !== 5) return;
    this.#sendExplained((reason) => disconnectFrame(reasonCode, reason, serverReference), cause);
  }

  /** Gives the session back. Harmless when it has none (any more). */
  #leave(fate: WillFate): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    this.#publishes?.abandon();
    this.#publishes = undefined;
    this.#subscribes?.abandon();
    this.#subscribes = undefined;
    this.#host.detach(session, fate);
  }

  /** Everything gathered goes out, then the stream ends; a client that keeps it open is reset. */
  close(): void {
    this.#state = "closing";
    this.#reader.stop();
    this.#outbound.flush(this.stream);
    this.#stateEndsAt = this.#host.clock.monotonicMs() + this.#host.options.closeTimeoutMs;
    this.#host.wakeAt(this, this.#stateEndsAt);
    this.stream.end();
  }
}
