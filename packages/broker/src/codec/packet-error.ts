/** What a client's packet did wrong. Thrown by decoders, caught by the channel that fed them, never leaves the package. */

import { ReasonCode } from "./reason-codes.ts";

export class PacketError extends Error {
  override readonly name = "PacketError";
  /** MQTT 5 Reason Code the client should hear, 0x80-0xFF. */
  readonly reasonCode: number;

  constructor(reasonCode: number, message: string) {
    super(message);
    this.reasonCode = reasonCode;
  }
}

/** A packet that cannot be parsed: Malformed Packet (MQTT 5 section 1.2). */
export function malformed(message: string): PacketError {
  return new PacketError(ReasonCode.MalformedPacket, message);
}

/** A packet that parses, but that the client must not send: Protocol Error (MQTT 5 section 1.2). */
export function protocolError(message: string): PacketError {
  return new PacketError(ReasonCode.ProtocolError, message);
}
