/**
 * The configurations of one log, by the index of their entry, so that an overwritten one can be undone.
 *
 * Invariant: indexes rise; the first one is the snapshot's, or index 0 and nobody.
 */

import { assert } from "./assert.ts";
import { isVoter } from "./configuration.ts";
import type { Configuration, ServerId } from "./types.ts";

interface Adopted {
  readonly index: number;
  readonly configuration: Configuration;
}

export class ConfigurationHistory {
  #history: Adopted[];

  constructor(index: number, configuration: Configuration) {
    this.#history = [{ index, configuration }];
  }

  get latest(): Adopted {
    return this.#history[this.#history.length - 1] as Adopted;
  }

  add(index: number, configuration: Configuration): void {
    assert(index > this.latest.index, "a configuration before the latest one:", index, this.latest.index);
    this.#history.push({ index, configuration });
  }

  /** Forgets configurations from `index` on: their entries are being overwritten. */
  truncate(index: number): void {
    while (this.#history.length > 1 && this.latest.index >= index) this.#history.pop();
  }

  /** Forgets what was replaced before `index`: a snapshot stands there. */
  compact(index: number): void {
    const keepFrom = this.#history.findLastIndex((adopted) => adopted.index <= index);
    if (keepFrom > 0) this.#history.splice(0, keepFrom);
  }

  /** The configuration as of `index`. */
  at(index: number): Configuration {
    const adopted = this.#history.findLast((candidate) => candidate.index <= index);
    assert(adopted !== undefined, "no configuration known as of", index);
    return adopted.configuration;
  }

  /** True if `id` votes in the configuration as of `index` or in a newer one. */
  votesSince(index: number, id: ServerId): boolean {
    const from = Math.max(
      0,
      this.#history.findLastIndex((adopted) => adopted.index <= index),
    );
    return this.#history.slice(from).some((adopted) => isVoter(adopted.configuration, id));
  }
}
