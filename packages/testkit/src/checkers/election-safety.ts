/**
 * Election safety: at most one leader per term.
 *
 * Two nodes that lead the same term could both commit at one index. One map from term to leader is enough; a node may
 * say again that it leads.
 *
 * Source: Raft paper, figure 3 and section 5.2.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class ElectionSafety implements Checker {
  readonly name = "election safety";
  readonly #leaders = new Map<number, string>();

  observe(observation: Observation): void {
    if (observation.kind !== "leader" || observation.node === undefined) return;
    const { term, node, at } = observation;
    const other = this.#leaders.get(term);
    if (other !== undefined && other !== node) {
      throw new CheckFailure(this.name, `${other} and ${node} both lead term ${term}, seen at ${at} ms`);
    }
    this.#leaders.set(term, node);
  }
}
