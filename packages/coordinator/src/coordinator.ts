/**
 * The control plane of one node: bootstrap, Raft, replicated state and this node's proposals, wired together.
 *
 * A node with data starts its Raft server at once and never founds. A fresh node runs the bootstrap (bootstrap.ts),
 * which ends in founding or in adopting a cluster; its writes are held meanwhile. Control frames of another cluster are
 * refused before anything else. One tick of 250 ms serves everything that is not urgent: resending, the leader's
 * duties, flushing the journal, the status.
 */

import { type ClusterId, type MonotonicMs, type NodeId, SkeinError, type Timer } from "@skein/kernel";
import { decodeRaftMessage, encodeRaftMessage, RaftFormatError, type RaftMessage } from "raft-js";
import { Bootstrap, type BootstrapEvent } from "./bootstrap.ts";
import { Driver } from "./driver.ts";
import { type ControlFrame, decodeFrame, encodeFrame } from "./frames.ts";
import { Governor } from "./governor.ts";
import { saveIdentity } from "./identity.ts";
import type { OpenedJournal } from "./journal/journal.ts";
import type {
  CoordinatorCounters,
  CoordinatorOptions,
  CoordinatorPorts,
  CoordinatorStatus,
  Identity,
  PeerView,
} from "./options.ts";
import { ProposalRoute } from "./proposal-route.ts";
import { Proposals } from "./proposals.ts";
import { foundReplica, openReplica, reopenReplica, setOldReplicaAside } from "./replica-files.ts";
import { Retained } from "./retained.ts";
import { decodeSnapshot } from "./state-machine/snapshot.ts";
import { StateMachine } from "./state-machine/state-machine.ts";
import { foreignClusterIn, freshStatus, isSameStatus, memberStatus } from "./status.ts";
import { raftOptions } from "./timing.ts";

const TICK_MS = 250;
const FLUSH_EVERY_MS = 1000;
const WARN_EVERY_MS = 60_000;

export class Coordinator {
  readonly retained: Retained;
  readonly #options: CoordinatorOptions;
  readonly #ports: CoordinatorPorts;
  readonly #machine = new StateMachine();
  readonly #proposals: Proposals;
  readonly #route: ProposalRoute;
  readonly #governor: Governor;
  readonly #timing: ReturnType<typeof raftOptions>;
  #identity: Identity;
  /** Only while fresh. */
  #bootstrap: Bootstrap | undefined;
  /** Only once a member of a cluster. */
  #driver: Driver | undefined;
  #peers: readonly PeerView[] = [];
  /** Who sent the last message that only a leader sends, and when. */
  #heardFrom: NodeId | undefined;
  #heardAt = 0;
  #status: CoordinatorStatus;
  #isStatusScheduled = false;
  #tickTimer: Timer | undefined;
  #flushAt = 0;
  #foreignWarnAt = 0;
  #malformedFrames = 0;
  #foreignFrames = 0;
  #isStopped = false;

  constructor(options: CoordinatorOptions, ports: CoordinatorPorts) {
    const { node, incarnation } = options.identity;
    this.#options = options;
    this.#ports = ports;
    this.#identity = options.identity;
    this.#timing = raftOptions(node, options.timing, ports.prng);
    this.#governor = new Governor(node, this.#timing.electionMinMs, {
      clock: ports.clock,
      log: ports.log,
      sendJoined: (joiner) => this.#sendFrame(joiner, (cluster) => ({ kind: "joined", cluster })),
    });
    this.#proposals = new Proposals(node, incarnation, {
      clock: ports.clock,
      propose: (commands) => this.#route.propose(this.#driver, commands),
    });
    this.#route = new ProposalRoute(options.identity, this.#machine.sequencer, this.#proposals, {
      clock: ports.clock,
      log: ports.log,
      sendToLeader: (leader, commands) => {
        this.#sendFrame(leader, (cluster) => ({ kind: "proposal", cluster, commands }));
      },
    });
    this.retained = new Retained(this.#machine.retained, this.#proposals);
    this.#status = freshStatus();
  }

  /** As of the last turn of the event loop. */
  get status(): CoordinatorStatus {
    return this.#status;
  }

  get counters(): CoordinatorCounters {
    return {
      malformedFrames: this.#malformedFrames,
      foreignFrames: this.#foreignFrames,
      malformedCommands: this.#machine.outcomes.malformed,
      droppedWrites: this.#proposals.dropped,
      refusedWrites: this.#proposals.refused,
    };
  }

  /** Loads the replica of a node with data (reads are complete when this returns), or begins the bootstrap. */
  start(): void {
    const { clock, prng } = this.#ports;
    const { node, cluster } = this.#identity;
    this.#guardDisk(() => {
      if (cluster === undefined) {
        setOldReplicaAside(this.#ports);
        this.#bootstrap = new Bootstrap(node, prng, clock.monotonicMs());
        this.#stepBootstrap({ kind: "peers", peers: this.#peers });
      } else {
        this.#begin(reopenReplica(this.#ports));
      }
    });
    this.#tick();
  }

  /** Stops, completes the writes under way, closes the journal, then calls `done`. Open writes are not settled. */
  stop(done: () => void): void {
    this.#isStopped = true;
    this.#tickTimer?.cancel();
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
      this.#malformedFrames++;
      this.#ports.log.debug({ from, error: error.message }, "malformed control frame dropped");
    }
  }

  /** The member list, or a row of it, changed. */
  membersChanged(peers: readonly PeerView[]): void {
    if (this.#isStopped) return;
    const leader = this.#driver?.leadership.leader;
    const wasLinked = isLinkedIn(this.#peers, leader);
    this.#peers = peers;
    if (!wasLinked && isLinkedIn(peers, leader)) this.#proposals.sendAgain();
    this.#stepBootstrap({ kind: "peers", peers });
    this.#scheduleStatus();
  }

  #tick(): void {
    if (this.#isStopped) return;
    const { clock } = this.#ports;
    const now = clock.monotonicMs();
    this.#stepBootstrap({ kind: "wake" });
    this.#proposals.tick(now);
    this.#govern(now);
    if (now >= this.#flushAt) {
      this.#flushAt = now + FLUSH_EVERY_MS;
      this.#driver?.flush();
    }
    this.#warnOfForeignCluster(now);
    this.#scheduleStatus();
    this.#tickTimer = clock.after(TICK_MS, () => this.#tick());
  }

  // Bootstrap

  #stepBootstrap(event: BootstrapEvent): void {
    const { clock, log } = this.#ports;
    for (const effect of this.#bootstrap?.step(event, clock.monotonicMs()) ?? []) {
      if (effect.kind === "sendJoin") {
        const { cluster } = effect;
        this.#ports.send(effect.to, encodeFrame({ kind: "join", cluster, joiner: this.#identity.node }));
      } else if (effect.kind === "adopt") {
        log.info({ cluster: effect.cluster }, "joined a cluster");
        this.#becomeMember(effect.cluster, () =>
          this.#guardDisk(() => this.#begin(openReplica(this.#ports))),
        );
      } else {
        this.#guardDisk(() => this.#found());
      }
    }
  }

  #found(): void {
    foundReplica(this.#ports, this.#identity, (cluster, opened, error) => {
      if (this.#isStopped) return;
      if (error !== undefined) this.#fail(error);
      else this.#becomeMember(cluster, () => this.#begin(opened));
    });
  }

  /** Writes the identity with `cluster`, then goes on with `begin`. */
  #becomeMember(cluster: ClusterId, begin: () => void): void {
    const identity: Identity = { ...this.#identity, cluster };
    saveIdentity(this.#ports.disk, identity, (error) => {
      if (this.#isStopped) return;
      if (error !== undefined) return this.#fail(error);
      this.#identity = identity;
      this.#bootstrap = undefined;
      begin();
    });
  }

  #begin(opened: OpenedJournal): void {
    const driver = new Driver(this.#timing, opened, this.#machine, {
      clock: this.#ports.clock,
      send: (to, message) => this.#sendRaft(to as NodeId, message),
      applied: (applied) => this.#route.applied(applied),
      restored: () => this.#route.settle(),
      leadershipChanged: () => this.#leadershipChanged(),
      stepped: () => this.#scheduleStatus(),
      failed: (error) => this.#fail(error),
      observer: this.#ports.observer,
    });
    this.#driver = driver;
    driver.start();
    this.#proposals.sendAgain();
  }

  // Frames

  #receiveFrame(from: NodeId, frame: ControlFrame, bytes: Uint8Array): void {
    const { cluster } = this.#identity;
    if (cluster === undefined) {
      if (frame.kind === "joined") this.#stepBootstrap({ kind: "joined", cluster: frame.cluster });
      return;
    }
    if (frame.cluster !== cluster) {
      this.#foreignFrames++;
      return;
    }
    const driver = this.#driver;
    if (driver === undefined) return;
    if (frame.kind === "raft") this.#receiveRaft(driver, from, decodeRaftMessage(frame.message));
    else if (frame.kind === "proposal") this.#route.admit(driver, from, frame.commands);
    else if (frame.kind === "join") this.#receiveJoin(driver, from, frame.joiner, bytes);
  }

  #receiveRaft(driver: Driver, from: NodeId, message: RaftMessage): void {
    const { kind } = message;
    // A snapshot that cannot be taken over must not reach the core, which would wait for it.
    if (kind === "installSnapshot") decodeSnapshot(message.snapshot.data);
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
    const { cluster } = this.#identity;
    if (cluster !== undefined) this.#ports.send(to, encodeFrame(frame(cluster)));
  }

  // Leadership and status

  #leadershipChanged(): void {
    const leadership = this.#driver?.leadership;
    if (leadership === undefined) return;
    this.#ports.log.info({ ...leadership }, "leadership changed");
    this.#route.reset();
    this.#governor.reset();
    if (leadership.leader !== undefined) this.#proposals.sendAgain();
  }

  #govern(now: MonotonicMs): void {
    const driver = this.#driver;
    if (driver === undefined || driver.leadership.role !== "leader") return;
    const live = new Set<NodeId>();
    for (const peer of this.#peers) if (peer.state === "alive" && peer.isLinked) live.add(peer.id);
    this.#governor.govern(driver, live, now);
  }

  #scheduleStatus(): void {
    if (this.#isStatusScheduled) return;
    this.#isStatusScheduled = true;
    this.#ports.clock.atTurnEnd(() => {
      this.#isStatusScheduled = false;
      if (!this.#isStopped) this.#refreshStatus();
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
            identity: this.#identity,
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

  #warnOfForeignCluster(now: MonotonicMs): void {
    const foreign = foreignClusterIn(this.#peers, this.#identity.cluster);
    if (foreign === undefined || now < this.#foreignWarnAt) return;
    this.#foreignWarnAt = now + WARN_EVERY_MS;
    const { cluster } = this.#identity;
    this.#ports.log.warn(
      { cluster, foreign, mesh: this.#options.mesh },
      "two clusters of one mesh are in sight",
    );
  }

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#tickTimer?.cancel();
    this.#ports.fatal(error);
  }

  #guardDisk(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      this.#fail(error);
    }
  }
}

function isLinkedIn(peers: readonly PeerView[], node: string | undefined): boolean {
  return peers.some((peer) => peer.id === node && peer.isLinked);
}
