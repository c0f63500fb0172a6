/**
 * How a client leaves its connection, and at which moment: what a takeover in the middle of a handshake is made of.
 *
 * A packet that is not seen arrives and is lost with its reader; one that is seen, or that was written, has had its effect here, and
 * perhaps there. Between them the moments stand for every step of every handshake.
 */

import type { ServerPacket } from "./server-packets.ts";

/** `leave`: with DISCONNECT. `end`: behind what was written. `reset`: what is on the way is lost. `abandon`: the node is not told. */
export type Leaving = "leave" | "end" | "reset" | "abandon";

type WrittenPacket =
  | "connect"
  | "subscribe"
  | "unsubscribe"
  | "publish"
  | "puback"
  | "pubrec"
  | "pubrel"
  | "pubcomp";

/** A packet passes the client. */
export type Moment = `${ServerPacket["kind"]} in` | `${WrittenPacket} out`;

/** Leaves at a moment, and comes back at once: where to is the client's own business. */
export interface Flight {
  readonly moment: Moment;
  /** Of a packet that comes in: whether the client takes notice of it. */
  readonly isSeen: boolean;
  /** So long after it. */
  readonly delayMs: number;
  readonly leaving: Leaving;
}
