/**
 * Two machines with one identity (a copied memory card) do not go on together: of two that run side by side the copy has become
 * another node soon, and the original is still itself.
 *
 * Source: reference design, section 1.3 and trap 5; packages/mesh/src/link/twins.ts.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

/** Found each other or a common peer, asked who runs, stopped, and started as a new node: with mDNS lost now and then. */
const TOGETHER_MAX_MS = 15_000;

export class Twins implements Checker {
  readonly name = "twins";
  /** Of each copy that still has the identity: the original. */
  readonly #originalOf = new Map<string, string>();
  /** Since when each runs without a break. */
  readonly #runsSince = new Map<string, number>();

  observe(observation: Observation): void {
    const { at, node, kind } = observation;
    if (node === undefined) return;
    if (kind === "started") this.#runsSince.set(node, at);
    else if (kind === "stopped") {
      if (observation.how === "resume") this.#runsSince.set(node, at);
      else this.#runsSince.delete(node);
    } else if (kind === "copied") this.#originalOf.set(node, observation.of);
    else if (kind === "vanished") this.#vanished(node);
    else if (kind === "applied") this.#look(at);
  }

  finish(): void {
    for (const [copy, original] of this.#originalOf)
      throw new CheckFailure(this.name, `${copy} has never become another node than ${original}`);
  }

  #look(at: number): void {
    for (const [copy, original] of this.#originalOf) {
      const since = Math.max(this.#since(copy), this.#since(original));
      if (at - since <= TOGETHER_MAX_MS) continue;
      throw new CheckFailure(this.name, `${copy} and ${original} have run side by side since ${since} ms`);
    }
  }

  #since(node: string): number {
    return this.#runsSince.get(node) ?? Number.POSITIVE_INFINITY;
  }

  #vanished(node: string): void {
    if (this.#originalOf.delete(node)) return;
    for (const [copy, original] of this.#originalOf)
      if (original === node)
        throw new CheckFailure(this.name, `${node} has given up its identity, and ${copy} goes on with it`);
  }
}
