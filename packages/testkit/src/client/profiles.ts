/**
 * How the clients that people really have behave: what the mesh must live with.
 *
 * Each profile is one row of the table of measured and read client behaviour: version, session, keep-alive, when silence
 * is noticed, how long they wait before they connect again.
 *
 * Source: reference/users.md, section 2.1.
 */

import type { ProtocolVersion } from "@skein/broker/codec";

export interface ClientProfile {
  readonly name: string;
  readonly version: ProtocolVersion;
  /** Clean Start or Clean Session. */
  readonly isClean: boolean;
  /** Session Expiry Interval (5.0 only). */
  readonly sessionExpirySeconds: number;
  readonly keepAliveSeconds: number;
  /** From PINGREQ without an answer until it gives the connection up, ms. */
  readonly pingTimeoutMs: number;
  /** From dialling until CONNACK, ms. */
  readonly connectTimeoutMs: number;
  /** How long to wait before attempt `attempt` (1: the first after a connection or the start), ms. */
  readonly backoffMs: (attempt: number) => number;
}

/** What a CONNECT says of the session and of the connection. */
export type ConnectAsked = Pick<
  ClientProfile,
  "version" | "isClean" | "sessionExpirySeconds" | "keepAliveSeconds"
>;

/** What a client of `profile` asks for; `isAnew`: it wants no session that there may be. */
export function connectAsked(profile: ClientProfile, isAnew: boolean): ConnectAsked {
  const { version, isClean, sessionExpirySeconds, keepAliveSeconds } = profile;
  return { version, isClean: isClean || isAnew, sessionExpirySeconds, keepAliveSeconds };
}

/** Seconds that the session lives without a connection; infinite for 3.1.1 without Clean Session (MQTT 5 section 3.1.2.11.2). */
export function livesFor({ version, isClean, sessionExpirySeconds }: ConnectAsked): number {
  if (version === 5) return sessionExpirySeconds;
  return isClean ? 0 : Number.POSITIVE_INFINITY;
}

const SECOND = 1000;
const V4 = { version: 4, isClean: true, sessionExpirySeconds: 0 } as const;

export const TASMOTA: ClientProfile = {
  ...V4,
  name: "tasmota",
  keepAliveSeconds: 30,
  pingTimeoutMs: 30 * SECOND,
  connectTimeoutMs: 4 * SECOND,
  backoffMs: (attempt) => Math.min(120, 10 * attempt) * SECOND,
};

export const ESPHOME: ClientProfile = {
  ...V4,
  name: "esphome",
  isClean: false,
  keepAliveSeconds: 15,
  pingTimeoutMs: 15 * SECOND,
  connectTimeoutMs: 60 * SECOND,
  backoffMs: () => 5 * SECOND,
};

export const MQTT_JS: ClientProfile = {
  ...V4,
  name: "mqtt.js",
  keepAliveSeconds: 60,
  pingTimeoutMs: 30 * SECOND,
  connectTimeoutMs: 30 * SECOND,
  backoffMs: () => SECOND,
};

export const PAHO: ClientProfile = {
  ...V4,
  name: "paho",
  keepAliveSeconds: 60,
  pingTimeoutMs: 60 * SECOND,
  connectTimeoutMs: 5 * SECOND,
  backoffMs: (attempt) => Math.min(120, 2 ** Math.min(7, attempt - 1)) * SECOND,
};

export const HOME_ASSISTANT: ClientProfile = {
  name: "home assistant",
  version: 5,
  isClean: true,
  sessionExpirySeconds: 0,
  keepAliveSeconds: 60,
  pingTimeoutMs: 60 * SECOND,
  connectTimeoutMs: 5 * SECOND,
  backoffMs: (attempt) => (attempt === 1 ? 0 : 10 * SECOND),
};

/** A 5.0 client that keeps its session for an hour, and is quick to come back. */
export const PERSISTENT_V5: ClientProfile = {
  name: "persistent",
  version: 5,
  isClean: false,
  sessionExpirySeconds: 3600,
  keepAliveSeconds: 15,
  pingTimeoutMs: 10 * SECOND,
  connectTimeoutMs: 10 * SECOND,
  backoffMs: () => SECOND,
};

/** Goes from node to node with its session, and does not wait long anywhere. */
export const ROAMER: ClientProfile = {
  ...PERSISTENT_V5,
  name: "roamer",
  keepAliveSeconds: 10,
  pingTimeoutMs: 5 * SECOND,
  connectTimeoutMs: 4 * SECOND,
  backoffMs: () => 500,
};

/** The same with 3.1.1, which cannot say for how long. */
export const ROAMER_V4: ClientProfile = {
  ...ROAMER,
  name: "roamer 3.1.1",
  version: 4,
  sessionExpirySeconds: 0,
};

/** Its session is kept for seconds. */
export const FORGETFUL: ClientProfile = {
  ...ROAMER,
  name: "forgetful",
  sessionExpirySeconds: 5,
  keepAliveSeconds: 5,
};

/** Keeps nothing but a will. */
export const MORTAL: ClientProfile = { ...ROAMER, name: "mortal", isClean: true, sessionExpirySeconds: 0 };

export const PROFILES: readonly ClientProfile[] = [
  TASMOTA,
  ESPHOME,
  MQTT_JS,
  PAHO,
  HOME_ASSISTANT,
  PERSISTENT_V5,
  ROAMER,
  ROAMER_V4,
  FORGETFUL,
  MORTAL,
];
