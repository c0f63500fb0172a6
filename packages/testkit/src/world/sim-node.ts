/**
 * One machine of a simulated mesh with the whole shipped node on it.
 *
 * The machine (disk, clocks, power) lives on; the process comes and goes. The node itself is `NodeAssembly` from the program,
 * with simulated ports. What it does to the replicated log is observed at the end of the turn in which it did it, because
 * only then its status says which cluster it belongs to.
 */

import type { CoordinatorStatus, ObservedEntry } from "@skein/coordinator";
import { type Log, type LogFields, SkeinError, type StreamListener } from "@skein/kernel";
import { NodeAssembly } from "skein/assembly";
import { CheckFailure, type NodeObservation } from "../observations.ts";
import { type Allegiance, HOME } from "./allegiance.ts";
import { appliedClusterCommand, appliedCommand, passedSessions } from "./applied-commands.ts";
import { MachineSleep, machineClock } from "./machine-sleep.ts";
import { mix, mixBytes, randomStream } from "./random-streams.ts";
import { settingsOf } from "./settings.ts";
import { SimDisk } from "./sim-disk.ts";
import { type MachineClock, SimProcess } from "./sim-process.ts";
import { StatusWatch } from "./status-watch.ts";
import type { World } from "./world.ts";

export const MQTT_PORT = 1883;
const SUPERVISOR_RESTART_MS = 1000;
/** What the journal says of it (recovery.ts). */
const SNAPSHOT_DAMAGED = "snapshot damaged, set aside";
const LOG_LINES_KEPT = 400;

/** What it did to the log in the turn under way. */
type LogStep =
  | { readonly kind: "role"; readonly role: string; readonly term: number }
  | { readonly kind: "applied"; readonly entry: ObservedEntry }
  | { readonly kind: "restored"; readonly index: number; readonly term: number };

export class SimNode {
  readonly index: number;
  readonly allegiance: Allegiance;
  readonly disk: SimDisk;
  readonly machine: MachineClock;
  readonly logs: string[] = [];
  /** The program on it is of the version before. To be changed only while none runs. */
  isOutdated: boolean;
  readonly #world: World;
  #process: SimProcess | undefined;
  #assembly: NodeAssembly | undefined;
  #listener: StreamListener | undefined;
  #isPowered = true;
  #host: string;
  #id = "";
  /** Whose disk this one's was copied from. */
  #copyOf: string | undefined;
  #starts = 0;
  #boots = 0;
  #steps: LogStep[] = [];
  /** Where the node that runs here belongs. */
  #cluster: string | undefined;
  #hash = 0;
  #status: CoordinatorStatus | undefined;
  #lastStatus: CoordinatorStatus | undefined;
  readonly #said: StatusWatch;
  readonly sleep: MachineSleep;

  constructor(world: World, index: number, ratePerMillion: number, allegiance = HOME) {
    this.#world = world;
    this.index = index;
    this.allegiance = allegiance;
    this.isOutdated = world.options.outdated?.includes(index) === true;
    this.#host = `10.0.0.${index + 1}`;
    this.disk = new SimDisk(world.events, randomStream(world.seed, `disk ${index}`));
    this.machine = machineClock(world.prng, ratePerMillion);
    this.sleep = new MachineSleep(index, this.machine, world.events, world.floating);
    this.#said = new StatusWatch(
      (observation) => this.#observe(observation),
      (status) => this.sleep.leaseUntil(status),
    );
  }

  /** Id of the node that runs here or ran here last; empty before the first start. */
  get id(): string {
    return this.#id;
  }

  /** The machine's address. */
  get host(): string {
    return this.#host;
  }

  /** Another lease: the machine, which is off, comes back with another address. */
  readdress(): void {
    const [, , network = "", own = ""] = this.#host.split(".");
    this.#host = `10.0.${Number(network) + 2}.${own}`;
  }

  /** The machine, which is off, comes back with an address that another one had. */
  takeOver(host: string): void {
    this.#host = host;
  }

  /** The machine, which is off, gets a copy of the disk of `other` in place of its own. */
  copyDiskOf(other: SimNode): void {
    this.disk.cloneFrom(other.disk);
    this.#copyOf = other.id;
  }

  /** How often a process was started here. */
  get starts(): number {
    return this.#starts;
  }

  get isPowered(): boolean {
    return this.#isPowered;
  }

  get process(): SimProcess | undefined {
    return this.#process;
  }

  /** The node, while its process runs. */
  get assembly(): NodeAssembly | undefined {
    return this.#assembly;
  }

  get status(): CoordinatorStatus | undefined {
    return this.#assembly?.coordinator.status;
  }

  /** What the node said when it last belonged to a cluster, be it down now or unable to start. */
  get lastStatus(): CoordinatorStatus | undefined {
    return this.#lastStatus;
  }

  isLinkedTo(id: string): boolean {
    return this.#assembly?.mesh.members.some((member) => member.id === id && member.isLinked) === true;
  }

  /** Switches the machine on, if it is off, and starts the process. Nothing happens if it runs. */
  start(): void {
    if (this.#process !== undefined) return;
    const world = this.#world;
    if (!this.#isPowered) {
      this.#isPowered = true;
      this.#boots++;
      this.machine.bootedAt = world.events.now;
      this.sleep.forget();
      world.network.moveTo(this.index);
    }
    const process = new SimProcess(world.events, this.machine, () => this.#gone("crash"));
    this.#process = process;
    process.afterTurn = () => this.#afterTurn();
    process.turn(() => {
      try {
        this.#run(process);
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error;
        // As the program: one sentence and an exit code, and the supervisor tries again.
        this.#logLine("error", {}, error.message);
        this.#stopped("crash");
        this.#restartSoon();
      }
    });
  }

  /** The process is gone at once (kill -9), or the whole machine is. */
  kill(how: "crash" | "power"): void {
    if (how === "power") {
      this.#isPowered = false;
      if (this.#id !== "") this.#observe({ kind: "damaged", how });
    } else this.sleep.wake();
    if (this.#process !== undefined) {
      this.#process.kill();
      this.#gone(how);
    }
    if (how === "power") {
      this.disk.cutPower();
      this.#world.floating.powerLost(this.index);
    }
  }

  /** Dies instead of one of its next effects. */
  dieAfter(effects: number): void {
    this.#process?.dieAfter(effects);
  }

  /** Stops in order and calls `then`. */
  stop(then: () => void): void {
    const assembly = this.#assembly;
    this.#process?.turn(() => {
      if (assembly === undefined || !assembly.beginStop()) return;
      this.#listener?.close();
      assembly.finishStop(() => {
        this.#stopped("clean");
        then();
      });
    });
  }

  pause(): void {
    if (this.#process === undefined || this.#process.isPaused) return;
    this.#process.pause();
    this.#observe({ kind: "stopped", how: "pause" });
  }

  resume(): void {
    if (this.#process === undefined || !this.#process.isPaused) return;
    this.sleep.wake();
    this.#observe({ kind: "stopped", how: "resume" });
    this.#process.resume();
  }

  /** The machine sleeps for `forMs`, its clocks and the timers of its kernel with it. */
  suspend(forMs: number): void {
    if (this.#process === undefined || this.#process.isPaused) return;
    this.pause();
    this.sleep.begin(forMs, () => this.resume());
  }

  #run(process: SimProcess): void {
    const world = this.#world;
    const { host, index } = this;
    const random = randomStream(world.seed, `random ${index} ${this.#starts++}`);
    this.#steps = [];
    this.#hash = 0;
    this.#status = undefined;
    this.#said.begin();
    this.#cluster = undefined;
    const assembly = new NodeAssembly(settingsOf(world, this), {
      clock: process.clock,
      random: { bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)) },
      disk: this.disk.openFor(process),
      bootId: `boot-${this.#boots}`,
      hardware: `hardware-${index}`,
      network: this.sleep.network(host),
      host: () => ({
        machine: index.toString(16).padStart(16, "a"),
        isWired: true,
        mqttPort: MQTT_PORT,
        httpPort: 0,
      }),
      transport: () => {
        const locate = (name: string) => world.locate(index, name);
        return world.network.transport(process, index, host, locate, this.allegiance.key);
      },
      authenticator: world.options.authenticator,
      mdns: world.multicast.openFor(process, index, host),
      process: world.floating.openFor(process, index),
      log: (component) => this.#log(component),
      linksOpen: (error) => {
        if (error !== undefined) throw error;
        assembly.begin();
      },
      ready: () => this.#serve(process, assembly),
      clientsLeave: () => this.#listener?.close(),
      failed: (error) => {
        this.#logLine("error", { error: error.message }, "node must stop");
        if (error instanceof SkeinError && error.code === "ERR_SKEIN_VERSION")
          throw new CheckFailure(
            "version skew",
            `${this.#id} speaks what it must, and is told: ${error.message}`,
          );
        this.stop(() => this.#restartSoon());
      },
      startAgain: () => this.stop(() => this.#restartSoon()),
      observer: {
        leadershipChanged: (role, term) => this.#steps.push({ kind: "role", role, term }),
        applied: (entry) => this.#steps.push({ kind: "applied", entry }),
        restored: (index, term) => this.#steps.push({ kind: "restored", index, term }),
        readUncertain: () => this.#observe({ kind: "readUncertain" }),
      },
    });
    this.#assembly = assembly;
    const { node, incarnation } = assembly.identity;
    const isCopy = node === this.#copyOf;
    const id = isCopy ? `${node} (copy)` : node;
    if (this.#id !== "" && this.#id !== id) this.#observe({ kind: "vanished" });
    this.#id = id;
    this.#observe({ kind: "started", incarnation });
    if (isCopy) this.#observe({ kind: "copied", of: node });
    this.#world.disturbances.started(this);
    assembly.start();
  }

  #serve(process: SimProcess, assembly: NodeAssembly): void {
    const listener = { allowAnonymous: true, name: "mqtt", port: MQTT_PORT };
    const result = this.#world.network.listen(this.index, MQTT_PORT, {
      process,
      accepted: (stream) => assembly.broker.accept(stream, listener),
    });
    if (result instanceof Error) throw result;
    this.#listener = result;
    assembly.clientsWelcome();
  }

  #gone(how: "crash" | "power"): void {
    this.#flushSteps();
    this.#stopped(how);
  }

  #stopped(how: "crash" | "power" | "clean"): void {
    const process = this.#process;
    if (process === undefined) return;
    process.kill();
    // What was in store for it must not strike a later one, when the budget of damage counts this machine as whole again.
    this.disk.faults.syncsFailing = 0;
    this.#process = undefined;
    this.#assembly = undefined;
    this.#listener = undefined;
    this.#world.network.processGone(process, how !== "power");
    this.#world.multicast.processGone(process);
    this.#said.end();
    this.#observe({ kind: "stopped", how });
  }

  #restartSoon(): void {
    this.#world.events.after(SUPERVISOR_RESTART_MS, () => {
      if (this.#isPowered) this.start();
    });
  }

  #afterTurn(): void {
    const { status } = this;
    if (status === this.#status && this.#steps.length === 0) return;
    this.#status = status;
    if (status?.cluster !== undefined && status.cluster !== this.#cluster) {
      this.#cluster = status.cluster;
      this.#observe({ kind: "belongs", to: status.cluster });
    }
    this.#flushSteps();
    if (status?.cluster === undefined) return;
    this.#lastStatus = status;
    this.#said.saw(status);
  }

  #flushSteps(): void {
    const [steps, cluster] = [this.#steps, this.#cluster];
    if (steps.length === 0) return;
    this.#steps = [];
    if (cluster === undefined || this.allegiance !== HOME) return;
    for (const step of steps) this.#observeStep(step, cluster);
  }

  #observeStep(step: LogStep, cluster: string): void {
    const oracle = this.#world.oracle(cluster);
    if (step.kind === "role") {
      if (step.role === "leader") this.#observe({ kind: "leader", term: step.term });
      else if (step.role === "candidate") this.#observe({ kind: "election" });
    } else if (step.kind === "restored") {
      this.#hash = oracle.hashAt(step.index);
      this.#observe(step);
    } else {
      const { index, term, data } = step.entry;
      this.#hash = mixBytes(mix(this.#hash, term), data);
      oracle.applied(index, term, this.#hash);
      // By far the most frequent one: made in one piece.
      const { now: at } = this.#world.events;
      const { hash, id: node } = { hash: this.#hash, id: this.#id };
      const [command, clusters] = [appliedCommand(step.entry), appliedClusterCommand(step.entry)];
      const passed = passedSessions(step.entry);
      this.#world.observe({
        at,
        node,
        cluster,
        kind: "applied",
        index,
        term,
        hash,
        command,
        clusters,
        passed,
      });
    }
  }

  /** Nodes of other meshes are no business of the checkers. */
  #observe(observation: NodeObservation): void {
    if (this.allegiance !== HOME) return;
    const [at, node] = [this.#world.events.now, this.#id];
    const cluster = this.#cluster;
    this.#world.observe(
      cluster === undefined ? { at, node, ...observation } : { at, node, cluster, ...observation },
    );
  }

  #log(component: string): Log {
    const line = (level: string) => (fields: LogFields, message: string) => {
      this.#logLine(level, fields, `${component}: ${message}`);
    };
    return { error: line("error"), warn: line("warn"), info: line("info"), debug: () => {} };
  }

  #logLine(level: string, fields: LogFields, message: string): void {
    if (message.endsWith(SNAPSHOT_DAMAGED)) this.#observe({ kind: "snapshotDamaged" });
    const at = this.#world.events.now.toFixed(0);
    if (this.logs.push(`${at} ${this.host} ${level} ${message} ${JSON.stringify(fields)}`) > LOG_LINES_KEPT)
      this.logs.shift();
  }
}
