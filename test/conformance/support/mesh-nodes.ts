/**
 * A mesh of real nodes: the shipped assembly (broker, mesh, coordinator, journal) of each in one process, on the simulator's
 * time, network and disks. The clients' connections are the tests' own, so that a test sees every write.
 *
 * Nothing tells when a mesh has come to rest: it never stops talking. It is given more time than any answer takes on a
 * network that is fast and loses nothing, which is still too little for any deadline of MQTT.
 */

import type { Authenticator, Broker, BrokerOptions } from "@skein/broker";
import { World as Simulation } from "@skein/testkit";
import { FROM_ONE_ADDRESS } from "./lone-node.ts";
import type { Nodes } from "./nodes.ts";

/** Twenty times the way through the log and back. */
export const SETTLE_MS = 16;
const FORMED_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 250;

type Assembly = NonNullable<Simulation["nodes"][number]["assembly"]>;

export class MeshNodes implements Nodes {
  readonly brokers: readonly Broker[];
  readonly #simulation: Simulation;

  constructor(count: number, limits: Partial<BrokerOptions>, authenticator?: Authenticator) {
    this.#simulation = new Simulation(
      {
        seed: 1,
        nodes: count,
        clients: 0,
        network: { delayMinMs: 1 / 16, delaySpreadMs: 0, lossPerMille: 0, splitPerMille: 0 },
        multicast: { lossPerMille: 0, duplicatePerMille: 0, delaySpreadMs: 0 },
        hasStaticPeers: true,
        durability: "replicated",
        timing: "wired",
        sizes: {},
        driftPerMillionMax: 0,
        limits: { ...FROM_ONE_ADDRESS, ...limits },
        authenticator,
      },
      [],
    );
    for (const node of this.#simulation.nodes) node.start();
    const { events } = this.#simulation;
    while (!this.#hasFormed()) {
      if (events.now > FORMED_WITHIN_MS) throw new Error("the mesh does not form");
      events.runUntil(events.now + LOOK_EVERY_MS);
    }
    this.brokers = this.#assemblies.map(({ broker }) => broker);
  }

  get retainedCount(): number {
    return this.#agreed(({ coordinator }) => coordinator.retained.count);
  }

  get sessionCount(): number {
    const kept = this.#agreed(({ coordinator }) => coordinator.sessions.count);
    return this.brokers.reduce((count, { sessionCount }) => count + sessionCount - kept, kept);
  }

  settle(): void {
    this.pass(SETTLE_MS);
  }

  pass(ms: number): void {
    const { events } = this.#simulation;
    events.runUntil(events.now + ms);
  }

  standStill(ms: number): void {
    for (const node of this.#simulation.nodes) node.pause();
    this.pass(ms);
    for (const node of this.#simulation.nodes) node.resume();
  }

  /** What every node counts alike. */
  #agreed(count: (assembly: Assembly) => number): number {
    const counts = new Set(this.#assemblies.map(count));
    const [agreed] = counts;
    if (agreed === undefined || counts.size !== 1) throw new Error("the nodes do not hold the same");
    return agreed;
  }

  get #assemblies() {
    return this.#simulation.nodes.flatMap(({ assembly }) => (assembly === undefined ? [] : [assembly]));
  }

  /** All serve, all are linked, and as many vote as ever will. */
  #hasFormed(): boolean {
    const { nodes } = this.#simulation;
    const all = this.#assemblies;
    if (all.length < nodes.length) return false;
    return all.every(({ isServing, mesh, coordinator: { status } }) => {
      const links = mesh.members.filter(({ isLinked }) => isLinked).length;
      const isLinked = links === nodes.length - 1;
      return isServing && isLinked && status.hasQuorum && status.voters.length === nodes.length;
    });
  }
}
