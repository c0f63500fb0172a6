/**
 * P1: the floating address is held by one node; two that are connected hold it for at most 2.6 s, while they hand over.
 *
 * Additions, removals (the kernel's expiry included) and power cuts give intervals; the time during which two nodes
 * hold it at once is measured as one stretch, until only one is left. Where the world can say that two nodes are on
 * different sides of a split, their overlap does not count: each side may have the address then.
 *
 * Source: architecture.md section 6; reference design, 5.4 (I2).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export interface AddressHolderOptions {
  /** Longest time with two holders, in ms. */
  readonly overlapMaxMs: number;
  /** Whether two nodes can reach each other now. */
  readonly areConnected: (a: string, b: string) => boolean;
}

const DEFAULTS: AddressHolderOptions = { overlapMaxMs: 2600, areConnected: () => true };

export class AddressHolder implements Checker {
  readonly name = "address holder";
  readonly #options: AddressHolderOptions;
  readonly #holders = new Set<string>();
  /** Since when two connected nodes hold it, or undefined. */
  #overlapSince: number | undefined;

  constructor(options: Partial<AddressHolderOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  observe(observation: Observation): void {
    const { node, at } = observation;
    this.#check(at);
    if (node !== undefined) {
      if (observation.kind === "addressAdded") this.#holders.add(node);
      else if (observation.kind === "addressRemoved") this.#holders.delete(node);
      // Only a machine without power loses an address at once; a dead process leaves it to the kernel's lifetime.
      else if (observation.kind === "stopped" && observation.how === "power") this.#holders.delete(node);
    }
    if (!this.#isHeldTwice()) this.#overlapSince = undefined;
    else this.#overlapSince ??= at;
  }

  #check(at: number): void {
    if (this.#overlapSince === undefined || at - this.#overlapSince <= this.#options.overlapMaxMs) return;
    throw new CheckFailure(
      this.name,
      `${[...this.#holders].join(" and ")} have held the address since ${this.#overlapSince} ms, until ${at} ms`,
    );
  }

  #isHeldTwice(): boolean {
    if (this.#holders.size < 2) return false;
    const holders = [...this.#holders];
    return holders.some((a, i) => holders.slice(i + 1).some((b) => this.#options.areConnected(a, b)));
  }
}
