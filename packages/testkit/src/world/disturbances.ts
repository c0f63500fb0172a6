/**
 * Which machines a fault disturbs at the moment, told to the checkers by the ids of the nodes that run there.
 *
 * A node has no id before its first start, and gets another one with a new disk. A disturbance that was there first holds for
 * it all the same, so it is told whenever a node starts under an id that has not been told yet.
 */

import type { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

interface Disturbance {
  readonly nodes: readonly SimNode[];
  readonly told: Set<string>;
}

export class Disturbances {
  readonly #world: World;
  readonly #active = new Set<Disturbance>();

  constructor(world: World) {
    this.#world = world;
  }

  /** From now on these may be late or out of reach. Returns what ends it. */
  begin(nodes: readonly SimNode[]): () => void {
    const told = new Set(nodes.map(({ id }) => id).filter((id) => id !== ""));
    const disturbance = { nodes, told };
    this.#active.add(disturbance);
    this.#observe("disturbed", told);
    return () => {
      if (this.#active.delete(disturbance)) this.#observe("calmed", told);
    };
  }

  /** Call when a process of `node` has started. */
  started(node: SimNode): void {
    for (const { nodes, told } of this.#active) {
      if (!nodes.includes(node) || told.has(node.id)) continue;
      told.add(node.id);
      this.#observe("disturbed", [node.id]);
    }
  }

  #observe(kind: "disturbed" | "calmed", nodes: Iterable<string>): void {
    this.#world.observe({ at: this.#world.events.now, kind, nodes: [...nodes] });
  }
}
