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

/** Every step of the handshakes, and of those that begin with CONNECT and SUBSCRIBE. */
export const MOMENTS: readonly Moment[] = [
  "connect out",
  "connack in",
  "subscribe out",
  "suback in",
  "publish in",
  "puback out",
  "pubrec out",
  "pubrel in",
  "pubcomp out",
  "publish out",
  "puback in",
  "pubrec in",
  "pubrel out",
  "pubcomp in",
];

/** Those that the client writes itself. */
export const OUTWARD: ReadonlySet<Moment> = new Set(MOMENTS.filter((moment) => moment.endsWith(" out")));

/** Leaves at a moment, and comes back at once: where to is the client's own business. */
export interface Flight {
  readonly moment: Moment;
  /** Of a packet that comes in: whether the client takes notice of it. */
  readonly isSeen: boolean;
  /** So long after it. */
  readonly delayMs: number;
  readonly leaving: Leaving;
}
