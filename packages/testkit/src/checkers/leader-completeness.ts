/**
 * Leader completeness, as far as it can be seen from outside: a new leader has every committed entry, and committed
 * entries are never lost.
 *
 * What anyone has applied is committed. A leader of a later term appends behind its whole log, so an entry of its term
 * at or below an index that was applied before its election proves that its log was short. And when the world has been
 * whole again for long enough, somebody must have applied everything that was ever applied (since the last blackout).
 *
 * Source: Raft paper, figure 3 and section 5.4.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";

/** After healing, time to elect a leader and to catch up, in ms. */
const CATCH_UP_MS = 20_000;

export class LeaderCompleteness implements Checker {
  readonly name = "leader completeness";
  readonly #blackouts: BlackoutWatch;
  /** Highest index applied by anyone when the leader of a term was first seen. */
  readonly #committedAtElection = new Map<number, number>();
  readonly #appliedBy = new Map<string, number>();
  #committed = 0;
  #healedAt: number | undefined;
  #now = 0;

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    this.#now = observation.at;
    if (this.#blackouts.observe(observation)) this.#committed = 0;
    const { node } = observation;
    if (observation.kind === "healed") this.#healedAt = observation.at;
    if (node === undefined) return;
    if (observation.kind === "leader") {
      const { term } = observation;
      if (!this.#committedAtElection.has(term)) this.#committedAtElection.set(term, this.#committed);
    } else if (observation.kind === "applied") {
      this.#applied(node, observation.index, observation.term, observation.at);
    } else if (observation.kind === "started") {
      this.#appliedBy.delete(node);
    }
  }

  finish(): void {
    if (this.#healedAt === undefined || this.#now - this.#healedAt < CATCH_UP_MS) return;
    const best = Math.max(0, ...this.#appliedBy.values());
    if (best >= this.#committed) return;
    throw new CheckFailure(
      this.name,
      `index ${this.#committed} was applied once, but ${this.#now - this.#healedAt} ms after healing nobody is past ${best}`,
    );
  }

  #applied(node: string, index: number, term: number, at: number): void {
    const committed = this.#committedAtElection.get(term);
    if (committed !== undefined && index <= committed) {
      throw new CheckFailure(
        this.name,
        `${node} applies index ${index} of term ${term} at ${at} ms, but ${committed} entries were committed before that election`,
      );
    }
    this.#appliedBy.set(node, index);
    if (index > this.#committed && term > this.#blackouts.termBefore) this.#committed = index;
  }
}
