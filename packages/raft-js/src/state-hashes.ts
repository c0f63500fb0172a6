/** The newest state hashes of one server's application. */

import type { StateHash } from "./types.ts";

/** Hashes remembered: followers that are further behind than this many are compared once they have come closer. */
const KEPT = 64;

/** The newest state hashes of this server's own application. */
export class StateHashes {
  readonly #newest: StateHash[] = [];

  get latest(): StateHash | undefined {
    return this.#newest.at(-1);
  }

  add(stateHash: StateHash): void {
    if (stateHash.index <= (this.latest?.index ?? -1)) return;
    this.#newest.push(stateHash);
    if (this.#newest.length > KEPT) this.#newest.shift();
  }

  at(index: number): string | undefined {
    return this.#newest.findLast((known) => known.index === index)?.hash;
  }

  clear(): void {
    this.#newest.length = 0;
  }
}
