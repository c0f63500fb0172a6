/**
 * Enhanced authentication of one connection: CONNECT, as many AUTH in turn as the method needs, then CONNACK; and the same
 * again, without CONNECT, whenever the client wishes.
 *
 * What the methods say to each other is the business of the `Authenticator` port; the order of the packets is ours. Until a
 * repeated authentication is over the first one counts. Source: MQTT 5 sections 3.15 and 4.12.
 */

import type { ConnectPacket } from "../codec/connect-packet.ts";
import type { AuthPacket } from "../codec/control-packets.ts";
import { PacketError, protocolError } from "../codec/packet-error.ts";
import { ReasonCode } from "../codec/reason-codes.ts";
import type { AuthenticationExchange, Authenticator } from "../ports.ts";

/** What a client has proved. */
export interface Proof {
  readonly method: string;
  /** Who it is. */
  readonly identity: string;
  /** What CONNACK tells it. */
  readonly data: Uint8Array | undefined;
}

/** The way to the client. */
export interface AuthenticationAnswers {
  sendAuth(reasonCode: number, method: string, data: Uint8Array | undefined): void;
  /** The client of `packet` may come in, as far as this goes. */
  authenticated(packet: ConnectPacket, proof: Proof): void;
}

const EMPTY = new Uint8Array(0);

export class Authentication {
  readonly method: string;
  readonly #authenticator: Authenticator;
  readonly #answers: AuthenticationAnswers;
  /** Undefined: nothing is under way. */
  #exchange: AuthenticationExchange | undefined;
  /** The CONNECT that waits; undefined once it was answered. */
  #connect: ConnectPacket | undefined;
  #identity: string | undefined;

  constructor(method: string, authenticator: Authenticator, answers: AuthenticationAnswers) {
    this.method = method;
    this.#authenticator = authenticator;
    this.#answers = answers;
  }

  /** CONNECT has come. @throws {PacketError} */
  begin(packet: ConnectPacket): void {
    this.#connect = packet;
    this.#open();
    this.#proceed(packet.properties.authenticationData);
  }

  /** AUTH has come. @throws {PacketError} */
  received({ reasonCode, method, data }: AuthPacket): void {
    if (method !== this.method) {
      // [MQTT-4.12.0-5] [MQTT-4.12.1-1]; a DISCONNECT does not have 0x8C (section 3.14.2.1).
      throw this.#connect === undefined
        ? protocolError("another method than in CONNECT")
        : wrongMethod(method);
    }
    if (reasonCode === ReasonCode.ReAuthenticate) {
      if (this.#exchange !== undefined) throw protocolError("re-authentication while one is under way");
      this.#open();
    } else if (reasonCode !== ReasonCode.ContinueAuthentication) {
      throw protocolError("reason code of AUTH is wrong"); // [MQTT-3.15.2-1]
    }
    this.#proceed(data);
  }

  #open(): void {
    this.#exchange = this.#authenticator.begin(this.method);
    if (this.#exchange === undefined) throw wrongMethod(this.method); // [MQTT-4.12.0-1]
  }

  #proceed(data: Uint8Array | undefined): void {
    if (this.#exchange === undefined) throw protocolError("AUTH while no authentication is under way");
    const step = this.#exchange.step(data ?? EMPTY);
    if (step.kind === "continue") {
      this.#answers.sendAuth(ReasonCode.ContinueAuthentication, this.method, step.data); // [MQTT-4.12.0-2]
      return;
    }
    this.#exchange = undefined;
    const connect = this.#connect;
    this.#connect = undefined;
    // [MQTT-4.12.0-4] [MQTT-4.12.1-2]; a DISCONNECT does not have the code for a wrong password.
    if (step.kind === "refused") {
      throw new PacketError(connect === undefined ? ReasonCode.NotAuthorized : step.reasonCode, step.reason);
    }
    if (connect !== undefined) {
      this.#identity = step.identity;
      this.#answers.authenticated(connect, { method: this.method, identity: step.identity, data: step.data });
    } else if (step.identity === this.#identity) {
      this.#answers.sendAuth(ReasonCode.Success, this.method, step.data);
    } else throw new PacketError(ReasonCode.NotAuthorized, "authenticated again as somebody else");
  }
}

/** For a method that is not known, or another one than before. */
export function wrongMethod(method: string): PacketError {
  return new PacketError(
    ReasonCode.BadAuthenticationMethod,
    `authentication method ${method} does not work here`,
  );
}
