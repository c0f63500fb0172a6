/**
 * What this node's clients have written to the retained store and the log does not have yet: without a quorum a read on this node
 * shows it instead of what the replica holds (P3). Its lifetime counts by the clock that has stamped it.
 */

import { filterMatches } from "@skein/kernel";
import { msOfStamp } from "../hybrid-clock.ts";
import { type Command, retainedOf, topicOf } from "../state-machine/commands.ts";
import { type Expiring, expiryOf } from "../state-machine/expiry.ts";

type Write = Pick<Command, "operation" | "stamp">;

export class OwnWrites {
  /** The newest of each topic. */
  readonly #newest = new Map<string, Write>();

  add(write: Write): void {
    const topic = topicOf(write.operation);
    if (topic !== undefined) this.#newest.set(topic, write);
  }

  /** It has come through the log. */
  delete(write: Write): void {
    const topic = topicOf(write.operation);
    if (topic !== undefined && this.#newest.get(topic) === write) this.#newest.delete(topic);
  }

  /** Whether the replica's message of `topic` is not what a reader sees. */
  hides(topic: string): boolean {
    return this.#newest.has(topic);
  }

  /** Calls `visit` for the retained messages that `filter` matches, with when they expire (ms, as `msOfStamp` has it); deletions only hide. */
  match(filter: string, visit: (item: Expiring) => void): void {
    for (const { operation, stamp } of this.#newest.values()) {
      const message = retainedOf(operation);
      if (message !== undefined && filterMatches(filter, message.topic))
        visit({ message, expiresAt: expiryOf(message, msOfStamp(stamp)) });
    }
  }
}
