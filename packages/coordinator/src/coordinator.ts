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
import { Driver } from "./driver.ts";
import { ForeignClusterWarning } from "./foreign-cluster.ts";
import { type ControlFrame, decodeFrame, encodeFrame } from "./frames.ts";
import { Governor } from "./governor.ts";
import type { OpenedJournal } from "./journal/journal.ts";
import type {
  CoordinatorCounters,
  CoordinatorOptions,
  CoordinatorPorts,
  CoordinatorStatus,
  PeerView,
} from "./options.ts";
import { PeerFaults } from "./peer-faults.ts";
import { ProposalRoute } from "./proposal-route.ts";
import { Proposals } from "./proposals.ts";
import { logReplicaFault } from "./replica-faults.ts";
import { Retained, type RetainedReader } from "./retained.ts";
import { StateMachine } from "./state-machine/state-machine.ts";
import { freshStatus, isSameStatus, memberStatus } from "./status.ts";
import { raftOptions } from "./timing.ts";

const TICK_MS = 250;
const FLUSH_EVERY_MS = 1000;
/** Stopping waits this long for another node to lead. */
const HAND_OVER_MAX_MS = 1000;

export class Coordinator {
  readonly retained: Retained;
  readonly #ports: CoordinatorPorts;
  readonly #machine = new StateMachine();
  readonly #proposals: Proposals;
  readonly #route: ProposalRoute;
  readonly #governor: Governor;
  readonly #timing: ReturnType<typeof raftOptions>;
  readonly #node: NodeId;
  readonly #arrival: Arrival;
  /** Only once a member of a cluster. */
  #driver: Driver | undefined;
  #peers: readonly PeerView[] = [];
  /** Who sent the last message that only a leader sends, and when. */
  #heardFrom: NodeId | undefined;
  #heardAt = 0;
  #status: CoordinatorStatus;
  #isTurnEndScheduled = false;
  #tickTimer: Timer | undefined;
  #flushAt = 0;
  readonly #foreignCluster: ForeignClusterWarning;
  readonly #faults: PeerFaults;
  readonly #reads: CurrentReads<RetainedReader>;
  #isStopped = false;
  /** Set while leadership is handed over before stopping. */
  #handedOver: (() => void) | undefined;

  constructor(options: CoordinatorOptions, ports: CoordinatorPorts) {
    const { node, incarnation } = options.identity;
    this.#ports = ports;
    this.#node = node;
    this.#arrival = new Arrival(options.identity, options.durability ?? "replicated", {
      ...ports,
      send: (to, frame) => ports.send(to, encodeFrame(frame)),
      arrived: (opened) => this.#begin(opened),
      failed: (error) => this.#fail(error),
    });
    this.#timing = raftOptions(node, options.timing, ports.prng);
    this.#foreignCluster = new ForeignClusterWarning(options.mesh, ports.log);
    this.#faults = new PeerFaults(ports.log);
    this.#governor = new Governor(node, this.#timing.electionMinMs, {
      clock: ports.clock,
      log: ports.log,
      sendJoined: (joiner) => this.#sendFrame(joiner, (cluster) => ({ kind: "joined", cluster })),
    });
    this.#proposals = new Proposals(node, incarnation, {
      clock: ports.clock,
      propose: (commands) => this.#route.propose(this.#driver, commands),
      isFull: () => this.#driver?.isDiskFull ?? false,
    });
    this.#route = new ProposalRoute(options.identity, this.#machine.sequencer, this.#proposals, {
      clock: ports.clock,
      log: ports.log,
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
    this.#status = freshStatus();
  }

  /** As of the last turn of the event loop. */
  get status(): CoordinatorStatus {
    return this.#status;
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
    const { clock } = this.#ports;
    if (this.#isStopped || this.#driver?.transferLeadership() !== true) {
      this.#stopNow(done);
      return;
    }
    this.#ports.log.info({}, "handing leadership over");
    const timer = clock.after(HAND_OVER_MAX_MS, () => this.#handedOver?.());
    this.#handedOver = () => {
      this.#handedOver = undefined;
      timer.cancel();
      clock.atTurnEnd(() => this.#stopNow(done));
    };
  }

  #stopNow(done: () => void): void {
    this.#isStopped = true;
    this.#tickTimer?.cancel();
    this.#arrival.stop();
    if (this.#driver === undefined) this.#ports.clock.atTurnEnd(done);
    else this.#driver.stop(done);
  }

  /** A control frame from another node. `bytes` may be kept. Whatever they hold, this never throws. */
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
    this.#scheduleTurnEnd();
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
    if (now >= this.#flushAt) {
      this.#flushAt = now + FLUSH_EVERY_MS;
      this.#driver?.flush();
    }
    this.#foreignCluster.tick(this.#peers, this.#arrival.cluster, now);
    this.#scheduleTurnEnd();
    this.#tickTimer = clock.after(TICK_MS, () => this.#tick());
  }

  #begin(opened: OpenedJournal): void {
    const driver = new Driver(this.#timing, opened, this.#machine, {
      clock: this.#ports.clock,
      send: (to, message) => this.#sendRaft(to as NodeId, message),
      applied: (applied) => this.#route.applied(applied),
      restored: () => this.#restored(),
      giveUpLease: (released) => {
        if (this.#ports.giveUpLease === undefined) released();
        else this.#ports.giveUpLease(released);
      },
      readable: (requests) => this.#reads.confirmed(requests),
      faulty: (fault) => logReplicaFault(this.#ports.log, this.#node, fault),
      leadershipChanged: () => this.#leadershipChanged(),
      stepped: () => this.#scheduleTurnEnd(),
      failed: (error) => this.#fail(error),
      observer: this.#ports.observer,
    });
    this.#driver = driver;
    driver.start();
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
    if (frame.kind === "repaired") this.#arrival.repaired(from, frame);
    const driver = this.#driver;
    if (driver === undefined) return;
    if (frame.kind === "raft") this.#receiveRaft(driver, from, decodeRaftMessage(frame.message));
    else if (frame.kind === "proposal") this.#route.admit(driver, from, frame.commands);
    else if (frame.kind === "join") this.#receiveJoin(driver, from, frame.joiner, bytes);
    else if (frame.kind === "repair") {
      const { index, term } = frame;
      const missing = driver.missingAfter(index, term);
      this.#sendFrame(from, () => ({ kind: "repaired", cluster, index, term, missing }));
    }
  }

  #receiveRaft(driver: Driver, from: NodeId, message: RaftMessage): void {
    const { kind } = message;
    driver.step({ kind: "receive", from, message });
    if (kind !== "heartbeat" && kind !== "appendEntries" && kind !== "installSnapshot") return;
    this.#heardFrom = from;
    this.#heardAt = this.#ports.clock.monotonicMs();
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
    const leadership = this.#driver?.leadership;
    if (leadership === undefined) return;
    this.#ports.log.info({ ...leadership }, "leadership changed");
    this.#route.reset();
    this.#governor.reset();
    if (leadership.leader === undefined) return;
    this.#sendAgain();
    // A node that votes for its successor must live until that vote has arrived.
    if (leadership.leader !== this.#node) this.#handedOver?.();
  }

  /** There is a way to a leader: what went to an earlier one, or on an earlier way, may be lost. */
  #sendAgain(): void {
    this.#proposals.sendAgain();
    this.#reads.askAgain();
  }

  /** The state machine was replaced by a leader's snapshot. */
  #restored(): void {
    this.#route.settle();
    if (!this.#route.hasLostCommands) return;
    // Numbers of commands that were lost may still be under way: only a new incarnation can go on (sequencer.ts).
    const error = new SkeinError(
      "ERR_SKEIN_DATA_LOST",
      "Cannot go on: the cluster has lost writes of this node that were acknowledged. It takes over what is left",
    );
    this.#ports.clock.atTurnEnd(() => this.#fail(error));
  }

  #govern(now: MonotonicMs): void {
    const driver = this.#driver;
    if (driver === undefined || driver.leadership.role !== "leader") return;
    const live = new Set<NodeId>();
    for (const peer of this.#peers) if (peer.state === "alive" && peer.isLinked) live.add(peer.id);
    this.#governor.govern(driver, live, now);
  }

  /** Not within a step of Raft: who waited to read and who hears of the status may go on to anything. */
  #scheduleTurnEnd(): void {
    if (this.#isTurnEndScheduled) return;
    this.#isTurnEndScheduled = true;
    this.#ports.clock.atTurnEnd(() => {
      this.#isTurnEndScheduled = false;
      if (this.#isStopped) return;
      this.#reads.settle();
      this.#refreshStatus();
    });
  }

  #refreshStatus(): void {
    const now = this.#ports.clock.monotonicMs();
    const pendingProposals = this.#proposals.count;
    const driver = this.#driver;
    const status: CoordinatorStatus =
      driver === undefined
        ? { ...freshStatus(), pendingProposals }
        : memberStatus({
            node: this.#node,
            cluster: this.#arrival.cluster,
            raft: driver.status(now),
            appliedTerm: driver.appliedTerm,
            peers: this.#peers,
            heardFrom: this.#heardFrom,
            heardAt: this.#heardAt,
            silenceMs: this.#timing.electionMinMs,
            pendingProposals,
            now,
          });
    if (isSameStatus(status, this.#status)) return;
    this.#status = status;
    this.#ports.statusChanged(status);
  }

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#tickTimer?.cancel();
    this.#ports.fatal(error);
  }
}

function isLinkedIn(peers: readonly PeerView[], node: string | undefined): boolean {
  return peers.some((peer) => peer.id === node && peer.isLinked);
}
