/**
 * What peers send that cannot be meant: counted, and said in the log once a minute at most.
 *
 * Frames that cannot be decoded, frames of another cluster, and Raft messages that no node which keeps the rules sends. None
 * of them changes anything here.
 */

import type { Log, NodeId } from "@skein/kernel";

const WARN_EVERY_MS = 60_000;

export class PeerFaults {
  readonly #log: Log;
  malformedFrames = 0;
  foreignFrames = 0;
  /** Of kinds that this version does not know. Normal while versions are mixed, so nothing is said about them. */
  unknownFrames = 0;
  #lastFrom: NodeId | undefined;
  #lastError: string | undefined;
  #counted = 0;
  #warnAt = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  malformed(from: NodeId, error: string): void {
    this.malformedFrames++;
    this.#lastFrom = from;
    this.#lastError = error;
  }

  unknown(): void {
    this.unknownFrames++;
  }

  foreign(from: NodeId): void {
    this.foreignFrames++;
    this.#lastFrom = from;
    this.#lastError = "another cluster";
  }

  /** Says what came since the last line, if there was anything. `rejectedMessages`: Raft's own count. */
  tick(now: number, rejectedMessages: number): void {
    const { malformedFrames, foreignFrames } = this;
    const count = malformedFrames + foreignFrames + rejectedMessages;
    if (count === this.#counted || now < this.#warnAt) return;
    this.#counted = count;
    this.#warnAt = now + WARN_EVERY_MS;
    this.#log.warn(
      { malformedFrames, foreignFrames, rejectedMessages, from: this.#lastFrom, error: this.#lastError },
      "peers send control frames that change nothing",
    );
  }
}
