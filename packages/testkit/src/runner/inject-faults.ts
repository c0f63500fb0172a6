/** Carries out the faults of a schedule in a world, and takes all of them back at the end of the chaos. */

import { type Prng, unreachable } from "@skein/kernel";
import { randomStream } from "../world/random-streams.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import { type Fault, LEADER, type Schedule } from "./schedule.ts";

/** Delays below this disturb nobody, as the checkers understand it. */
const DISTURBING_MS = 1000;

export class FaultInjector {
  readonly #world: World;
  readonly #prng: Prng;
  /** Undoes what is on now; each undoes itself only once. */
  readonly #undo = new Set<() => void>();
  #isOver = false;
  /** Faults that struck, by kind. */
  readonly struck = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.#prng = randomStream(world.seed, "injector");
  }

  arm(schedule: Schedule): void {
    for (const fault of schedule.faults) {
      this.#world.events.at(fault.at, () => {
        if (this.#isOver) return;
        this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1);
        this.#strike(fault);
      });
    }
  }

  /** Ends all faults: everybody runs and reaches everybody. */
  heal(): void {
    this.#isOver = true;
    for (const undo of [...this.#undo]) undo();
    for (const node of this.#world.nodes) {
      node.resume();
      node.dieAfter(Number.POSITIVE_INFINITY);
      node.disk.faults.syncsFailing = 0;
      node.start();
    }
  }

  #strike(fault: Fault): void {
    switch (fault.kind) {
      case "crash":
        this.#crash(this.#node(fault.node), fault.effects, fault.forMs);
        return;
      case "power":
        this.#powerCut([this.#node(fault.node)], fault.forMs, () => {});
        return;
      case "blackout":
        this.#powerCut(this.#world.nodes, fault.forMs, () => this.#world.blackedOut());
        return;
      case "rot": {
        const node = this.#node(fault.node);
        this.#powerCut([node], fault.forMs, () => node.disk.rot(this.#prng, () => true));
        return;
      }
      case "wipe": {
        const node = this.#node(fault.node);
        this.#powerCut([node], fault.forMs, () => node.disk.wipe());
        return;
      }
      case "stop": {
        const node = this.#node(fault.node);
        node.stop(() => this.#for(fault.forMs, () => node.start()));
        return;
      }
      case "pause": {
        const node = this.#node(fault.node);
        node.pause();
        this.#for(fault.forMs, () => node.resume());
        return;
      }
      case "syncError":
        this.#node(fault.node).disk.faults.syncsFailing = 1;
        return;
      case "diskStall": {
        const node = this.#node(fault.node);
        node.disk.faults.stalledUntil = this.#world.events.now + fault.forMs;
        this.#disturb([node], fault.forMs, () => {});
        return;
      }
      case "diskFull": {
        const node = this.#node(fault.node);
        node.disk.faults.isFull = true;
        this.#disturb([node], fault.forMs, () => {
          node.disk.faults.isFull = false;
        });
        return;
      }
      case "wallStep":
        this.#node(fault.node).machine.wallOffsetMs += fault.byMs;
        return;
      default:
        this.#strikeNetwork(fault);
        return;
    }
  }

  #strikeNetwork(
    fault: Extract<Fault, { kind: "partition" | "severed" | "clog" | "cut" | "mdnsSilence" | "mdnsStale" }>,
  ): void {
    const { network, multicast } = this.#world;
    switch (fault.kind) {
      case "partition":
        this.#partition(fault.side, fault.oneWay, fault.forMs);
        return;
      case "severed":
        this.#block([[fault.a, fault.b]], fault.oneWay, fault.forMs);
        return;
      case "clog": {
        const nodes = [this.#node(fault.a), this.#node(fault.b)];
        network.clog(fault.a, fault.b, fault.slowerByMs);
        const undo = (): void => network.clog(fault.a, fault.b, 0);
        if (fault.slowerByMs >= DISTURBING_MS) this.#disturb(nodes, fault.forMs, undo);
        else this.#for(fault.forMs, undo);
        return;
      }
      case "cut":
        network.cut(fault.a, fault.b);
        return;
      case "mdnsSilence":
        multicast.isSilent = true;
        this.#for(fault.forMs, () => {
          multicast.isSilent = false;
        });
        return;
      case "mdnsStale":
        multicast.repeatOld(this.#prng);
        return;
      default:
        unreachable(fault);
    }
  }

  #partition(side: readonly number[], oneWay: boolean, forMs: number): void {
    const { nodes, clients } = this.#world.options;
    const outside = Array.from({ length: nodes + clients }, (_, machine) => machine).filter(
      (machine) => !side.includes(machine),
    );
    const ways = side.flatMap((inside) => outside.map((other): [number, number] => [other, inside]));
    this.#block(ways, oneWay, forMs);
  }

  #block(ways: readonly (readonly [from: number, to: number])[], oneWay: boolean, forMs: number): void {
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
    this.#disturb(disturbed, forMs, () => set(false));
  }

  #crash(node: SimNode, effects: number, forMs: number): void {
    if (effects === 0) node.kill("crash");
    else node.dieAfter(effects);
    this.#for(forMs, () => {
      // What has not died by now lives on.
      node.dieAfter(Number.POSITIVE_INFINITY);
      if (node.isPowered) node.start();
    });
  }

  #powerCut(nodes: readonly SimNode[], forMs: number, meanwhile: () => void): void {
    for (const node of nodes) node.kill("power");
    meanwhile();
    this.#for(forMs, () => {
      for (const node of nodes) node.start();
    });
  }

  /** As {@link #for}, and tells the checkers that these nodes may be late or out of reach meanwhile. */
  #disturb(nodes: readonly SimNode[], forMs: number, undo: () => void): void {
    const world = this.#world;
    const ids = nodes.map(({ id }) => id).filter((id) => id !== "");
    world.observe({ at: world.events.now, kind: "disturbed", nodes: ids });
    this.#for(forMs, () => {
      undo();
      world.observe({ at: world.events.now, kind: "calmed", nodes: ids });
    });
  }

  /** Calls `undo` after `forMs`, or when the chaos ends: at once if it has ended, as for a stop that a pause held up. */
  #for(forMs: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo();
    };
    this.#undo.add(once);
    this.#world.events.after(this.#isOver ? 0 : forMs, once);
  }

  #node(number: number): SimNode {
    const { nodes } = this.#world;
    const leader = number === LEADER ? nodes.find((node) => node.status?.role === "leader") : undefined;
    return leader ?? (nodes[Math.max(0, number) % nodes.length] as SimNode);
  }
}
