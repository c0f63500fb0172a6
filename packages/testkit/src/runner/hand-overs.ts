/**
 * Leadership handed over on purpose, as `skein test-failover` does, at any moment: the clients' address goes with it.
 *
 * What must hold in the middle of other faults all checkers ask anyway. Where nothing else has gone wrong for a while P1 promises
 * more: another node leads and holds the address within a second.
 *
 * Source: architecture.md section 2 (P1); docs/balancing.md; reference design, 5.3 (leader transfer during all of it).
 */

import { CheckFailure } from "../observations.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import type { Interventions } from "./interventions.ts";

const PLANNED_MS = 1000;
/** Links are up, replicas have caught up, dead voters have been replaced. */
const CALM_MS = 15_000;
/** The address has been announced, and its holder leads undisputed. */
const HELD_MS = 5000;
/** With fewer a learner has to become a voter first. */
const VOTERS_MIN = 3;

export class HandOvers {
  readonly #world: World;
  readonly #do: Interventions;
  readonly #strikes: () => number;

  /** `strikes`: how many faults have struck so far. */
  constructor(world: World, interventions: Interventions, strikes: () => number) {
    this.#world = world;
    this.#do = interventions;
    this.#strikes = strikes;
  }

  /** Tells the leader to hand over; returns whether there is one that does. */
  begin(): boolean {
    const leader = this.#world.nodes.find(({ status, process }) => {
      return status?.role === "leader" && process?.isPaused === false;
    });
    if (leader === undefined) return false;
    const isPromised = this.#isPromised(leader);
    let hasBegun = false;
    leader.process?.turn(() => {
      hasBegun = leader.assembly?.coordinator.membership.moveLeadership() === true;
    });
    // This one counts as well, as soon as its striking is over.
    const strikes = this.#strikes() + 1;
    if (hasBegun && isPromised)
      this.#world.events.after(PLANNED_MS, () => {
        if (this.#strikes() === strikes) this.#judge(leader);
      });
    return hasBegun;
  }

  /** Everybody is well and linked, for long, on a network that loses nothing. */
  #isPromised(leader: SimNode): boolean {
    const { nodes, floating, events, options } = this.#world;
    const isWell = nodes.every(({ status, assembly, process }) => {
      const isServing = assembly?.isServing === true && process?.isPaused === false;
      return isServing && status?.hasQuorum === true && status.coordinator === leader.id;
    });
    return (
      isWell &&
      options.network.lossPerMille === 0 &&
      (leader.status?.voters.length ?? 0) >= VOTERS_MIN &&
      events.now - this.#do.calmSince >= CALM_MS &&
      events.now - floating.heldSince(leader.index) >= HELD_MS &&
      nodes.every((a) => nodes.every((b) => a === b || this.#world.areLinked(a.id, b.id)))
    );
  }

  #judge(leader: SimNode): void {
    const { nodes, floating } = this.#world;
    const next = nodes.find(({ index, status }) => floating.isOn(index) && status?.role === "leader");
    if (next !== undefined && next !== leader) return;
    throw new CheckFailure(
      "planned hand-over",
      `${leader.id} was told to hand over ${PLANNED_MS} ms ago, and no other node leads and holds the address`,
    );
  }
}
