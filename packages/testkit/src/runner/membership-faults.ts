/** Nodes that leave, and dead ones that are forgotten, at any moment: what the operator does while other things go wrong. */

import type { NodeId } from "@skein/kernel";
import { ABSENT_UNTIL_DEAD_MS } from "../checkers/membership.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import type { Interventions } from "./interventions.ts";

/** Without a leader it takes a node so long to answer, or to found the mesh anew. */
const ANSWERED_WITHIN_MS = 5000;

export class MembershipFaults {
  readonly #world: World;
  readonly #do: Interventions;
  /** One at a time: an operator waits for the answer. */
  #isBusy = false;
  /** Who has been told to forget another voter while cut off. */
  readonly #forgetful = new Set<SimNode>();

  constructor(world: World, interventions: Interventions) {
    this.#world = world;
    this.#do = interventions;
  }

  /** Whether it began. */
  leave(node: SimNode, forMs: number): boolean {
    const { process, assembly, id } = node;
    if (this.#isBusy || process === undefined || process.isPaused || assembly === undefined) return false;
    this.#isBusy = true;
    process.turn(() =>
      assembly.coordinator.leave((error) => {
        this.#isBusy = false;
        if (error !== undefined) return;
        this.#removed(id);
        // The program ends, and its owner starts it again later.
        node.stop(() => this.#do.during(forMs, () => node.start()));
      }),
    );
    // It may die before it has an answer.
    this.#world.events.after(forMs + ABSENT_UNTIL_DEAD_MS, () => {
      this.#isBusy = false;
    });
    return true;
  }

  /** Likewise. The node is down for `forMs`. */
  forget(node: SimNode, forMs: number): boolean {
    const { id, process } = node;
    if (this.#isBusy || process === undefined) return false;
    this.#isBusy = true;
    this.#do.crash(node, 0, forMs);
    this.#world.events.after(ABSENT_UNTIL_DEAD_MS, () => {
      this.#isBusy = false;
      const asked = this.#world.nodes.find(({ status, process: other }) => {
        return status?.hasQuorum === true && other?.isPaused === false;
      });
      if (node.process !== undefined || asked === undefined) return;
      asked.process?.turn(() =>
        asked.assembly?.coordinator.forget(id, (error) => {
          if (error === undefined) this.#removed(id);
        }),
      );
    });
    return true;
  }

  /** Whether it began: where one other voter is all there is, the operator's word would be enough. */
  forgetAlone(node: SimNode, target: SimNode, forMs: number): boolean {
    const { process, status } = node;
    if (process?.isPaused !== false || (status?.voters.length ?? 0) < 3 || this.#forgetful.has(node))
      return false;
    // Twice on the same node, and it would have given up all of three voters.
    this.#forgetful.add(node);
    this.#do.isolate(node, forMs);
    this.#world.events.after(forMs - ANSWERED_WITHIN_MS, () => {
      if (node.process !== process || process.isPaused) return;
      process.turn(() => node.assembly?.coordinator.forget(target.id as NodeId, () => {}));
    });
    return true;
  }

  #removed(node: string): void {
    this.#world.observe({ at: this.#world.events.now, node, kind: "removed" });
  }
}
