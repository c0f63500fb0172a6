/**
 * What a client says until it has its CONNACK: CONNECT, and AUTH where it asked for an authentication. Later only AUTH, when it
 * authenticates again.
 *
 * The first packet must be CONNECT. The version is read before everything else, so that whatever is wrong after it is
 * answered in that version. Who may come in is decided elsewhere (connecting.ts).
 *
 * Source: MQTT 5 sections 3.1, 3.1.4 and 4.12.
 */

import type { WillFate } from "@skein/kernel";
import {
  type ConnectPacket,
  type ProtocolVersion,
  readConnect,
  readProtocolVersion,
} from "../codec/connect-packet.ts";
import { checkHeaderFlags, PacketType, readAuth } from "../codec/control-packets.ts";
import type { FieldReader } from "../codec/field-reader.ts";
import { protocolError } from "../codec/packet-error.ts";
import { authFrame, type Frame } from "../codec/packet-writer.ts";
import { ConnectReturnCode, ReasonCode } from "../codec/reason-codes.ts";
import { Authentication, type AuthenticationAnswers, type Proof, wrongMethod } from "./authentication.ts";
import type { ChannelHost } from "./channel-host.ts";

export const CONNECT_HEADER = PacketType.Connect << 4;
const DISCONNECT_HEADER = PacketType.Disconnect << 4;
const AUTH_HEADER = PacketType.Auth << 4;

/** The connection, as far as this needs it. */
export interface HandshakeConnection {
  version: ProtocolVersion;
  /** What the client of `packet` can take. */
  agree(packet: ConnectPacket): void;
  rejectConnect(reasonCode: number, returnCode: number, cause: string): void;
  send(frame: Frame, packetId: number): void;
  /** The client goes by itself. */
  close(): void;
  /** It cannot be served now. */
  reset(reasonCode: number, fate: WillFate): void;
}

export class Handshake<Connection extends HandshakeConnection> implements AuthenticationAnswers {
  readonly #connection: Connection;
  readonly #host: ChannelHost<Connection>;
  #isVersionKnown = false;
  #authentication: Authentication | undefined;

  constructor(connection: Connection, host: ChannelHost<Connection>) {
    this.#connection = connection;
    this.#host = host;
  }

  /** The client's version is one that this broker speaks. */
  get isVersionKnown(): boolean {
    return this.#isVersionKnown;
  }

  /** CONNECT has named a method, so AUTH may come again. */
  get isRepeatable(): boolean {
    return this.#authentication !== undefined;
  }

  /** A packet before CONNACK. @throws {PacketError} */
  packet(header: number, fields: FieldReader): void {
    if (this.#authentication === undefined) {
      this.#first(header, fields);
      return;
    }
    checkHeaderFlags(header, this.#connection.version);
    if (header === AUTH_HEADER) this.auth(fields);
    else if (header === DISCONNECT_HEADER) this.#connection.close();
    else throw protocolError("only AUTH may come before CONNACK"); // [MQTT-3.1.2-30]
  }

  /** AUTH, before CONNACK or, where this {@link isRepeatable}, after it. @throws {PacketError} */
  auth(fields: FieldReader): void {
    this.#authentication?.received(readAuth(fields));
  }

  sendAuth(reasonCode: number, method: string, data: Uint8Array | undefined): void {
    this.#connection.send(authFrame(reasonCode, method, data), 0);
  }

  authenticated(packet: ConnectPacket, proof: Proof): void {
    this.#host.connect(this.#connection, packet, proof);
  }

  /** The first packet must be CONNECT [MQTT-3.1.0-1]. */
  #first(header: number, fields: FieldReader): void {
    if (header !== CONNECT_HEADER) throw protocolError("first packet is not CONNECT");
    const version = readProtocolVersion(fields);
    if (typeof version !== "number") {
      this.#rejectVersion(version.unsupported);
      return;
    }
    this.#connection.version = version;
    this.#isVersionKnown = true;
    const packet = readConnect(fields, version);
    this.#connection.agree(packet);
    const { authenticationMethod } = packet.properties;
    if (authenticationMethod === undefined) this.#host.connect(this.#connection, packet, undefined);
    else this.#authenticate(authenticationMethod, packet);
  }

  #authenticate(method: string, packet: ConnectPacket): void {
    const { authenticator } = this.#host;
    if (authenticator === undefined) throw wrongMethod(method);
    if (!this.#host.mayAuthenticate(this.#connection)) {
      this.#connection.reset(ReasonCode.QuotaExceeded, "discard");
      return;
    }
    this.#authentication = new Authentication(method, authenticator, this);
    this.#authentication.begin(packet);
  }

  #rejectVersion(unsupported: number): void {
    // Newer than 5 may understand a 5.0 CONNACK; all others know return code 1 (bridges then try a plain 3.1.1).
    this.#connection.version = unsupported > 5 && unsupported < 0x80 ? 5 : 4;
    const { UnsupportedProtocolVersion } = ReasonCode;
    const { UnacceptableProtocolVersion } = ConnectReturnCode;
    const cause = `protocol version ${unsupported}`;
    this.#connection.rejectConnect(UnsupportedProtocolVersion, UnacceptableProtocolVersion, cause);
  }
}
