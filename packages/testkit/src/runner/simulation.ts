/**
 * One simulation from its schedule to its verdict, in three parts: the mesh forms, chaos, and then everything is healed and
 * the mesh must be well again in time (liveness: TigerBeetle's second phase).
 */

import type { ApplicationMessage } from "@skein/kernel";
import { type Checker, CheckFailure, type SimClientHost } from "../observations.ts";
import { between, mix, pick, randomStream } from "../world/random-streams.ts";
import { retainedSet, type SimNode } from "../world/sim-node.ts";
import type { SimProcess } from "../world/sim-process.ts";
import { World } from "../world/world.ts";
import { AcknowledgedRetained, OneLeaderPerTerm, SameLogEverywhere } from "./basic-checkers.ts";
import { FaultInjector } from "./inject-faults.ts";
import { LoadReads } from "./load-reads.ts";
import { mayLoseAcknowledged, type Schedule } from "./schedule.ts";
import { Standstill } from "./standstill.ts";
import { underTripwire } from "./tripwire.ts";

/** What a simulation came to. */
export interface Verdict {
  readonly seed: number;
  /** Undefined: all promises held. */
  readonly failure: Failure | undefined;
  /** Digest of everything observable: equal for equal schedules. */
  readonly hash: number;
  readonly simulatedMs: number;
  readonly events: number;
  readonly observations: number;
  /** Faults that struck, by kind. */
  readonly struck: Readonly<Record<string, number>>;
  /** It stood still after the heal, in the one case in which it may (standstill.ts): what comes after was not checked. */
  readonly isStandstill: boolean;
}

export interface Failure {
  /** Name of the checker, or of what went wrong outside them. */
  readonly what: string;
  readonly message: string;
  /** Ms of the world. */
  readonly at: number;
  /** Last log lines of all nodes, in order of time. */
  readonly logs: readonly string[];
}

/**
 * Puts load on a mesh. Called before the nodes start; clients reconnect for as long as it takes. What it returns is told
 * to rest once the mesh is healed, so that everything under way can end.
 */
export type Workload = (world: {
  readonly nodes: number;
  readonly client: (name: string) => SimClientHost;
}) => { rest(): void } | undefined;

export interface SimulationParts {
  readonly checkers?: readonly Checker[];
  readonly workload?: Workload;
}

const FORMED_BY_MS = 25_000;
const LEADER_WITHIN_MS = 10_000;
const SETTLED_WITHIN_MS = 20_000;
const REJOINED_WITHIN_MS = 30_000;
const SAME_WITHIN_MS = 10_000;
/** A workload goes on after the heal for that long, and then has as long for what is under way. */
const WORKLOAD_AFTER_HEAL_MS = 11_000;
const STEP_MS = 250;
const TOPICS = Array.from({ length: 12 }, (_, i) => `topic/${i}`);

/** Runs `schedule` to its end. Never throws for what the simulated code does wrong. */
export function simulate(schedule: Schedule, parts: SimulationParts = {}): Verdict {
  return underTripwire(() => new Simulation(schedule, parts).run());
}

class Simulation {
  readonly #schedule: Schedule;
  readonly #world: World;
  readonly #injector: FaultInjector;
  readonly #retained = new AcknowledgedRetained();
  readonly #standstill: Standstill;
  readonly #workload: { rest(): void } | undefined;
  #isWriting = true;
  #serial = 0;
  /** By payload: the process that has promised to acknowledge. */
  readonly #openWrites = new Map<string, SimProcess>();

  constructor(schedule: Schedule, parts: SimulationParts) {
    this.#schedule = schedule;
    this.#standstill = new Standstill(schedule);
    const basic = [new OneLeaderPerTerm(), new SameLogEverywhere(), this.#retained, this.#standstill];
    const reads = new LoadReads("topic/+", TOPICS);
    this.#world = new World(schedule.world, [...basic, ...(parts.checkers ?? []), reads]);
    reads.begin(this.#world);
    this.#injector = new FaultInjector(this.#world);
    const client = (name: string) => this.#world.addClient(name);
    this.#workload = parts.workload?.({ nodes: schedule.world.nodes, client });
  }

  run(): Verdict {
    let failure: Failure | undefined;
    let isStandstill = false;
    try {
      this.#formation();
      this.#world.events.runUntil(this.#schedule.chaosUntilMs);
      this.#heal();
    } catch (error) {
      isStandstill = this.#mayStandStill(error);
      if (!isStandstill) failure = this.#failureOf(error);
    }
    const { events, observations, hash, seed } = this.#world;
    return {
      seed,
      failure,
      hash: mix(hash, events.count),
      simulatedMs: events.now,
      events: events.count,
      observations,
      struck: Object.fromEntries(this.#injector.struck),
      isStandstill,
    };
  }

  #formation(): void {
    const world = this.#world;
    const prng = randomStream(world.seed, "formation");
    const spreadMs = pick(prng, [10, 500, 3000]);
    for (const node of world.nodes) world.events.at(prng.below(spreadMs), () => node.start());
    this.#injector.arm(this.#schedule);
    this.#until(() => this.#isWell(), FORMED_BY_MS, "the mesh forms");
    world.events.runUntil(this.#schedule.chaosFromMs);
    this.#write();
  }

  #heal(): void {
    const world = this.#world;
    const { events } = world;
    this.#injector.heal();
    this.#until(() => this.#haveJoined(), REJOINED_WITHIN_MS, "everybody joins the cluster");
    world.observe({ at: events.now, kind: "healed" });
    const healedAt = events.now;
    this.#until(() => this.#hasLeader(), LEADER_WITHIN_MS, "a leader after the heal");
    this.#isWriting = false;
    const left = SETTLED_WITHIN_MS - (events.now - healedAt);
    this.#until(
      () => this.#isWell() && !this.#isWaiting(),
      left,
      "all writes are acknowledged after the heal",
    );
    if (this.#workload !== undefined) {
      events.runUntil(Math.max(events.now, healedAt + WORKLOAD_AFTER_HEAL_MS));
      this.#workload.rest();
      events.runUntil(events.now + WORKLOAD_AFTER_HEAL_MS);
    }
    this.#compareReplicas();
    world.finish();
  }

  #isWell(): boolean {
    const { nodes } = this.#world;
    if (!this.#hasLeader() || !this.#haveJoined()) return false;
    return nodes.every(({ assembly, status }) => assembly?.isServing === true && status?.hasQuorum === true);
  }

  /** A majority of the machines knows the same leader, which knows that it leads. */
  #hasLeader(): boolean {
    const { nodes } = this.#world;
    const leader = nodes.find(({ status }) => status?.role === "leader" && status.hasQuorum)?.id;
    if (leader === undefined) return false;
    const followers = nodes.filter(({ status }) => status?.coordinator === leader && status.hasQuorum);
    return followers.length * 2 > nodes.length;
  }

  /** Everybody belongs to the cluster; a machine that was just wiped has to join it first. */
  #haveJoined(): boolean {
    const { nodes, cluster } = this.#world;
    return nodes.every(({ status }) => status === undefined || status.cluster === cluster);
  }

  /** One write after another, each of a random topic on a random node that serves. */
  #write(): void {
    if (!this.#isWriting) return;
    const world = this.#world;
    const prng = randomStream(world.seed, `write ${this.#serial}`);
    const serving = world.nodes.filter(
      ({ assembly, process }) => assembly?.isServing && process?.isPaused === false,
    );
    const node = serving[prng.below(Math.max(1, serving.length))];
    const { assembly, process, id } = node ?? {};
    if (assembly !== undefined && process !== undefined && id !== undefined) {
      const payloadId = `value ${this.#serial}`;
      const packet = { topic: pick(prng, TOPICS), payloadId, qos: 1, retain: true } as const;
      const message: ApplicationMessage = {
        ...packet,
        payload: Uint8Array.from(payloadId, (letter) => letter.charCodeAt(0)),
        properties: undefined,
      };
      world.observe({ at: world.events.now, node: id, kind: "publishSent", client: id, packet });
      this.#openWrites.set(payloadId, process);
      process.turn(() => this.#publish(assembly, id, payloadId, message));
    }
    this.#serial++;
    world.events.after(between(prng, 20, 400), () => this.#write());
  }

  #publish(
    assembly: NonNullable<World["nodes"][number]["assembly"]>,
    id: string,
    payloadId: string,
    message: ApplicationMessage,
  ): void {
    const world = this.#world;
    let parts = Number.POSITIVE_INFINITY;
    let settled = 0;
    let worst = 0;
    const settle = (reasonCode: number): void => {
      worst = Math.max(worst, reasonCode);
      if (++settled < parts) return;
      this.#openWrites.delete(payloadId);
      world.observe({
        at: world.events.now,
        node: id,
        kind: "publishAcked",
        client: id,
        payloadId,
        reasonCode: worst,
      });
    };
    parts = assembly.broker.publish(message, { settle });
  }

  /** A write is held. What a process held when it died nobody waits for. */
  #isWaiting(): boolean {
    return [...this.#openWrites.values()].some(({ isAlive }) => isAlive);
  }

  /** What was under way on a clogged link when it was healed still takes its time. */
  #compareReplicas(): void {
    const { events } = this.#world;
    const deadline = events.now + SAME_WITHIN_MS;
    let sets = this.#retainedSets();
    while (differentSets(sets).length > 1 && events.now < deadline) {
      events.runUntil(events.now + STEP_MS);
      sets = this.#retainedSets();
    }
    const different = differentSets(sets);
    if (different.length > 1) throw new CheckFailure("same retained set everywhere", different.join(" | "));
    if (!mayLoseAcknowledged(this.#schedule)) this.#retained.judge(sets);
  }

  #retainedSets(): readonly ReadonlyMap<string, string>[] {
    return this.#world.nodes.flatMap(({ assembly }) =>
      assembly === undefined ? [] : [retainedSet(assembly)],
    );
  }

  #until(condition: () => boolean, limitMs: number, what: string): void {
    const { events } = this.#world;
    const deadline = events.now + limitMs;
    while (!condition()) {
      if (events.now >= deadline) throw new CheckFailure("liveness", `not within ${limitMs} ms: ${what}`);
      events.runUntil(Math.min(deadline, events.now + STEP_MS));
    }
  }

  #mayStandStill(error: unknown): boolean {
    if (!(error instanceof CheckFailure) || error.checker !== "liveness") return false;
    const { nodes, cluster } = this.#world;
    const voters = nodes.find(({ status }) => cluster !== undefined && status?.cluster === cluster)?.status
      ?.voters;
    return this.#standstill.isAllowed(voters ?? [], new Set(nodes.map(({ id }) => id)));
  }

  #failureOf(error: unknown): Failure {
    const isCheck = error instanceof CheckFailure;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const logs = this.#world.nodes.flatMap((node) => node.logs);
    logs.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    return {
      what: isCheck ? error.checker : "exception",
      message: isCheck ? error.message : text,
      at: this.#world.events.now,
      logs: [...logs.slice(-60), ...this.#world.nodes.map(stateLine)],
    };
  }
}

function differentSets(sets: readonly ReadonlyMap<string, string>[]): readonly string[] {
  return [...new Set(sets.map((set) => JSON.stringify([...set])))];
}

/** What a node believes, for the end of the log of a failure. */
function stateLine({ id, host, process, status }: SimNode): string {
  const state = process === undefined ? "down" : process.isPaused ? "paused" : "runs";
  return `${host} ${id} ${state} ${JSON.stringify(status)}`;
}
