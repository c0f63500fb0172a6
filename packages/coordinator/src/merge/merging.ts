/**
 * The merge with other clusters of this mesh as one node takes part in it: feeds the planner (merge-planner.ts) with what the
 * replica, Raft and the member list say, and carries out what it wants. It also keeps the hybrid clock, which a merge needs to
 * compare what was written where.
 */

import type { Clock, ClusterId, Completion, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { ControlFrame } from "../frames.ts";
import { HybridClock, STAMPS_PER_MS, type Stamp } from "../hybrid-clock.ts";
import type { PeerView } from "../options.ts";
import type { Driver } from "../replica/driver.ts";
import type { Applied } from "../state-machine/applied.ts";
import { type ClusterCommand, encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import type { Envelope, Operation } from "../state-machine/commands.ts";
import type { Conflict } from "../state-machine/conflicts.ts";
import { EXPORT_FORMAT, MergeExport } from "../state-machine/merge-export.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import { foreignClustersIn } from "./foreign-cluster.ts";
import type {
  MergeEffect,
  MergeEvent,
  MergeNews,
  MergeOptions,
  MergeStatus,
  OutdatedNews,
  OwnCluster,
} from "./merge-events.ts";
import { MergePlanner } from "./merge-planner.ts";
import { OTHERS_MAX } from "./other-clusters.ts";

type MergeFrame = ControlFrame & { readonly kind: "merge" };
type Event = MergeEvent extends infer E ? (E extends MergeEvent ? Omit<E, "own"> : never) : never;

/** A jump of the cluster's time by more than this is put into its log at once. */
const TIME_JUMP: Stamp = 300_000 * STAMPS_PER_MS;
const WARN_EVERY_MS = 60_000;

export interface MergingPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly cluster: () => ClusterId | undefined;
  readonly peers: () => readonly PeerView[];
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  readonly send: (to: NodeId, frame: ControlFrame) => void;
  /** Proposes in this node's own sequence. */
  readonly propose: (operation: Operation, done: Completion) => void;
  /** The cluster goes on: what was held may be proposed again. */
  readonly resumed: () => void;
  readonly startAgain: (reason: string) => void;
  readonly merged?: ((news: MergeNews) => void) | undefined;
  readonly outdated?: ((news: OutdatedNews) => void) | undefined;
}

export class Merging {
  readonly #machine: StateMachine;
  readonly #ports: MergingPorts;
  readonly #planner: MergePlanner;
  readonly #time = new HybridClock();
  #pieces: { readonly cut: number; readonly of: MergeExport } | undefined;
  /** Commands about clusters that were applied in the turn under way, and what found no room. */
  #applied: { readonly command: ClusterCommand; readonly refused: number }[] = [];
  #inSight: readonly ClusterId[] = [];
  /** Clusters that something came from since this node started: what it applies of a merge with another one is long past. */
  readonly #heard = new Set<ClusterId>();
  /** Number of the newest conflict when the last merge was over. */
  #lastConflict = 0;
  /** Members of other clusters are written to in turn. */
  #turn = 0;
  #hasTimeJumped = false;
  #warnAt = 0;

  constructor(machine: StateMachine, options: MergeOptions, ports: MergingPorts) {
    this.#machine = machine;
    this.#ports = ports;
    this.#planner = new MergePlanner(options);
  }

  /** What time it is in the cluster; 0: not known yet. */
  get time(): Stamp {
    return this.#time.estimate(this.#ports.clock.monotonicMs());
  }

  /**
   * A stamp for what is asked for now. As long as nobody has said what time it is a claim has none (0), and counts as made when it comes
   * into the log.
   */
  stamp({ kind }: Operation): Stamp {
    const stamp = this.#time.next(this.#ports.clock.monotonicMs());
    return kind === "open" && this.#machine.newest === 0 ? 0 : stamp;
  }

  /** Something was written at that time, as this node had it. */
  observe(stamp: Stamp): void {
    this.#time.observe(stamp, this.#ports.clock.monotonicMs());
  }

  /** How things stand with the other cluster that is in sight; undefined: there is none. */
  get status(): MergeStatus | undefined {
    const { dissolution, merging } = this.#machine.clusters;
    if (this.#inSight.length === 0 && dissolution === undefined && merging === undefined) return undefined;
    const own = this.#own();
    return own === undefined ? undefined : this.#planner.status(own);
  }

  /** Another cluster in sight has the better claim to the floating address. */
  get isOutranked(): boolean {
    const own = this.#inSight.length === 0 ? undefined : this.#own();
    return own !== undefined && this.#planner.isOutranked(own);
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    const { peers, cluster } = this.#ports;
    this.#keepTime(now);
    this.#inSight = foreignClustersIn(peers(), cluster());
    this.#step({ kind: "tick", inSight: this.#inSight });
    this.#hasTimeJumped = false;
    this.#warn(now);
  }

  /** A frame from another cluster, or from a member of this one that has passed it on. False: not for this node. */
  received(from: NodeId, frame: MergeFrame): boolean {
    const { peers, driver, cluster, send } = this.#ports;
    if (frame.to !== cluster()) return false;
    if (this.#heard.size < OTHERS_MAX) this.#heard.add(frame.cluster);
    this.#step({ kind: "received", from: frame.cluster, message: frame.message });
    const leader = driver()?.leadership.leader as NodeId | undefined;
    const isPassedOn = peers().some(({ id, cluster: theirs }) => id === from && theirs === frame.to);
    const isLeader = driver()?.leadership.role === "leader";
    if (!isLeader && !isPassedOn && leader !== undefined) send(leader, frame);
    return true;
  }

  /** A committed command went through the state machine. What follows from it waits for the end of the turn. */
  applied({ outcome, command, clusterCommand, refused = 0, outdated }: Applied): void {
    const { clock } = this.#ports;
    this.#time.observe(this.#machine.newest, clock.monotonicMs());
    if (command !== undefined && outdated !== undefined) this.#outdated(command.envelope, outdated);
    if (clusterCommand === undefined || outcome !== "applied") return;
    this.#applied.push({ command: clusterCommand, refused });
    if (this.#applied.length === 1) clock.atTurnEnd(() => this.#handleApplied());
  }

  /** The state machine was replaced by a snapshot. */
  restored(): void {
    this.#time.observe(this.#machine.newest, this.#ports.clock.monotonicMs());
    this.#pieces = undefined;
    this.#lastConflict = this.#machine.conflicts.lastId;
  }

  /** Retained values that gave way to others, oldest first, as this replica knows them. */
  get conflicts(): readonly Conflict[] {
    return this.#machine.conflicts.all();
  }

  /** How many of them had to go for want of room. */
  get droppedConflicts(): number {
    return this.#machine.conflicts.dropped;
  }

  get conflictCount(): number {
    return this.#machine.conflicts.count;
  }

  /** Agrees to merge with the cluster in sight, if it waits for that. Returns it; undefined: none waits. */
  approve(done: Completion): ClusterId | undefined {
    const { status } = this;
    if (status?.kind !== "awaitingApproval" && status?.kind !== "comparing") return undefined;
    this.#ports.propose({ kind: "mergeApprove", cluster: status.other }, done);
    return status.other;
  }

  /** Forgets the values that gave way to others, those that are known here now. */
  clearConflicts(done: Completion): void {
    this.#ports.propose({ kind: "conflictsClear", through: this.#machine.conflicts.lastId }, done);
  }

  #handleApplied(): void {
    const commands = this.#applied;
    this.#applied = [];
    for (const { command, refused } of commands) {
      this.#logCommand(command, refused);
      if (command.kind === "resume") this.#ports.resumed();
      if (command.kind === "merged") this.#merged(command, refused);
      this.#step({ kind: "applied", command });
    }
  }

  #outdated({ node, incarnation }: Envelope, topic: string): void {
    this.#lastConflict = this.#machine.conflicts.lastId;
    this.#ports.clock.atTurnEnd(() => this.#ports.outdated?.({ node, incarnation, topic }));
  }

  #merged({ loser, cut }: ClusterCommand & { readonly kind: "merged" }, refused: number): void {
    const { conflicts } = this.#machine;
    const news = conflicts.all().filter(({ id }) => id > this.#lastConflict);
    this.#lastConflict = conflicts.lastId;
    if (!this.#heard.has(loser)) return;
    this.#ports.merged?.({ loser, cut, conflicts: news.map(({ message }) => message.topic), refused });
  }

  #step(event: Event): void {
    const own = this.#own();
    if (own === undefined) return;
    const now = this.#ports.clock.monotonicMs();
    for (const effect of this.#planner.step({ ...event, own }, now)) this.#carryOut(own.cluster, effect);
  }

  #carryOut(cluster: ClusterId, effect: MergeEffect): void {
    const { driver, peers, send, startAgain } = this.#ports;
    switch (effect.kind) {
      case "propose":
        driver()?.propose([encodeClusterCommand(effect.command)]);
        return;
      case "startAgain":
        startAgain(`cluster ${cluster} has been merged into ${effect.winner}`);
        return;
      case "send":
      case "sendAll": {
        const { to, message } = effect;
        const members = peers().filter((peer) => isInSight(peer) && peer.cluster === to);
        const one = members[this.#turn++ % Math.max(1, members.length)];
        const receivers = effect.kind === "sendAll" ? members : one === undefined ? [] : [one];
        for (const { id } of receivers) send(id, { kind: "merge", cluster, to, message });
        return;
      }
    }
  }

  /**
   * This node may lead now. If it was down, its time is behind by that, and so would be the stamps of what it writes before the wall clock has
   * been looked at. A founder, and whoever finds that the time has jumped, begins its term with that: what
   * was written meanwhile has the stamps of clocks that nobody had set, and counts as written now.
   */
  leadershipChanged(): void {
    this.#keepTime(this.#ports.clock.monotonicMs());
    const driver = this.#ports.driver();
    if (driver?.leadership.role !== "leader" || !(this.#hasTimeJumped || this.#machine.newest === 0)) return;
    const { ageMinutes } = this.#machine.clusters;
    const tick = encodeClusterCommand({ kind: "tick", stamp: this.time, ageMinutes });
    // Otherwise the planner says so with its next tick.
    if (driver.propose([tick])) this.#hasTimeJumped = false;
  }

  #own(): OwnCluster | undefined {
    const { cluster: currentCluster, driver: currentDriver, clock } = this.#ports;
    const [cluster, driver] = [currentCluster(), currentDriver()];
    if (cluster === undefined || driver === undefined) return undefined;
    const { leadership, applied, appliedConfiguration } = driver;
    const now = clock.monotonicMs();
    const { voters, learners } = appliedConfiguration;
    const { clusters, retained } = this.#machine;
    // One that has been elected and commits nothing leads nobody: it says nothing to other clusters, either.
    const hasCommitted = applied.term === leadership.term;
    return {
      cluster,
      isLeader: leadership.role === "leader" && hasCommitted,
      hasLeader: leadership.leader !== undefined && hasCommitted,
      clusters,
      summary: {
        voters: voters.length,
        nodes: voters.length + learners.length,
        commitIndex: driver.status(now).commitIndex,
        retainedCount: retained.count,
        retainedBytes: retained.bytes,
        exportFormat: EXPORT_FORMAT,
      },
      time: this.#time.estimate(now),
      hasTimeJumped: this.#hasTimeJumped,
      chunk: (number) => this.#export()?.chunk(number),
    };
  }

  #export(): MergeExport | undefined {
    const { dissolution } = this.#machine.clusters;
    if (dissolution === undefined) return undefined;
    const { cut, chunkBytes } = dissolution;
    if (this.#pieces?.cut !== cut) this.#pieces = { cut, of: new MergeExport(this.#machine, chunkBytes) };
    return this.#pieces.of;
  }

  /** Only the leader believes its wall clock (hybrid-clock.ts). */
  #keepTime(now: MonotonicMs): void {
    const { clock, driver } = this.#ports;
    if (driver()?.leadership.role !== "leader") return;
    const before = this.#time.estimate(now);
    this.#time.adoptWall(clock.wallMs(), now);
    this.#hasTimeJumped ||= this.#time.estimate(now) - Math.max(before, this.#machine.newest) > TIME_JUMP;
  }

  #logCommand(command: ClusterCommand, refused: number): void {
    const { log } = this.#ports;
    if (command.kind === "dissolve")
      log.warn({ winner: command.winner }, "this cluster is merged into another one");
    else if (command.kind === "resume") log.info({}, "the merge was called off; this cluster goes on");
    else if (command.kind === "mergeAbort") log.info({ loser: command.loser }, "a merge was called off");
    else if (command.kind === "merged") {
      const topics = this.#machine.clusters.row(command.loser)?.topics;
      const conflicts = this.#machine.conflicts.count;
      log.info(
        { loser: command.loser, topics, conflicts, refused },
        "another cluster has been merged into this one",
      );
    }
  }

  #warn(now: MonotonicMs): void {
    if (now < this.#warnAt) return;
    const { status } = this;
    if (status === undefined || status.kind === "joining" || status.kind === "taking") return;
    this.#warnAt = now + WARN_EVERY_MS;
    this.#ports.log.warn(
      { other: status.other, state: status.kind },
      "another cluster of this mesh is in sight",
    );
  }
}

function isInSight({ state, isLinked }: PeerView): boolean {
  return isLinked && state === "alive";
}
