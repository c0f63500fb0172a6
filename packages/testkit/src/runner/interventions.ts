/**
 * What can be done to a running world, each until a given time or until the chaos ends, whichever comes first.
 *
 * Nothing here is random: who, when and for how long is the schedule's business (inject-faults.ts, plots.ts).
 */

import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";

export class Interventions {
  readonly #world: World;
  /** Undoes what is on now; each undoes itself only once. */
  readonly #undo = new Set<() => void>();
  #isOver = false;
  #calmSince = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** The chaos has ended: nothing new begins. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nothing is on now. */
  get isCalm(): boolean {
    return this.#undo.size === 0;
  }

  /** Since when, in ms of the world; infinite while something is on. */
  get calmSince(): number {
    return this.isCalm ? this.#calmSince : Number.POSITIVE_INFINITY;
  }

  /** Ends everything. */
  end(): void {
    this.#isOver = true;
    for (const undo of [...this.#undo]) undo();
  }

  /**
   * Calls `undo` after `forMs`, or when the chaos ends: at once if it has ended, as for a stop that a pause held up.
   * Returns what ends it earlier.
   */
  during(forMs: number, undo: () => void): () => void {
    const once = (): void => {
      if (!this.#undo.delete(once)) return;
      this.#calmSince = this.#world.events.now;
      undo();
    };
    this.#undo.add(once);
    this.#world.events.after(this.#isOver ? 0 : forMs, once);
    return once;
  }

  /** As {@link during}, and tells the checkers that these nodes may be late or out of reach meanwhile. */
  disturb(nodes: readonly SimNode[], forMs: number, undo: () => void): () => void {
    const calm = this.#world.disturbances.begin(nodes);
    return this.during(forMs, () => {
      undo();
      calm();
    });
  }

  /** kill -9, instead of effect number `effects` from now on (0: at once); started again after `forMs`. */
  crash(node: SimNode, effects: number, forMs: number): void {
    if (effects === 0) node.kill("crash");
    else node.dieAfter(effects);
    this.during(forMs, () => {
      // What has not died by now lives on.
      node.dieAfter(Number.POSITIVE_INFINITY);
      if (node.isPowered) node.start();
    });
  }

  /** These machines lose power at the same instant and come back after `forMs`; `meanwhile` happens while they are off. */
  cutPower(nodes: readonly SimNode[], forMs: number, meanwhile: () => void = () => {}): void {
    for (const node of nodes) node.kill("power");
    meanwhile();
    this.during(forMs, () => {
      for (const node of nodes) node.start();
    });
  }

  /** Nothing gets from one machine to the other on these ways (`oneWay`), or back either. Returns what ends it. */
  block(ways: readonly (readonly [from: number, to: number])[], oneWay: boolean, forMs: number): () => void {
    const { network, nodes } = this.#world;
    const set = (isBlocked: boolean): void => {
      for (const [from, to] of ways) {
        network.block(from, to, isBlocked);
        if (!oneWay) network.block(to, from, isBlocked);
      }
    };
    set(true);
    const machines = new Set(ways.flat());
    const isClientConcerned = [...machines].some((machine) => machine >= nodes.length);
    const disturbed = nodes.filter(({ index }) => isClientConcerned || machines.has(index));
    return this.disturb(disturbed, forMs, () => set(false));
  }

  /**
   * Two nodes do not reach each other for long; once others have had `relayedWithinMs` to take over, every promise holds for
   * them too. Calls `over` at the end.
   */
  sever(pair: readonly [SimNode, SimNode], relayedWithinMs: number, forMs: number, over: () => void): void {
    const { network } = this.#world;
    const [{ index: a }, { index: b }] = pair;
    const set = (isBlocked: boolean): void => {
      network.block(a, b, isBlocked);
      network.block(b, a, isBlocked);
    };
    set(true);
    this.disturb(pair, Math.min(relayedWithinMs, forMs), () => {});
    this.during(forMs, () => {
      set(false);
      over();
    });
  }

  /** Machines (nodes, then clients) of `side` and all others do not reach each other. */
  partition(side: readonly number[], oneWay: boolean, forMs: number): () => void {
    const { nodes, clients } = this.#world.options;
    const outside = Array.from({ length: nodes + clients }, (_, machine) => machine).filter(
      (machine) => !side.includes(machine),
    );
    return this.block(
      side.flatMap((inside) => outside.map((other): [number, number] => [other, inside])),
      oneWay,
      forMs,
    );
  }

  /** No other node reaches `node`, nor it them; its clients do. */
  isolate(node: SimNode, forMs: number): () => void {
    const others = this.#world.nodes.filter((other) => other !== node);
    return this.block(
      others.map((other): [number, number] => [other.index, node.index]),
      false,
      forMs,
    );
  }
}
