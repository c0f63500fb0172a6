/**
 * One connection's protocol machine, without its socket.
 *
 * It begins `connecting`: nothing but one small CONNECT is accepted, and not for long. Until its session is here it is `claiming`, and
 * what the client says meanwhile stays unread. When the broker has given it a session it is `connected`, and each packet goes
 * to the part that knows about it (connected-client.ts). What a client does wrong ends here:
 * a reason code in CONNACK or DISCONNECT where the version has one, then the end of the stream (`closing`); a client that
 * does not go is reset. Output is gathered and leaves in one write at the end of the turn, or before it where it has become much.
 *
 * Source: MQTT 5 sections 3.1.4, 3.14, 4.8, 4.13.
 */

import type { MonotonicMs, Stream, StreamHandler, WillFate } from "@skein/kernel";
import type { ConnectPacket, ProtocolVersion } from "../codec/connect-packet.ts";
import type { DisconnectPacket } from "../codec/control-packets.ts";
import type { FieldReader } from "../codec/field-reader.ts";
import { PacketError, protocolError } from "../codec/packet-error.ts";
import { type PacketHandler, PacketReader } from "../codec/packet-reader.ts";
import {
  acknowledgementFrame,
  connackFrame,
  disconnectFrame,
  type Frame,
  frameBytes,
  subackFrame,
  unsubackFrame,
} from "../codec/packet-writer.ts";
import { ReasonCode } from "../codec/reason-codes.ts";
import type { ListenerOptions } from "../options.ts";
import { OutboundAliases } from "../outbound/outbound-aliases.ts";
import { OutboundQueue } from "../outbound/outbound-queue.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import type { AwaitedSession, Entrant } from "../sessions/session-keeper.ts";
import type { ChannelHost } from "./channel-host.ts";
import { type ClientConnection, ConnectedClient } from "./connected-client.ts";
import type { Admission } from "./connecting.ts";
import { CONNECT_HEADER, Handshake, type HandshakeConnection } from "./handshake.ts";
import { Liveness } from "./liveness.ts";

/**
 * Output of this size is written at once. A larger write saves nothing, and a turn that takes in 100 bursts of large messages first would
 * hold all of them, long out of the processor's cache when they leave.
 */
const FULL_WRITE_BYTES = 65_536;
/** A WebSocket message may hold several packets, as many bytes as that many of the largest. */
const LARGEST_PACKETS_AT_ONCE = 2;
/** No packet is larger: section 2.1.4. What a client takes that sets no maximum. */
const PACKET_BYTES_LARGEST = 268_435_460;

type ChannelState = "connecting" | "claiming" | "connected" | "closing" | "closed";

export class Channel implements StreamHandler, PacketHandler, HandshakeConnection, Entrant, ClientConnection {
  readonly stream: Stream;
  readonly listener: ListenerOptions;
  version: ProtocolVersion = 4;
  receiveMaximum = 0xffff;
  clientPacketBytesMax = PACKET_BYTES_LARGEST;
  aliases: OutboundAliases | undefined;
  readonly #host: ChannelHost<Channel>;
  readonly #reader: PacketReader;
  readonly #outbound: OutboundQueue;
  #state: ChannelState = "connecting";
  /** In `claiming`. */
  #awaited: AwaitedSession | undefined;
  /** In `connected`. */
  #client: ConnectedClient<Channel> | undefined;
  /** Undefined after CONNACK, unless the client may authenticate again. */
  #handshake: Handshake<Channel> | undefined;
  #isDirty = false;
  /** The stream asked to wait until it has `drained`. */
  #isBlocked = false;
  /** Reason Strings: not before the client has said what it can take, nor if it does not want any. */
  #wantsReasons = false;
  #hasBegun = false;
  /** Session Expiry Interval of CONNECT was 0, so DISCONNECT must not set another one. */
  #endsWithConnection = true;
  readonly #liveness: Liveness;
  /** In all states but `connected`: when patience ends, ms. */
  #stateEndsAt = 0;

  constructor(stream: Stream, listener: ListenerOptions, host: ChannelHost<Channel>) {
    this.stream = stream;
    this.listener = listener;
    this.#host = host;
    this.#outbound = new OutboundQueue(host.batches);
    this.#reader = new PacketReader(this, host.options.connectBytesMax);
    stream.gatherAtMost?.(LARGEST_PACKETS_AT_ONCE * host.options.connectBytesMax);
    this.#handshake = new Handshake(this, host);
    this.#liveness = new Liveness(stream, host.clock);
    this.#endStateAfter(host.options.connectTimeoutMs);
  }

  get clientId(): string | undefined {
    return (this.#client?.session ?? this.#awaited)?.clientId;
  }

  get isConnected(): boolean {
    return this.#state === "connected";
  }

  get remoteAddress(): string {
    return this.stream.remoteAddress;
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
    this.#client?.session.pump();
    this.updatePause();
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
    const { fields, counters } = this.#host;
    fields.reset(bytes, at, end);
    counters.packetsReceived++;
    try {
      if (this.#state === "connecting") this.#handshake?.packet(header, fields);
      else this.#client?.packet(header, fields);
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      this.#fault(error.reasonCode, error.message);
    }
  }

  unreadable(reasonCode: number): void {
    const isTooLarge = reasonCode === ReasonCode.PacketTooLarge;
    this.#fault(reasonCode, isTooLarge ? "packet too large" : "remaining length is malformed");
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

  awaitSession(awaited: AwaitedSession): void {
    this.#awaited = awaited;
    this.#state = "claiming";
    this.#reader.pause();
    this.#liveness.update(true, false);
    this.#endStateAfter(this.#host.options.claimTimeoutMs);
  }

  /** Sends CONNACK, then what the session has waiting; then the client is heard. */
  connected(session: ClientSession, isPresent: boolean, admission: Admission): void {
    const { keepAliveSeconds, properties } = admission;
    this.#awaited = undefined;
    this.#state = "connected";
    this.#client = new ConnectedClient(this, session, this.#host);
    if (this.#handshake?.isRepeatable !== true) this.#handshake = undefined;
    this.#endsWithConnection = session.expirySeconds === 0;
    this.#reader.packetBytesMax = this.#host.options.packetBytesMax;
    this.stream.gatherAtMost?.(LARGEST_PACKETS_AT_ONCE * this.#host.options.packetBytesMax);
    this.updatePause();
    const silentUntil = this.#liveness.begin(keepAliveSeconds);
    if (silentUntil !== undefined) this.#host.wakeAt(this, silentUntil);
    this.send(connackFrame(this.version, ReasonCode.Success, isPresent, properties), 0);
    this.#host.connected(this, admission);
    session.resume(this);
    this.#reader.resume();
  }

  /** The broker refuses for good: CONNACK with `reasonCode` (5.0) or `returnCode` (3.x), then the end. */
  rejectConnect(reasonCode: number, returnCode: number, cause: string): void {
    this.#host.faulted(this, reasonCode, cause);
    const code = this.version === 5 ? reasonCode : returnCode;
    this.#sendExplained((reason) => connackFrame(this.version, code, false, { reason }), cause);
    this.close();
  }

  // ---- connected

  authReceived(fields: FieldReader): void {
    if (this.#handshake === undefined) throw protocolError("AUTH without a method in CONNECT"); // [MQTT-4.12.0-7]
    this.#handshake.auth(fields);
  }

  disconnectReceived({ reasonCode, sessionExpirySeconds }: DisconnectPacket): void {
    const session = this.#client?.session;
    if (session !== undefined && sessionExpirySeconds !== undefined) {
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
    this.updatePause();
  }

  sendUnsuback(packetId: number, codes: readonly number[]): void {
    this.send(unsubackFrame(this.version, packetId, codes), 0);
    this.updatePause();
  }

  sendAcknowledgement(type: 4 | 5 | 7, packetId: number, reasonCode: number, cause?: string): void {
    const { version } = this;
    if (cause === undefined) this.send(acknowledgementFrame(type, reasonCode, version), packetId);
    else this.#sendExplained((why) => acknowledgementFrame(type, reasonCode, version, why), cause, packetId);
    this.updatePause();
  }

  /** It cannot be told why; without an acknowledgement the client would wait for ever, so its connection ends. */
  refuse(reasonCode: number): void {
    this.#fault(reasonCode, "the mesh refuses what was asked");
  }

  /** Reading stops while too much of this client waits for the mesh, or too much of what it was sent waits for the client. */
  updatePause(): void {
    if (this.#client !== undefined)
      this.#liveness.update(this.#client.isFull, this.#isBlocked && !this.hasRoom);
  }

  // ---- output

  get hasRoom(): boolean {
    return this.#state === "connected" && this.waitingBytes < this.#host.options.outboundBytesMax;
  }

  /** What has been sent to it and the operating system has not taken yet. */
  get waitingBytes(): number {
    return this.stream.bufferedBytes + this.#outbound.bytes;
  }

  send(frame: Frame, packetId: number): void {
    // [MQTT-3.1.2-24] holds for every packet. Only a SUBACK of very many codes can get here; PUBLISH is checked before.
    const bytes = frameBytes(frame);
    if (bytes > this.clientPacketBytesMax) return;
    this.#outbound.push(frame, packetId);
    this.#host.counters.packetsSent++;
    this.#host.counters.bytesSent += bytes;
    if (this.#outbound.bytes >= FULL_WRITE_BYTES) this.#write();
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
    this.#write();
    if (this.#isBlocked) this.updatePause();
    else if (this.#client?.session.hasBacklog === true) this.#client.session.pump();
  }

  /** Writes what is gathered. The stream may ask to wait for `drained`. */
  #write(): void {
    if (!this.#outbound.flush(this.stream)) this.#isBlocked = true;
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
    if (this.#state === "connecting" && this.#handshake?.isVersionKnown === true && this.version === 5) {
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
    const awaited = this.#awaited;
    const client = this.#client;
    this.#awaited = undefined;
    this.#client = undefined;
    awaited?.withdraw(fate);
    if (client === undefined) return;
    client.abandon();
    this.#host.detach(client.session, fate);
  }

  #endStateAfter(ms: number): void {
    this.#stateEndsAt = this.#host.clock.monotonicMs() + ms;
    this.#host.wakeAt(this, this.#stateEndsAt);
  }

  /** Everything gathered goes out, then the stream ends; a client that keeps it open is reset. */
  close(): void {
    this.#state = "closing";
    this.#reader.stop();
    this.#outbound.flush(this.stream);
    this.#endStateAfter(this.#host.options.closeTimeoutMs);
    this.stream.end();
  }
}
