/**
 * Wills that live subscribers have got before the log brought them to this node: it has no replica yet, or is filling its first one, so others
 * tell it (newcomers.ts).
 *
 * A will is no command that would have a number of its own. It is known again by the log entry that has published it and by its client, of
 * which one entry publishes one will at most. What is remembered is bounded, as what a snapshot holds of them is.
 *
 * Source: architecture.md section 2, P5 (live subscribers).
 */

import type { ApplicationMessage } from "@skein/kernel";

/** Names remembered; the log has few of them between the moment in which the first one is told and that in which it takes over. */
const NAMES_MAX = 1000;

export interface PublishedWill {
  /** Log index of the entry that has published it. */
  readonly index: number;
  /** The client whose will it is. */
  readonly publisher: string;
  readonly message: ApplicationMessage;
}

export class EarlyWills {
  /** The oldest first. */
  readonly #names = new Set<string>();

  /** It has come. False: it has been here before. */
  add(will: PublishedWill): boolean {
    const name = nameOf(will);
    if (this.#names.has(name)) return false;
    const [oldest] = this.#names;
    if (this.#names.size >= NAMES_MAX && oldest !== undefined) this.#names.delete(oldest);
    this.#names.add(name);
    return true;
  }

  /** The log has brought it. False: it has not been here before. */
  take(will: PublishedWill): boolean {
    return this.#names.delete(nameOf(will));
  }
}

function nameOf({ index, publisher }: PublishedWill): string {
  return `${index} ${publisher}`;
}
