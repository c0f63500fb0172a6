/**
 * The control plane of one node: bootstrap, Raft, replicated state and this node's proposals, wired together.
 *
 * A node with data starts its Raft server at once; a fresh one founds or joins first (arrival.ts), and its writes are
 * held meanwhile. Control frames of another cluster are refused before anything else. One tick of 250 ms serves everything that is not urgent: resending, the leader's
 * duties, flushing the journal, the status.
 */

import { type ClusterId, type MonotonicMs, type NodeId, SkeinError, type Timer } from "@skein/kernel";
import { decodeRaftMessage, encodeRaftMessage, RaftFormatError, type RaftMessage } from "raft-js";
import { Arrival } from "./arrival.ts";
import { CurrentReads } from "./current-reads.ts";
import { DiskFailures } from "./disk-failures.ts";
import { Driver, type DriverOptions } from "./driver.ts";
import { ElectionWaitWarning, electionWait } from "./election-wait.ts";
import { ForeignClusterWarning } from "./foreign-cluster.ts";
import { type ControlFrame, decodeFrame, encodeFrame } from "./frames.ts";
import { Governor } from "./governor.ts";
import { HandOver } from "./hand-over.ts";
import type { OpenedJournal } from "./journal/journal.ts";
import { KnownNodes } from "./known-nodes.ts";
import { LeaderContact } from "./leader-contact.ts";
import { beginMending, type Mending } from "./mending.ts";
import type {
  CoordinatorCounters,
  CoordinatorOptions,
  CoordinatorPorts,
  CoordinatorStatus,
  PeerView,
} from "./options.ts";
import { PeerFaults } from "./peer-faults.ts";
import { isLinkedIn, linkedIn, liveIn } from "./peer-list.ts";
import { ProposalRoute } from "./proposal-route.ts";
import { Proposals } from "./proposals.ts";
import { ReplicaFaults } from "./replica-faults.ts";
import { REPLICA_SIZES } from "./replica-sizes.ts";
import { Resignation } from "./resignation.ts";
import { Retained, type RetainedReader } from "./retained.ts";
import { StateMachine } from "./state-machine/state-machine.ts";
import { freshStatus, memberStatus } from "./status.ts";
import { raftOptions } from "./timing.ts";
import { TurnEnd } from "./turn-end.ts";

const TICK_MS = 250;
const FLUSH_EVERY_MS = 1000;

export class Coordinator {
  readonly retained: Retained;
  readonly #ports: CoordinatorPorts;
  readonly #machine = new StateMachine();
  readonly #proposals: Proposals;
  readonly #route: ProposalRoute;
  readonly #governor: Governor;
  readonly #driverOptions: DriverOptions;
  readonly #node: NodeId;
  readonly #arrival: Arrival;
  /** Only once a member of a cluster. */
  #driver: Driver | undefined;
  #peers: readonly PeerView[] = [];
  readonly #contact = new LeaderContact();
  readonly #turnEnd: TurnEnd;
  #tickTimer: Timer | undefined;
  #flushAt = 0;
  readonly #foreignCluster: ForeignClusterWarning;
  readonly #faults: PeerFaults;
  readonly #reads: CurrentReads<RetainedReader>;
  readonly #diskFailures: DiskFailures;
  readonly #resignation: Resignation;
  readonly #replicaFaults: ReplicaFaults;
  readonly #known: KnownNodes;
  readonly #electionWait: ElectionWaitWarning;
  readonly #handOver: HandOver;
  /** Only of a damaged journal. */
  #mending: Mending | undefined;
  #isStopped = false;

  constructor(options: CoordinatorOptions, ports: CoordinatorPorts) {
    const { node, incarnation } = options.identity;
    this.#ports = ports;
    this.#node = node;
    const sizes = { ...REPLICA_SIZES, ...options.sizes };
    const { durability = "replicated" } = options;
    const { entriesKept, segmentBytes, snapshotEntries } = sizes;
    this.#arrival = new Arrival(
      options.identity,
      { durability, entriesKept, segmentBytes },
      {
        ...ports,
        send: (to, frame) => ports.send(to, encodeFrame(frame)),
        arrived: (opened) => this.#begin(opened),
        failed: (error) => this.#diskFailed(error),
      },
    );
    const raft = raftOptions(node, options.timing, sizes, ports.prng);
    this.#driverOptions = { raft, snapshotEntries };
    this.#diskFailures = new DiskFailures(ports);
    this.#handOver = new HandOver(ports.clock, ports.log);
    this.#resignation = new Resignation(this.#diskFailures, { log: ports.log, ask: () => this.#resign() });
    this.#replicaFaults = new ReplicaFaults(node, {
      ...ports,
      state: () => this.#driver?.stateAsSnapshot(),
      replaceState: () => this.#driver?.replaceState(),
    });
    this.#known = new KnownNodes(ports);
    this.#electionWait = new ElectionWaitWarning(ports.log);
    this.#foreignCluster = new ForeignClusterWarning(options.mesh, ports.log);
    this.#faults = new PeerFaults(ports.log);
    this.#governor = new Governor(node, raft.electionMinMs, {
      ...ports,
      sendJoined: (joiner) => this.#sendFrame(joiner, (cluster) => ({ kind: "joined", cluster })),
    });
    this.#proposals = new Proposals(node, incarnation, {
      clock: ports.clock,
      propose: (commands) => this.#route.propose(this.#driver, commands),
      isFull: () => this.#driver?.isDiskFull ?? false,
    });
    this.#route = new ProposalRoute(options.identity, this.#machine.sequencer, this.#proposals, {
      ...ports,
      sendToLeader: (leader, commands) => {
        this.#sendFrame(leader, (cluster) => ({ kind: "proposal", cluster, commands }));
      },
    });
    this.#reads = new CurrentReads(incarnation, {
      clock: ports.clock,
      hasLeader: () => this.#driver?.leadership.leader !== undefined,
      ask: (request) => this.#driver?.read(request),
      proposedSeq: () => this.#proposals.proposedSeq,
      settledSeq: () => this.#proposals.settledSeq,
      answer: (reader, isCurrent) => {
        if (!isCurrent) ports.observer?.readUncertain();
        this.retained.answer(reader, isCurrent);
      },
    });
    this.retained = new Retained(this.#machine.retained, this.#proposals, this.#reads);
    this.#turnEnd = new TurnEnd({
      clock: ports.clock,
      settleReads: () => this.#reads.settle(),
      computeStatus: () => this.#computeStatus(),
      statusChanged: (status) => ports.statusChanged(status),
    });
  }

  /** As of the last turn of the event loop. */
  get status(): CoordinatorStatus {
    return this.#turnEnd.status;
  }

  get counters(): CoordinatorCounters {
    return {
      malformedFrames: this.#faults.malformedFrames,
      foreignFrames: this.#faults.foreignFrames,
      rejectedMessages: this.#driver?.status(this.#ports.clock.monotonicMs()).rejectedMessages ?? 0,
      malformedCommands: this.#machine.outcomes.malformed,
      droppedWrites: this.#proposals.dropped,
      refusedWrites: this.#proposals.refused,
      uncertainReads: this.#reads.uncertain,
    };
  }

  /** Loads the replica of a node with data (reads are complete when this returns), or begins the bootstrap. */
  start(): void {
    this.#arrival.start();
    this.#tick();
  }

  /**
   * Hands leadership over if this node leads (at most a second; links must still be open), completes the writes under
   * way, closes the journal, then calls `done`. Open writes are not settled.
   */
  stop(done: () => void): void {
    if (this.#isStopped) this.#stopNow(done);
    else this.#handOver.begin(this.#driver, () => this.#stopNow(done));
  }

  #stopNow(done: () => void): void {
    this.#halt();
    this.#arrival.stop();
    const closed = (): void => this.#diskFailures.whenWritten(done);
    if (this.#driver === undefined) this.#ports.clock.atTurnEnd(closed);
    else this.#driver.stop(closed);
  }

  /** A control frame from another node; `bytes` are valid during the call only. Whatever they hold, this never throws. */
  receive(from: NodeId, bytes: Uint8Array): void {
    if (this.#isStopped) return;
    try {
      this.#receiveFrame(from, decodeFrame(bytes), bytes);
    } catch (error) {
      if (!(error instanceof SkeinError) && !(error instanceof RaftFormatError)) throw error;
      this.#faults.malformed(from, error.message);
    }
  }

  /** The member list, or a row of it, changed. */
  membersChanged(peers: readonly PeerView[]): void {
    if (this.#isStopped) return;
    const leader = this.#driver?.leadership.leader;
    const wasLinked = isLinkedIn(this.#peers, leader);
    this.#peers = peers;
    if (!wasLinked && isLinkedIn(peers, leader)) this.#sendAgain();
    this.#arrival.peersChanged(peers);
    this.#mending?.peersChanged(linkedIn(this.#peers, this.#arrival.cluster));
    this.#known.peersChanged(peers, this.#arrival.cluster);
    this.#turnEnd.schedule();
  }

  #tick(): void {
    if (this.#isStopped) return;
    const { clock } = this.#ports;
    const now = clock.monotonicMs();
    this.#arrival.tick();
    this.#proposals.tick(now);
    this.#reads.tick(now);
    this.#faults.tick(now, this.#driver?.status(now).rejectedMessages ?? 0);
    this.#govern(now);
    this.#mending?.tick(now);
    if (this.#driver?.leadership.leader !== undefined)
      this.#resignation.tick(now, this.#driver.appliedConfiguration.voters.includes(this.#node));
    if (now >= this.#flushAt) {
      this.#flushAt = now + FLUSH_EVERY_MS;
      this.#driver?.flush();
    }
    this.#foreignCluster.tick(this.#peers, this.#arrival.cluster, now);
    this.#electionWait.tick(this.status.electionWait, now);
    this.#turnEnd.schedule();
    this.#tickTimer = clock.after(TICK_MS, () => this.#tick());
  }

  #begin(opened: OpenedJournal): void {
    const driver = new Driver(this.#driverOptions, opened, this.#machine, {
      clock: this.#ports.clock,
      send: (to, message) => this.#sendRaft(to as NodeId, message),
      applied: (applied) => this.#route.applied(applied),
      restored: () => this.#restored(),
      giveUpLease: this.#ports.giveUpLease ?? ((released) => released()),
      readable: (requests) => this.#reads.confirmed(requests),
      faulty: (fault) => this.#replicaFaults.found(fault),
      leadershipChanged: () => this.#leadershipChanged(),
      stepped: () => this.#turnEnd.schedule(),
      failed: (error) => this.#diskFailed(error),
      observer: this.#ports.observer,
    });
    this.#driver = driver;
    driver.start();
    this.#mending = beginMending(this.#node, driver, opened, {
      ...this.#ports,
      ask: (to, index, term) => this.#sendFrame(to, (cluster) => ({ kind: "repair", cluster, index, term })),
    });
    this.#mending?.peersChanged(linkedIn(this.#peers, this.#arrival.cluster));
    this.#proposals.sendAgain();
  }

  // Frames

  #receiveFrame(from: NodeId, frame: ControlFrame, bytes: Uint8Array): void {
    const { cluster } = this.#arrival;
    if (cluster === undefined) {
      if (frame.kind === "joined") this.#arrival.joined(frame.cluster);
      return;
    }
    if (frame.cluster !== cluster) {
      this.#faults.foreign(from);
      return;
    }
    if (frame.kind === "repaired") {
      this.#arrival.repaired(from, frame);
      this.#mending?.answered(from, frame);
    }
    const driver = this.#driver;
    if (driver === undefined) return;
    if (frame.kind === "raft") this.#receiveRaft(driver, from, decodeRaftMessage(frame.message));
    else if (frame.kind === "proposal") this.#route.admit(driver, from, frame.commands);
    else if (frame.kind === "join") this.#receiveJoin(driver, from, frame.joiner, bytes);
    else if (frame.kind === "resign") this.#governor.resign(from);
    else if (frame.kind === "repair") {
      const { index, term } = frame;
      const missing = this.#mending?.missingAfter(index, term) ?? driver.missingAfter(index, term);
      this.#sendFrame(from, () => ({ kind: "repaired", cluster, index, term, missing }));
    }
  }

  #receiveRaft(driver: Driver, from: NodeId, message: RaftMessage): void {
    driver.step({ kind: "receive", from, message });
    this.#contact.received(from, message, this.#ports.clock.monotonicMs());
  }

  #receiveJoin(driver: Driver, from: NodeId, joiner: NodeId, bytes: Uint8Array): void {
    const { role, leader } = driver.leadership;
    if (role === "leader") {
      this.#governor.join(joiner);
      this.#govern(this.#ports.clock.monotonicMs());
    } else if (from === joiner && leader !== undefined) {
      // Passed on once: only what comes from the joiner itself.
      this.#ports.send(leader as NodeId, bytes);
    }
  }

  #sendRaft(to: NodeId, message: RaftMessage): boolean {
    this.#sendFrame(to, (cluster) => ({ kind: "raft", cluster, message: encodeRaftMessage(message) }));
    return isLinkedIn(this.#peers, to);
  }

  #sendFrame(to: NodeId, frame: (cluster: ClusterId) => ControlFrame): void {
    const { cluster } = this.#arrival;
    if (cluster !== undefined) this.#ports.send(to, encodeFrame(frame(cluster)));
  }

  // Leadership and status

  #leadershipChanged(): void {
    const driver = this.#driver;
    if (driver === undefined) return;
    const { leadership } = driver;
    this.#ports.log.info({ ...leadership }, "leadership changed");
    this.#route.reset();
    this.#governor.reset();
    this.#handOver.leadershipChanged(driver);
    if (leadership.leader !== undefined) this.#sendAgain();
  }

  /** There is a way to a leader: what went to an earlier one, or on an earlier way, may be lost. */
  #sendAgain(): void {
    this.#proposals.sendAgain();
    this.#reads.askAgain();
  }

  /** The state machine was replaced by a leader's snapshot. */
  #restored(): void {
    this.#route.settle();
    this.#replicaFaults.restored();
    // Not before what follows the snapshot in this node's own log has been applied.
    this.#ports.clock.atTurnEnd(() => {
      if (!this.#route.hasLostCommands) return;
      // Numbers of commands that were lost may still be under way: only a new incarnation can go on (sequencer.ts).
      const text =
        "Cannot go on: the cluster has lost writes of this node that were acknowledged. It takes over what is left";
      this.#fail(new SkeinError("ERR_SKEIN_DATA_LOST", text));
    });
  }

  /** The disk of this node is dying: the leader should let another one vote. */
  #resign(): void {
    const leader = this.#driver?.leadership.leader as NodeId | undefined;
    if (leader === this.#node) this.#governor.resign(leader);
    else if (leader !== undefined) this.#sendFrame(leader, (cluster) => ({ kind: "resign", cluster }));
  }

  #govern(now: MonotonicMs): void {
    const driver = this.#driver;
    if (driver === undefined || driver.leadership.role !== "leader") return;
    this.#governor.govern(driver, liveIn(this.#peers), now);
  }

  #computeStatus(): CoordinatorStatus {
    const now = this.#ports.clock.monotonicMs();
    const pendingProposals = this.#proposals.count;
    const driver = this.#driver;
    if (driver === undefined) return { ...freshStatus(), pendingProposals };
    const raft = driver.status(now);
    return memberStatus({
      node: this.#node,
      cluster: this.#arrival.cluster,
      raft,
      appliedTerm: driver.appliedTerm,
      peers: this.#peers,
      contact: this.#contact,
      silenceMs: this.#driverOptions.raft.electionMinMs,
      pendingProposals,
      electionWait: electionWait(raft, this.#mending?.awaited ?? [], this.#known),
      staysDiverged: this.#replicaFaults.isFinal,
      isDiskFull: driver.isDiskFull,
      isDiskDying: this.#diskFailures.isDying,
      now,
    });
  }

  /** Whatever the disk holds now, nothing more is promised: others go on, and this node ends, to be started again. */
  #diskFailed(error: Error): void {
    if (this.#isStopped) return;
    this.#diskFailures.note(error);
    // Not within the step that has found it.
    this.#ports.clock.atTurnEnd(() => {
      if (!this.#isStopped) this.#handOver.begin(this.#driver, () => this.#fail(error));
    });
  }

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.#halt();
    this.#ports.fatal(error);
  }

  #halt(): void {
    this.#isStopped = true;
    this.#turnEnd.stop();
    this.#tickTimer?.cancel();
  }
}
