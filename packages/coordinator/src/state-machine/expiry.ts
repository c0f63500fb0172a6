/**
 * How long a retained message lives: its Message Expiry Interval, counted from when the log had it.
 *
 * By the time of the sessions (sessions/session-time.ts), which no clock that jumps moves: a leader that learns what year it is must
 * not make all messages expire on all nodes that were written before.
 *
 * Source: MQTT 5 section 3.3.2.3.3.
 */

import type { ApplicationMessage } from "@skein/kernel";
import { msOfStamp, type Stamp } from "../hybrid-clock.ts";

/** A message with when it expires (ms, of the same clock as the time it is read at); undefined: never. */
export interface Expiring {
  readonly message: ApplicationMessage;
  readonly expiresAt?: number | undefined;
}

/** When a message expires that was written at `at` (ms); undefined: never. */
export function expiryOf(message: ApplicationMessage, at: number): number | undefined {
  const seconds = message.properties?.messageExpirySeconds;
  return seconds === undefined ? undefined : Math.max(0, at) + seconds * 1000;
}

/**
 * The same (SessionTime) where it is only known at which stamp it was written, in a state whose time is `elapsed` and whose newest stamp
 * is `newest`: what older versions have written. Of those without a stamp (0) nobody knows how old they are: they never expire.
 */
export function expiryByStamp(
  message: ApplicationMessage,
  stamp: Stamp,
  newest: Stamp,
  elapsed: number,
): number | undefined {
  const ageMs = Math.max(0, msOfStamp(newest) - msOfStamp(stamp));
  return stamp === 0 ? undefined : expiryOf(message, elapsed - ageMs);
}

/** The message as it is to be delivered at `now` (ms), with what is left of its lifetime; undefined: it has expired. */
export function unexpired({ message, expiresAt }: Expiring, now: number): ApplicationMessage | undefined {
  if (expiresAt === undefined) return message;
  if (now >= expiresAt) return undefined;
  const leftSeconds = Math.ceil((expiresAt - now) / 1000);
  const messageExpirySeconds = Math.min(leftSeconds, message.properties?.messageExpirySeconds ?? leftSeconds);
  return { ...message, properties: { ...message.properties, messageExpirySeconds } };
}
