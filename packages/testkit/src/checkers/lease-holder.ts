/**
 * At most one lease holder at any instant of the world's time.
 *
 * A lease runs from the moment its node believes in it until `until`, or until the node stops or gives it up. Each new
 * or longer lease is compared with all others that have not run out: the promise holds for true time, whatever the
 * nodes' clocks say, as long as they drift within their bound.
 *
 * Source: Raft thesis, section 6.4.1; reference design, section 1.7.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class LeaseHolder implements Checker {
  readonly name = "lease holder";
  /** Until when, in the world's ms, by node. */
  readonly #until = new Map<string, number>();

  observe(observation: Observation): void {
    const { node, at } = observation;
    if (node === undefined) return;
    if (observation.kind === "stopped" && observation.how !== "pause" && observation.how !== "resume") {
      this.#until.delete(node);
    }
    if (observation.kind !== "lease") return;
    if (observation.until <= at) {
      this.#until.delete(node);
      return;
    }
    for (const [other, until] of this.#until) {
      if (other === node || until <= at) continue;
      throw new CheckFailure(
        this.name,
        `${node} holds a lease until ${observation.until} from ${at} ms, while ${other} holds one until ${until}`,
      );
    }
    this.#until.set(node, observation.until);
  }
}
