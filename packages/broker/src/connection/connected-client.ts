/**
 * What a client says once it has its CONNACK: each packet goes to the part that knows about it.
 *
 * Source: MQTT 5 sections 3.3 to 3.15.
 */

import type { ProtocolVersion } from "../codec/connect-packet.ts";
import {
  checkHeaderFlags,
  type DisconnectPacket,
  PacketType,
  readAnswer,
  readDisconnect,
  readRelease,
  readSubscribe,
  readUnsubscribe,
} from "../codec/control-packets.ts";
import type { FieldReader } from "../codec/field-reader.ts";
import { protocolError } from "../codec/packet-error.ts";
import { PINGRESP } from "../codec/packet-writer.ts";
import { InboundPublishes, type PublishAnswers } from "../inbound/inbound-publishes.ts";
import { InboundSubscribes, type SubscribeAnswers } from "../inbound/inbound-subscribes.ts";
import type { ListenerOptions } from "../options.ts";
import type { ClientSession, Outlet } from "../sessions/client-session.ts";
import type { ChannelHost } from "./channel-host.ts";

/** The connection, as far as this needs it. */
export interface ClientConnection extends PublishAnswers, SubscribeAnswers, Outlet {
  readonly version: ProtocolVersion;
  readonly listener: ListenerOptions;
  /** A packet that asks the node for something has been handled: it may be too much now. */
  updatePause(): void;
  disconnectReceived(packet: DisconnectPacket): void;
  /** AUTH. @throws {PacketError} */
  authReceived(fields: FieldReader): void;
}

export class ConnectedClient<Connection extends ClientConnection> {
  readonly session: ClientSession;
  readonly #connection: Connection;
  readonly #host: ChannelHost<Connection>;
  /** Undefined until it publishes. */
  #publishes: InboundPublishes | undefined;
  /** Undefined until it subscribes. */
  #subscribes: InboundSubscribes | undefined;

  constructor(connection: Connection, session: ClientSession, host: ChannelHost<Connection>) {
    this.session = session;
    this.#connection = connection;
    this.#host = host;
  }

  /** Too much of this client waits for the mesh. */
  get isFull(): boolean {
    return this.#subscribes?.isFull === true || this.#publishes?.isFull === true;
  }

  /** @throws {PacketError} */
  packet(header: number, fields: FieldReader): void {
    const { session } = this;
    const connection = this.#connection;
    const { version } = connection;
    checkHeaderFlags(header, version);
    switch (header >> 4) {
      case PacketType.Publish:
        this.#publish(header, fields);
        return;
      case PacketType.Puback:
        session.puback(readAnswer(fields, version).packetId);
        return;
      case PacketType.Pubrec: {
        const { packetId, reasonCode } = readAnswer(fields, version);
        session.pubrec(packetId, reasonCode, connection);
        return;
      }
      case PacketType.Pubrel:
        this.#publisher.release(readRelease(fields, version).packetId);
        connection.updatePause();
        return;
      case PacketType.Pubcomp:
        session.pubcomp(readRelease(fields, version).packetId);
        return;
      case PacketType.Subscribe:
        this.#subscriber.subscribe(readSubscribe(fields, version));
        connection.updatePause();
        return;
      case PacketType.Unsubscribe:
        this.#subscriber.unsubscribe(readUnsubscribe(fields, version));
        connection.updatePause();
        return;
      case PacketType.Pingreq:
        fields.finish();
        connection.send(PINGRESP, 0);
        return;
      case PacketType.Disconnect:
        connection.disconnectReceived(readDisconnect(fields, version));
        return;
      case PacketType.Auth:
        connection.authReceived(fields);
        return;
      default:
        // A second CONNECT [MQTT-3.1.0-2] or a packet only servers send.
        throw protocolError(`packet of type ${header >> 4} is not allowed now`);
    }
  }

  /** The connection has ended: what still waits is not answered any more. */
  abandon(): void {
    this.#publishes?.abandon();
    this.#subscribes?.abandon();
  }

  get #publisher(): InboundPublishes {
    const { options, acknowledgementPool } = this.#host;
    const { version, listener } = this.#connection;
    this.#publishes ??= new InboundPublishes(
      version,
      this.session,
      listener.acknowledges === "local",
      options,
      this.#host,
      acknowledgementPool,
      this.#connection,
    );
    return this.#publishes;
  }

  get #subscriber(): InboundSubscribes {
    const { options, subscriptions } = this.#host;
    this.#subscribes ??= new InboundSubscribes(this.session, options, subscriptions, this.#connection);
    return this.#subscribes;
  }

  #publish(header: number, fields: FieldReader): void {
    const { publishPacket: packet, counters, topics } = this.#host;
    packet.read(header, fields, this.#connection.version, topics);
    counters.publishesReceived++;
    counters.publishBytesReceived += packet.end - packet.payloadAt;
    (this.#publishes ?? this.#publisher).accept(packet, fields.bytes);
    this.#connection.updatePause();
  }
}
