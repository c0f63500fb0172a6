/** What sessions need of the rest of the replicated state, and what they give back. */

import type { ApplicationMessage } from "@skein/kernel";
import type { Alone } from "../commands.ts";

/**
 * What became of a command. `passed`: it is carried out, but sessions that had no room for its message were passed by. `full`: it is not carried
 * out, or not whole, for want of room.
 */
export type SessionOutcome = "applied" | "passed" | "full" | "stale";

/** What a command published, for the live subscribers of every node. */
export interface Publication {
  readonly message: ApplicationMessage;
  /** The session that published it. */
  readonly publisher: string;
  /** Shared subscriptions that have got it from the log. */
  readonly dealt: readonly string[];
}

/** What the state machine does besides with a message that a command publishes. */
export interface PublishingPort {
  /** Log index of the command under way. */
  index(): number;
  /** Most bytes of all messages that are owed, as they are packed. Beyond, a message goes into no queue. */
  owedBytesMax(): number;
  /** Retained messages that `filter` matches. */
  retained(filter: string, visit: (message: ApplicationMessage) => void): void;
  /** What the command under way says, if it counted without a quorum. */
  alone(): Alone | undefined;
  /** What may come once more is remembered: every node of this cluster knows how. */
  remembersRepeated(): boolean;
  /** Puts it, which has RETAIN, into the retained store. False: no room. */
  retain(message: ApplicationMessage): boolean;
}
