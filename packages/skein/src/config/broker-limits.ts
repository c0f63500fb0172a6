/** The broker's limits as the operator set them, under the broker's own names. docs/reference/limits.md says what each one does. */

import type { BrokerOptions } from "@skein/broker";
import type { ParsedSettings } from "./schema.ts";

/** Where the limits come from that have a setting. */
const LIMITS = {
  connectionsMax: "max-clients",
  connectsPerSecondMax: "max-connects-per-second",
  packetBytesMax: "max-packet",
  queuedMessagesMax: "max-queue",
  queuedBytesMax: "max-queue-bytes",
  queuedTotalBytesMax: "max-queue-total",
  sessionExpiryMaxSeconds: "max-session-expiry",
  responseTopicPrefix: "response-topics",
} as const satisfies Partial<Record<keyof BrokerOptions, keyof ParsedSettings>>;

/** Only what was set. */
export function brokerLimits(settings: ParsedSettings): Partial<BrokerOptions> {
  const set = Object.entries(LIMITS).flatMap(([option, setting]) => {
    const value = settings[setting];
    return value === undefined ? [] : [[option, value]];
  });
  return Object.fromEntries(set) as Partial<BrokerOptions>;
}
