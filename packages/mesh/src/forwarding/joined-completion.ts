/**
 * One part of a publisher's acknowledgement, waiting for several things at once.
 *
 * Needed only where a shared subscription moves from one node to another after the parts were counted. Holds itself
 * open until `release`, so that parts can be added one after the other.
 */

import type { Completion } from "@skein/kernel";

export class JoinedCompletion implements Completion {
  readonly #whole: Completion;
  #open = 1;
  #reasonCode = 0;

  constructor(whole: Completion) {
    this.#whole = whole;
  }

  expect(parts: number): void {
    this.#open += parts;
  }

  settle(reasonCode: number): void {
    // The worst answer counts: a publisher that hears of success must be able to rely on all parts.
    this.#reasonCode = Math.max(this.#reasonCode, reasonCode);
    this.#open--;
    if (this.#open === 0) this.#whole.settle(this.#reasonCode);
  }

  /** All parts have been added. */
  release(): void {
    this.settle(0);
  }
}
