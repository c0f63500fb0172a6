/** What a simulated client is made from, and what the application behind it may hear. */

import type { ClientTarget, PublishedWill } from "../observations.ts";
import type { PacketIdHabit } from "./packet-ids.ts";
import type { ClientProfile } from "./profiles.ts";

export interface SimClientOptions {
  readonly clientId: string;
  /** Where each attempt goes. */
  readonly target: ClientTarget | (() => ClientTarget);
  readonly profile: ClientProfile;
  /** Undefined: counts on. */
  readonly packetIds?: PacketIdHabit | undefined;
  /** The will of the connection with this number. */
  readonly will?: (connection: number) => PublishedWill;
}

/** A message as the application behind the client gets it. */
export interface ReceivedMessage {
  readonly topic: string;
  readonly payloadId: string;
  readonly retain: boolean;
}

/** What the application behind the client may want to hear. */
export interface SimClientEvents {
  connected?(): void;
  disconnected?(): void;
  message?(message: ReceivedMessage): void;
  subscribed?(filter: string): void;
  unsubscribed?(filter: string): void;
}
