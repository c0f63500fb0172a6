/**
 * How long a retained message lives: its Message Expiry Interval, counted from when it was written.
 *
 * By the clock of the cluster (hybrid-clock.ts), which is the same for a message wherever it is read, and which no wall clock
 * holds back. One that jumps ahead (a board without a battery that learns what year it is) makes messages expire that were
 * written before the jump.
 *
 * Source: MQTT 5 section 3.3.2.3.3.
 */

import type { ApplicationMessage } from "@skein/kernel";
import { STAMPS_PER_MS, type Stamp } from "../hybrid-clock.ts";

const STAMPS_PER_SECOND = 1000 * STAMPS_PER_MS;

/** A message with when it was written; 0: that is not known, and it does not expire. */
export interface Stamped {
  readonly message: ApplicationMessage;
  readonly stamp: Stamp;
}

/** When it expires; undefined: never. */
export function expiryOf({ message, stamp }: Stamped): Stamp | undefined {
  const seconds = message.properties?.messageExpirySeconds;
  return seconds === undefined || stamp === 0 ? undefined : stamp + seconds * STAMPS_PER_SECOND;
}

/** The message as it is to be delivered at `now`, with what is left of its lifetime; undefined: it has expired. */
export function unexpired(item: Stamped, now: Stamp): ApplicationMessage | undefined {
  const { message, stamp } = item;
  const expiry = expiryOf(item);
  if (expiry === undefined) return message;
  if (now >= expiry) return undefined;
  const waitedSeconds = Math.max(0, Math.floor((now - stamp) / STAMPS_PER_SECOND));
  const messageExpirySeconds = (message.properties?.messageExpirySeconds ?? 0) - waitedSeconds;
  return { ...message, properties: { ...message.properties, messageExpirySeconds } };
}
