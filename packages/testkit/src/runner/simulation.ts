/**
 * One simulation from its schedule to its verdict, in three parts: the mesh forms, chaos, and then everything is healed and
 * the mesh must be well again in time (liveness: TigerBeetle's second phase).
 */

import { allCheckers } from "../checkers/all-checkers.ts";
import { EarlyRetainedWrites } from "../checkers/early-retained-writes.ts";
import { RetainedSurvivors } from "../checkers/retained-survivors.ts";
import type { Flight } from "../client/leaving.ts";
import { decodePayload } from "../client/payload.ts";
import { CheckFailure, type SimClientHost } from "../observations.ts";
import { conflictList } from "../world/conflict-list.ts";
import { mix, pick, randomStream } from "../world/random-streams.ts";
import { retainedSet } from "../world/retained-set.ts";
import type { SimNode } from "../world/sim-node.ts";
import { World } from "../world/world.ts";
import { AddressWatch } from "./address-watch.ts";
import { ForeignWatch } from "./foreign-watch.ts";
import { FaultInjector } from "./inject-faults.ts";
import { LoadReads } from "./load-reads.ts";
import { RetainedWrites, retainedTopics } from "./retained-writes.ts";
import { mayLoseAcknowledged, type Schedule } from "./schedule.ts";
import { SkewWatch } from "./skew-watch.ts";
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
  /** The newest log lines of all nodes, in order of time. */
  readonly logs: readonly string[];
  /** What each node believes, a line each. */
  readonly states: readonly string[];
}

/** Puts load on a mesh. Called before the nodes start; clients reconnect for as long as it takes. */
export type Workload = (world: {
  readonly nodes: number;
  readonly client: (name: string) => SimClientHost;
}) => RunningWorkload;

interface RunningWorkload {
  /** The mesh is healed: no new messages, so that everything under way can end. */
  rest(): void;
  /** Whoever keeps its session is back, and everything it had to say is acknowledged. */
  readonly isSettled: boolean;
  /** A client is told when to flee. */
  chase(client: number, flight: Flight): void;
}

/** Bytes that all connections of one node may hold for their readers together: 8 peers and some dozens of clients. */
const MEMORY_CAP_BYTES: ReadonlyMap<string, number> = new Map([["streams", 64 * 1024 * 1024]]);
const FORMED_BY_MS = 25_000;
const LEADER_WITHIN_MS = 10_000;
const SETTLED_WITHIN_MS = 20_000;
/** A joiner that gets the whole log of five minutes through a window of so many bytes a round trip, while packets get lost, takes three times as long. */
const NARROW_WINDOW_BYTES = 1000;
const REJOINED_WITHIN_MS = 30_000;
const SAME_WITHIN_MS = 10_000;
/** A workload goes on after the heal for that long, and then has as long for what is under way. */
const WORKLOAD_AFTER_HEAL_MS = 11_000;
/** Until a will is due whose client vanished with its node, with room (checkers/wills.ts). */
const LAST_WORDS_MS = 75_000;
const APPROVED_EVERY_MS = 7000;
const STEP_MS = 250;

/**
 * Runs `schedule` to its end with every checker watching; the load is retained writes at the nodes and, if given, `workload`.
 * Never throws for what the simulated code does wrong.
 */
export function simulate(schedule: Schedule, workload?: Workload): Verdict {
  return underTripwire(() => new Simulation(schedule, workload).run());
}

class Simulation {
  readonly #schedule: Schedule;
  readonly #world: World;
  readonly #injector: FaultInjector;
  readonly #retained = new RetainedSurvivors();
  readonly #early: EarlyRetainedWrites;
  readonly #writes: RetainedWrites;
  readonly #standstill: Standstill;
  readonly #addressWatch: AddressWatch;
  readonly #workload: RunningWorkload | undefined;
  /** Nodes that must run, as far as no fault keeps them from it. */
  #expected: readonly SimNode[] = [];

  constructor(schedule: Schedule, workload: Workload | undefined) {
    this.#schedule = schedule;
    this.#standstill = new Standstill(schedule);
    const { durability, onQuorumLoss, limits } = schedule.world;
    const { queuedMessagesMax } = limits ?? {};
    const address = { areConnected: (a: string, b: string) => this.#world.areLinked(a, b) };
    const checkers = allCheckers({
      durability,
      onQuorumLoss,
      memoryCapBytes: MEMORY_CAP_BYTES,
      address,
      queuedMessagesMax,
    });
    const topics = retainedTopics(schedule.topics);
    const reads = new LoadReads("topic/+", topics);
    this.#early = new EarlyRetainedWrites(durability);
    const last = [this.#retained, this.#early, this.#standstill, reads];
    this.#world = new World(schedule.world, [...checkers, ...last]);
    reads.begin(this.#world);
    this.#addressWatch = new AddressWatch(this.#world, schedule.faults);
    this.#writes = new RetainedWrites(this.#world, topics);
    const client = (name: string) => this.#world.addClient(name);
    this.#workload = workload?.({ nodes: schedule.world.nodes, client });
    this.#injector = new FaultInjector(this.#world, (number, flight) =>
      this.#workload?.chase(number, flight),
    );
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
    const late = new Set(
      this.#schedule.faults.map((fault) => (fault.kind === "arrive" ? fault.node : undefined)),
    );
    this.#expected = world.nodes.filter(({ index }) => !late.has(index));
    for (const node of this.#expected) world.events.at(prng.below(spreadMs), () => node.start());
    for (const stranger of world.strangers) world.events.at(prng.below(spreadMs), () => stranger.start());
    if (world.options.outdated !== undefined) new SkewWatch(world).begin();
    if (world.strangers.length > 0) new ForeignWatch(world).begin();
    this.#injector.arm(this.#schedule);
    const isApart = this.#schedule.faults.some(({ kind }) => kind === "apart");
    this.#until(() => (isApart ? this.#haveQuorum() : this.#isWell()), FORMED_BY_MS, "the mesh forms");
    world.events.runUntil(this.#schedule.chaosFromMs);
    this.#addressWatch.begin();
    if (this.#schedule.isQuiet !== true) this.#writes.begin();
    this.#approve();
  }

  /** The operator looks at the status pages now and then, and agrees to what waits for that, on whichever side. */
  #approve(): void {
    const { events } = this.#world;
    for (const { assembly, process, status } of this.#world.nodes)
      if (status?.merge?.kind === "awaitingApproval")
        process?.turn(() => assembly?.coordinator.merging.approve({ settle: () => {} }));
    events.after(APPROVED_EVERY_MS, () => this.#approve());
  }

  #heal(): void {
    const world = this.#world;
    const { events } = world;
    this.#expected = this.#injector.healMajority();
    this.#until(() => this.#haveJoined(), REJOINED_WITHIN_MS * this.#slowness, "everybody joins the cluster");
    world.observe({ at: events.now, kind: "healed" });
    const healedAt = events.now;
    this.#until(() => this.#hasLeader(), LEADER_WITHIN_MS, "a leader after the heal");
    this.#writes.rest();
    const left = SETTLED_WITHIN_MS * this.#slowness - (events.now - healedAt);
    this.#until(
      () => this.#isWell() && !this.#writes.isWaiting,
      left,
      "all writes are acknowledged after the heal",
    );
    if (this.#workload !== undefined) {
      events.runUntil(Math.max(events.now, healedAt + WORKLOAD_AFTER_HEAL_MS));
      this.#workload.rest();
      events.runUntil(events.now + WORKLOAD_AFTER_HEAL_MS);
    }
    this.#injector.healRest();
    this.#expected = world.nodes;
    this.#until(() => this.#isWell() && !this.#writes.isWaiting, SETTLED_WITHIN_MS, "who was away is back");
    if (this.#workload !== undefined) this.#drain(this.#workload);
    this.#judgeEarlyWrites();
    this.#compareReplicas();
    world.finish();
  }

  /** Everybody comes back to a whole mesh and gets what is owed; what waits for those who are gone for good comes to its time. */
  #drain(workload: RunningWorkload): void {
    const { events } = this.#world;
    this.#until(() => workload.isSettled, SETTLED_WITHIN_MS, "clients are back and have said everything");
    events.runUntil(events.now + LAST_WORDS_MS);
  }

  get #slowness(): number {
    const { appendBytesMax = Number.POSITIVE_INFINITY, inflightMax = 1 } = this.#schedule.world.sizes ?? {};
    return appendBytesMax * inflightMax <= NARROW_WINDOW_BYTES ? 3 : 1;
  }

  #isWell(): boolean {
    return this.#hasLeader() && this.#haveJoined() && this.#haveQuorum();
  }

  /** Everybody serves in a cluster with a leader, be it the same or not. */
  #haveQuorum(): boolean {
    return this.#expected.every(
      ({ assembly, status }) => assembly?.isServing === true && status?.hasQuorum === true,
    );
  }

  /** A majority of those that are expected to run knows the same leader, which knows that it leads. */
  #hasLeader(): boolean {
    const nodes = this.#expected;
    const leader = nodes.find(({ status }) => status?.role === "leader" && status.hasQuorum)?.id;
    if (leader === undefined) return false;
    const followers = nodes.filter(({ status }) => status?.coordinator === leader && status.hasQuorum);
    return followers.length * 2 > nodes.length;
  }

  /** Everybody belongs to the same cluster; a machine that was just wiped has to join it first, two clusters have to merge. */
  #haveJoined(): boolean {
    const clusters = new Set(this.#expected.map(({ status }) => status?.cluster));
    return clusters.size === 1 && !clusters.has(undefined);
  }

  /** What was acknowledged without a quorum is on its way into the log when the quorum is back; nobody waits for it. */
  #judgeEarlyWrites(): void {
    const { events } = this.#world;
    const deadline = events.now + SETTLED_WITHIN_MS;
    let missing = this.#missingEarlyWrite();
    while (missing !== undefined && events.now < deadline) {
      events.runUntil(events.now + STEP_MS);
      missing = this.#missingEarlyWrite();
    }
    if (missing !== undefined) throw new CheckFailure(this.#early.name, missing);
  }

  /** By what the first node holds that runs: that all hold the same is judged next. */
  #missingEarlyWrite(): string | undefined {
    const running = this.#world.nodes.flatMap(({ assembly }) => assembly ?? []);
    const served = new Map<string, string>();
    for (const { topic, payload } of running[0]?.coordinator.retained.entries() ?? [])
      served.set(topic, decodePayload(payload));
    return this.#early.missing(served, running.map(conflictList));
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
    const { nodes } = this.#world;
    const present = new Set(nodes.map(({ id }) => id));
    return nodes.some(({ status }) => {
      return (
        status?.cluster !== undefined && this.#standstill.isAllowed(status.cluster, status.voters, present)
      );
    });
  }

  #failureOf(error: unknown): Failure {
    const isCheck = error instanceof CheckFailure;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const machines = [...this.#world.nodes, ...this.#world.strangers];
    const logs = machines.flatMap((node) => node.logs);
    logs.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
    return {
      what: isCheck ? error.checker : "exception",
      message: isCheck ? error.message : text,
      at: this.#world.events.now,
      logs,
      states: machines.map(stateLine),
    };
  }
}

function differentSets(sets: readonly ReadonlyMap<string, string>[]): readonly string[] {
  return [...new Set(sets.map((set) => JSON.stringify([...set])))];
}

function stateLine({ id, host, process, status }: SimNode): string {
  const state = process === undefined ? "down" : process.isPaused ? "paused" : "runs";
  return `${host} ${id} ${state} ${JSON.stringify(status)}`;
}
