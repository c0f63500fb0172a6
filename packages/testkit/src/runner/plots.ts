/**
 * Faults that belong together: each is the schedule by which a known mistake in consensus shows.
 *
 * Independent faults hardly ever fall into the few milliseconds in which a forgotten vote or an early acknowledgement
 * matters. A plot waits for the moment (an election is won, voters change) and strikes then. Nothing in it is more than
 * what a house can do to its boxes; a mesh that keeps its promises survives all of it.
 *
 * - coup: who wins the next elections is cut off at once, and others die with it, while one node has missed everything.
 *   Two leaders of one term, entries of old terms, logs that differ behind the last commit (Raft paper, figures 7 and 8).
 * - usurp: a voter hears nothing of a leader that the others hear, and just when it campaigns they restart and may have
 *   forgotten (thesis 4.2.3 and 6.4.1: leases, votes after a restart).
 * - echo: what others say reaches the leader late, and then nothing that it says reaches them. It must not take an old answer
 *   for a new one (thesis 6.4.1: a lease runs from the sending).
 * - amnesia: of the two that have an entry, one loses its disk's last second and the other is away; the third lacks it.
 *   Whoever counts on the first un-commits it (thesis 3.8; reference design, section 1.6).
 * - schism: the network parts just when voters change, the old ones here, the new ones there (thesis 4.1; paper section 6).
 */

import type { Prng } from "@skein/kernel";
import type { Observation } from "../observations.ts";
import { between, chance, randomStream } from "../world/random-streams.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import type { DamageBudget } from "./damage-budget.ts";
import type { Interventions } from "./interventions.ts";
import type { Fault } from "./schedule.ts";

export type Plot = Extract<Fault, { kind: "coup" | "usurp" | "echo" | "amnesia" | "schism" }>;
type Of<Kind extends Plot["kind"]> = Extract<Plot, { kind: Kind }>;

/** A plot that has waited for that long is over. */
const PATIENCE_MS = 30_000;

/** Returns whether it goes on watching. */
type Watcher = (observation: Observation) => boolean;

export class Plots {
  readonly #world: World;
  readonly #do: Interventions;
  readonly #budget: DamageBudget;
  #watchers: Watcher[] = [];

  constructor(world: World, interventions: Interventions, budget: DamageBudget) {
    this.#world = world;
    this.#do = interventions;
    this.#budget = budget;
    world.watch((observation) => {
      if (this.#watchers.length > 0)
        this.#watchers = this.#watchers.filter((watcher) => watcher(observation));
    });
  }

  /** Carries out `plot`; nothing happens if there is no leader to strike at. */
  begin(plot: Plot): void {
    const prng = randomStream(this.#world.seed, `plot ${plot.kind} ${plot.at}`);
    const leader = this.#world.nodes.find(({ status }) => status?.role === "leader");
    if (plot.kind === "schism") this.#schism(plot);
    else if (leader === undefined) return;
    else if (plot.kind === "coup") this.#coup(plot, leader, prng);
    else if (plot.kind === "usurp") this.#usurp(plot, leader);
    else if (plot.kind === "echo") this.#echo(plot, leader);
    else this.#amnesia(plot, leader, prng);
  }

  /** Calls `strike` so long after a node has acknowledged a publish. */
  afterAcknowledgement(delayMs: number, strike: (node: SimNode) => void): void {
    this.#watch((observation) => {
      if (observation.kind !== "publishAcked" || observation.reasonCode >= 0x80) return true;
      const node = this.#world.nodes.find(({ id }) => id === observation.node);
      this.#world.events.after(delayMs, () => {
        if (!this.#do.isOver && node !== undefined) strike(node);
      });
      return false;
    });
  }

  #coup(plot: Of<"coup">, leader: SimNode, prng: Prng): void {
    const { events, nodes } = this.#world;
    const absent = this.#other(plot.node, leader);
    const endAbsence = plot.absentMs > 0 ? this.#do.isolate(absent, PATIENCE_MS) : () => {};
    this.#do.crash(leader, 0, between(prng, 100, 1500));
    let left = plot.elections;
    this.#watch((observation) => {
      if (observation.kind !== "leader") return true;
      const winner = nodes.find(({ id }) => id === observation.node);
      events.after(plot.delayMs, () => {
        if (this.#do.isOver || winner === undefined) return;
        this.#do.isolate(winner, plot.forMs);
        for (const node of nodes) {
          const isKilled = chance(prng, plot.killedPerMille);
          if (isKilled && node !== winner && node !== absent) this.#do.crash(node, 0, between(prng, 50, 500));
        }
        events.after(plot.absentMs, endAbsence);
      });
      return --left > 0;
    });
  }

  #usurp(plot: Of<"usurp">, leader: SimNode): void {
    const { events, nodes } = this.#world;
    const rival = this.#other(plot.node, leader);
    this.#do.block([[leader.index, rival.index]], false, plot.afterMs + plot.forMs);
    events.after(plot.afterMs, () => {
      if (this.#do.isOver) return;
      this.#do.isolate(leader, plot.forMs);
      for (const node of nodes) if (node !== leader && node !== rival) this.#do.crash(node, 0, plot.downMs);
    });
  }

  #echo({ slowerByMs, afterMs, forMs }: Of<"echo">, leader: SimNode): void {
    const { events, network, nodes } = this.#world;
    const others = nodes.filter((node) => node !== leader).map(({ index }) => index);
    const slow = (byMs: number): void => {
      for (const other of others) network.clog(other, leader.index, byMs);
    };
    slow(slowerByMs);
    this.#do.disturb(nodes, afterMs + forMs, () => slow(0));
    events.after(afterMs, () => {
      const ways = others.map((other): [number, number] => [leader.index, other]);
      if (!this.#do.isOver) this.#do.block(ways, true, forMs);
    });
  }

  #amnesia(plot: Of<"amnesia">, leader: SimNode, prng: Prng): void {
    const { events } = this.#world;
    const lagging = this.#other(plot.node, leader);
    const victim = this.#other(plot.victim, leader, lagging);
    this.#do.isolate(lagging, plot.lagMs);
    events.after(plot.lagMs, () => {
      if (this.#do.isOver) return;
      this.#do.crash(leader, 0, plot.forMs);
      const isPower = plot.damage === "power";
      if (isPower ? !this.#budget.takePower(victim) : !this.#budget.take(victim)) return;
      this.#do.cutPower([victim], plot.downMs, () => {
        if (plot.damage === "wipe") victim.disk.wipe();
        if (plot.damage === "rot") victim.disk.rot(prng, (path) => path.endsWith(".log"));
      });
    });
  }

  #schism(plot: Of<"schism">): void {
    const { events, nodes } = this.#world;
    const before = new Set(nodes.find(({ status }) => status?.role === "leader")?.status?.voters ?? []);
    this.#watch((observation) => {
      if (observation.kind !== "configuration") return true;
      const { voters, node } = observation;
      const leader = nodes.find(({ id, status }) => id === node && status?.role === "leader");
      if (leader === undefined || voters.every((voter) => before.has(voter as never))) return true;
      const newcomers = nodes.filter(({ id }) => voters.includes(id) && !before.has(id as never));
      events.after(0, () => {
        const side = [leader, ...newcomers].map(({ index }) => index);
        if (!this.#do.isOver) this.#do.partition(side, false, plot.forMs);
      });
      return false;
    });
  }

  /** Shows `watcher` what happens until it has seen enough, or for {@link PATIENCE_MS}. */
  #watch(watcher: Watcher): void {
    const until = this.#world.events.now + PATIENCE_MS;
    this.#watchers.push((observation) => {
      return !this.#do.isOver && observation.at < until && watcher(observation);
    });
  }

  /** One of the voters, by `number`, or of all nodes where there are not enough; none of `not`. */
  #other(number: number, ...not: readonly SimNode[]): SimNode {
    const voters: readonly string[] = not[0]?.status?.voters ?? [];
    const others = this.#world.nodes.filter((node) => !not.includes(node));
    const voting = others.filter(({ id }) => voters.includes(id));
    const choice = voting.length > 0 ? voting : others;
    return choice[number % choice.length] as SimNode;
  }
}
