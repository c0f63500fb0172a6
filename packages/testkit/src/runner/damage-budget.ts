/**
 * How much of what disks hold may be lost at the same time without breaking a promise: less than half of the voters.
 *
 * A node whose disk has lost something (a power cut in the `replicated` profile, rot, a failed sync) is a loss until it has
 * caught up with a leader; a wiped voter is one for good. The next such fault strikes only where the others still are a
 * majority; with that, any machine can be struck, and one after the other. A node that is down belongs to a cluster all the
 * same: where it is the only voter, its machine's loss of power is the loss of all. `durability: disk` survives power cuts.
 */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";

export class DamageBudget {
  readonly #world: World;
  /** With the starts it will have had when it is struck: what it lost shows only after the next one. */
  readonly #damaged = new Map<SimNode, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Nobody's disk lacks anything, and no voter is gone. */
  get isWhole(): boolean {
    return this.#lost(undefined) === 0;
  }

  /** How many voters may lack something at once, as the node that knows of the fewest sees it. */
  get most(): number {
    const sizes = this.#members().map(({ voters }) => voters.length);
    return sizes.length === 0 ? 0 : Math.floor((Math.min(...sizes) - 1) / 2);
  }

  /** Whether the disk of `node` may lose anything now; if so, that is noted, and the checkers hear of it. */
  take(node: SimNode): boolean {
    return this.#takeDisk(node, node.starts);
  }

  /** As {@link take}, for a sync that is going to fail: of the process that runs, or of the next one; it shows after the start behind that. */
  takeSync(node: SimNode): boolean {
    return this.#takeDisk(node, node.process === undefined ? node.starts + 1 : node.starts);
  }

  #takeDisk(node: SimNode, starts: number): boolean {
    if (!this.#takes(node, starts)) return false;
    const { events } = this.#world;
    this.#world.observe({ at: events.now, node: node.id, kind: "damaged", how: "disk" });
    return true;
  }

  /** As {@link take}, for a power cut, which the machine tells of itself. */
  takePower(node: SimNode): boolean {
    return this.#world.options.durability === "disk" || this.#takes(node, node.starts);
  }

  /** Every machine has lost its power: there is nothing to spare any more until they have caught up. */
  takeAll(): void {
    if (this.#world.options.durability === "disk") return;
    for (const node of this.#world.nodes) this.#damaged.set(node, node.starts);
  }

  #takes(node: SimNode, starts: number): boolean {
    if (this.#lost(node) + 1 > this.most) return false;
    this.#damaged.set(node, Math.max(starts, this.#damaged.get(node) ?? 0));
    return true;
  }

  /** Nodes but `node` that lack something, and voters whose node is nowhere. */
  #lost(node: SimNode | undefined): number {
    const { nodes } = this.#world;
    for (const [damaged, startsThen] of [...this.#damaged]) {
      const { status, starts } = damaged;
      const isBack = starts > startsThen && status?.cluster !== undefined;
      if (isBack && !status.isSuspect) this.#damaged.delete(damaged);
    }
    const present = new Set<string>(nodes.map(({ id }) => id));
    const voters = new Set<string>(this.#members().flatMap((member) => member.voters));
    const gone = [...voters].filter((voter) => !present.has(voter));
    return [...this.#damaged.keys()].filter((damaged) => damaged !== node).length + gone.length;
  }

  /** What each node that belongs to a cluster says, or said when it ran last. */
  #members(): readonly CoordinatorStatus[] {
    return this.#world.nodes.flatMap(({ status, lastStatus }) => {
      const seen = status ?? lastStatus;
      return seen?.cluster === undefined ? [] : [seen];
    });
  }
}
