/**
 * Who serves the shared subscriptions of a message of this node: the log, which knows members whose sessions are kept, or a live member.
 *
 * A kept member that is connected goes before all live ones, a live one before kept ones that are away. The choice is made once,
 * here, and goes into the log with the message, so that no second member gets it. One for all messages: it is begun
 * anew by taking what was served.
 *
 * Source: MQTT 5 section 4.8.2.
 */

import type { SessionStore, SharedChoice } from "@skein/kernel";

export class LogOrLive implements SharedChoice {
  readonly #store: SessionStore;
  #served: string[] = [];

  constructor(store: SessionStore) {
    this.#store = store;
  }

  isDealt(sharedFilter: string): boolean {
    return this.#store.deals(sharedFilter);
  }

  serve(sharedFilter: string): void {
    this.#served.push(sharedFilter);
  }

  /** What live members serve of the message that was forwarded last. */
  take(): readonly string[] {
    const served = this.#served;
    if (served.length > 0) this.#served = [];
    return served;
  }
}
