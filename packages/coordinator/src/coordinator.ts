/**
 * The control plane of one node: bootstrap, Raft, replicated state and this node's proposals, wired together.
 *
 * A node with data starts its Raft server at once; a fresh one founds or joins first (arrival.ts), and its writes are held meanwhile.
 * One tick of 250 ms serves everything that is not urgent: resending, the leader's duties, flushing the journal, the status.
 */

import { type NodeId, type Timer, untilNext } from "@skein/kernel";
import { encodeRaftMessage, type RaftMessage } from "raft-js";
import { ControlTraffic } from "./control-traffic.ts";
import { countersOf } from "./counters.ts";
import { Ending } from "./ending.ts";
import { Arrival } from "./formation/arrival.ts";
import { newClusterId } from "./formation/identity.ts";
import type { OpenedJournal } from "./journal/journal.ts";
import { logHandlers } from "./member-handlers.ts";
import { ElectionWaitWarning } from "./membership/election-wait.ts";
import { findMember } from "./membership/find-member.ts";
import { KnownNodes } from "./membership/known-nodes.ts";
import { Membership } from "./membership/membership.ts";
import { Upgrade } from "./membership/upgrade.ts";
import { Merging } from "./merge/merging.ts";
import type {
  ActionDone,
  CoordinatorCounters,
  CoordinatorOptions,
  CoordinatorPorts,
  CoordinatorStatus,
  PeerView,
} from "./options.ts";
import { PeerFaults } from "./peer-faults.ts";
import { isLinkedIn, linkedIn } from "./peer-list.ts";
import { Outbox } from "./proposals/outbox.ts";
import { ProposalRoute } from "./proposals/proposal-route.ts";
import { Proposals } from "./proposals/proposals.ts";
import { DiskFailures } from "./replica/disk-failures.ts";
import { Driver, type DriverOptions } from "./replica/driver.ts";
import { LeaderContact } from "./replica/leader-contact.ts";
import { beginMending, type Mending } from "./replica/mending.ts";
import { ReplicaFaults } from "./replica/replica-faults.ts";
import { type ReplicaHealth, replicaHealth } from "./replica/replica-health.ts";
import { REPLICA_SIZES } from "./replica/replica-sizes.ts";
import { Retained } from "./retained/retained.ts";
import { Sessions } from "./sessions/sessions.ts";
import { StateMachine } from "./state-machine/state-machine.ts";
import { freshStatus, memberStatus } from "./status.ts";
import { raftOptions } from "./timing.ts";
import { TurnEnd } from "./turn-end.ts";

const TICK_MS = 250;
const FLUSH_EVERY_MS = 1000;
const IMPERSONATED =
  "the log has commands of this node that this process has not given: a copy of its data directory was in use (cloned SD card?)";

export class Coordinator {
  readonly retained: Retained;
  readonly sessions: Sessions;
  readonly #ports: CoordinatorPorts;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  readonly #route: ProposalRoute;
  readonly #driverOptions: DriverOptions;
  readonly #node: NodeId;
  readonly #arrival: Arrival;
  /** Only once a member of a cluster. */
  #driver: Driver | undefined;
  #peers: readonly PeerView[] = [];
  /** With this node itself. */
  #members: readonly PeerView[] = [];
  /** What this node has heard of the leader. */
  readonly contact = new LeaderContact();
  readonly #turnEnd: TurnEnd;
  #tickTimer: Timer | undefined;
  #flushAt = 0;
  /** Approval of merges, and what lost in them. */
  readonly merging: Merging;
  readonly #faults: PeerFaults;
  readonly #traffic: ControlTraffic;
  readonly #diskFailures: DiskFailures;
  /** Who belongs to the cluster, votes and leads. */
  readonly membership: Membership;
  readonly #replicaFaults: ReplicaFaults;
  /** How the members of the cluster are called. */
  readonly known: KnownNodes;
  readonly #electionWait: ElectionWaitWarning;
  readonly #outbox: Outbox;
  /** How this run ends, and what this node is after it. */
  readonly ending: Ending;
  /** Only of a damaged journal. */
  #mending: Mending | undefined;

  constructor(options: CoordinatorOptions, ports: CoordinatorPorts) {
    const { node, incarnation } = options.identity;
    this.#ports = ports;
    this.#node = node;
    const sizes = { ...REPLICA_SIZES, ...options.sizes };
    const { durability = "replicated", onQuorumLoss = "outbox" } = options;
    this.#machine = new StateMachine(sizes.slabBytes, options.protocolVersion);
    const journalOptions = { durability, ...sizes };
    this.#arrival = new Arrival(options.identity, journalOptions, {
      ...ports,
      send: (to, frame) => this.#traffic.send(to, frame),
      arrived: (opened) => this.#begin(opened),
      failed: (error) => this.ending.failed(error),
    });
    this.#driverOptions = { raft: raftOptions(node, options.timing, sizes, ports.prng), ...sizes };
    this.#diskFailures = new DiskFailures(ports);
    this.ending = new Ending(this.#diskFailures, {
      ...ports,
      driver: () => this.#driver,
      halt: () => this.#halt(),
    });
    this.#replicaFaults = new ReplicaFaults(node, {
      ...ports,
      state: () => this.#driver?.stateAsSnapshot(),
      replaceState: () => this.#driver?.replaceState(),
    });
    this.known = new KnownNodes(ports);
    this.#electionWait = new ElectionWaitWarning(ports.log);
    this.#faults = new PeerFaults(ports.log);
    this.membership = this.#makeMembership(sizes.settleMinutes);
    this.merging = new Merging(this.#machine, sizes, {
      ...ports,
      cluster: () => this.#arrival.cluster,
      peers: () => this.#peers,
      driver: () => this.#driver,
      send: (to, frame) => this.#traffic.send(to, frame),
      propose: (operation, done) => this.#proposals.propose(operation, done),
      resumed: () => this.#route.resumed(),
      startAgain: (reason) => this.ending.startAnew(reason),
    });
    this.#traffic = this.#makeTraffic();
    this.#outbox = new Outbox(onQuorumLoss, ports.disk, durability, () => this.status.hasQuorum);
    this.#proposals = new Proposals(node, incarnation, {
      clock: ports.clock,
      propose: (commands) => this.#route.propose(this.#driver, commands),
      isFull: () => this.#driver?.isDiskFull ?? false,
      stamp: (operation) => this.merging.stamp(operation),
      applied: () => ({ cluster: this.#arrival.cluster, index: this.#driver?.applied.index ?? 0 }),
      remembersRepeated: () => this.#machine.remembersRepeated,
      outbox: this.#outbox,
      released: (commands) => this.sessions.early.released(commands),
    });
    this.#route = new ProposalRoute(options.identity, this.#machine, this.#proposals, {
      impersonated: (starts) => this.ending.outrun(starts, IMPERSONATED),
      hasQuorum: () => this.status.hasQuorum,
      time: () => this.merging.time,
      sendToLeader: (leader, commands) =>
        this.#traffic.sendMember(leader, (cluster) => ({ kind: "proposal", cluster, commands })),
    });
    const common = {
      ...ports,
      driver: () => this.#driver,
      time: () => this.merging.time,
      peers: () => this.#peers.filter(({ cluster }) => cluster === this.#arrival.cluster),
      everyPeer: () => this.#peers,
      sendMember: this.#traffic.sendMember.bind(this.#traffic),
    };
    this.sessions = new Sessions(options.identity, this.#machine, this.#proposals, {
      ...common,
      owedBytesMax: options.owedBytesMax,
      hasQuorum: () => this.status.hasQuorum,
      contact: this.contact,
    });
    this.retained = new Retained(incarnation, this.#machine, this.#proposals, this.sessions.time, common);
    this.#turnEnd = new TurnEnd({
      ...ports,
      settleReads: () => this.retained.reads.settle(),
      computeStatus: () => this.#computeStatus(),
    });
  }

  /** As of the last turn of the event loop. */
  get status(): CoordinatorStatus {
    return this.#turnEnd.status;
  }

  get counters(): CoordinatorCounters {
    const rejected = this.#driver?.status(this.#ports.clock.monotonicMs()).rejectedMessages ?? 0;
    return countersOf(this, this.#faults, this.#proposals, this.#machine, rejected);
  }

  get replicaHealth(): ReplicaHealth {
    return replicaHealth(this.#driver, this.#ports.clock.monotonicMs());
  }

  /** Loads the replica of a node with data (reads are complete when this returns), or begins the bootstrap. */
  start(): void {
    this.#arrival.start();
    this.#tick();
  }

  /** Hands leadership over if it leads (a second at most; links must be open), completes what is written, closes, calls `done`. */
  stop(done: () => void): void {
    this.sessions.flush();
    this.ending.stop(done);
  }

  /** Takes this node out of its mesh (departure.ts). `done` without an error: stop the process. */
  leave(done: ActionDone): void {
    this.membership.departure.begin(done);
  }

  /** Takes a dead node out of the mesh, or founds it anew without (forgetting.ts); then `startAgain` follows. */
  forget(nameOrId: string, done: ActionDone): void {
    const { node, error } = findMember(nameOrId, this.status, this.#peers, this.known);
    if (node === undefined) done(error);
    else this.membership.forgetting.begin(node, done);
  }

  /** A control frame from another node; `bytes` are valid during the call only. Whatever they hold, this never throws. */
  receive(from: NodeId, bytes: Uint8Array): void {
    if (!this.ending.isStopped) this.#traffic.receive(from, bytes);
  }

  /** The member list, or a row of it, changed; this node itself is in it. */
  membersChanged(members: readonly PeerView[]): void {
    if (this.ending.isStopped) return;
    const leader = this.#driver?.leadership.leader;
    const wasLinked = isLinkedIn(this.#peers, leader);
    this.#members = members;
    this.#peers = members.filter(({ id }) => id !== this.#node);
    if (!wasLinked && isLinkedIn(this.#peers, leader)) this.#sendAgain();
    this.#arrival.peersChanged(this.#peers);
    this.#mending?.peersChanged(linkedIn(this.#peers, this.#arrival.cluster));
    this.known.peersChanged(members, this.#arrival.cluster);
    this.#turnEnd.schedule();
  }

  #tick(): void {
    if (this.ending.isStopped) return;
    const { clock } = this.#ports;
    const now = clock.monotonicMs();
    this.#arrival.tick();
    this.#outbox.tick(this.status, now);
    this.#proposals.tick(now);
    this.retained.reads.tick(now);
    this.membership.tick(now);
    this.#mending?.tick(now);
    this.merging.tick(now);
    this.sessions.tick(now);
    if (now >= this.#flushAt) {
      this.#flushAt = now + FLUSH_EVERY_MS;
      this.#driver?.flush();
      this.#faults.tick(now, this.#driver?.status(now).rejectedMessages ?? 0);
    }
    this.#electionWait.tick(this.status.electionWait, now);
    this.#turnEnd.schedule();
    this.#tickTimer = clock.after(untilNext(clock, TICK_MS), () => this.#tick());
  }

  #begin(opened: OpenedJournal): void {
    const driver = new Driver(this.#driverOptions, opened, this.#machine, {
      clock: this.#ports.clock,
      send: (to, message) => this.#sendRaft(to as NodeId, message),
      applied: (applied) => {
        this.#route.applied(applied);
        this.merging.applied(applied);
        this.sessions.applied(applied);
      },
      restored: (before) => this.#restored(before),
      giveUpLease: this.#ports.giveUpLease ?? ((released) => released()),
      reads: this.retained.reads,
      faulty: (fault) => this.#replicaFaults.found(fault),
      leadershipChanged: () => this.#leadershipChanged(driver),
      stepped: () => this.#turnEnd.schedule(),
      failed: (error) => this.ending.failed(error),
      observer: this.#ports.observer,
    });
    this.#driver = driver;
    this.merging.restored();
    this.merging.observe(this.#proposals.inherit(this.#outbox.read()));
    this.#route.settle();
    driver.start();
    this.#mending = beginMending(this.#node, driver, opened, {
      ...this.#ports,
      ask: (to, index, term) =>
        this.#traffic.sendMember(to, (cluster) => ({ kind: "repair", cluster, index, term })),
    });
    this.#mending?.peersChanged(linkedIn(this.#peers, this.#arrival.cluster));
    this.#proposals.sendAgain();
  }

  #makeMembership(settleMinutes: number): Membership {
    return new Membership(this.#node, this.#driverOptions.raft.electionMinMs, this.#diskFailures, {
      ...this.#ports,
      upgrade: new Upgrade(this.#machine, settleMinutes, this.#ports.log),
      sendMember: (to, frame) => this.#traffic.sendMember(to, frame),
      cluster: () => this.#arrival.cluster,
      pendingProposals: () => this.#proposals.count,
      votersBehind: () => this.#mending?.voters ?? [],
      nameOf: (id) => this.known.nameOf(id) ?? `node ${id}`,
      ownFork: () => this.#arrival.fork,
      startAnew: (reason) => this.ending.startAnew(reason),
      leaveDataBehind: (done) => this.ending.leaveDataBehind(done),
      fork: (done) => this.#foundAnew(done),
      driver: () => this.#driver,
      peers: () => this.#members,
    });
  }

  #makeTraffic(): ControlTraffic {
    const log = logHandlers({
      clock: this.#ports.clock,
      driver: () => this.#driver,
      mending: () => this.#mending,
      route: () => this.#route,
      arrival: this.#arrival,
      contact: this.contact,
      sessions: () => this.sessions,
      retained: () => this.retained,
      send: (to, frame) => this.#traffic.send(to, frame),
    });
    return new ControlTraffic({
      cluster: () => this.#arrival.cluster,
      send: this.#ports.send,
      faults: this.#faults,
      members: { ...this.membership.handlers, ...log.members },
      strangers: {
        ...this.membership.strangers,
        ...log.strangers,
        merge: (from, frame) => this.merging.received(from, frame),
      },
    });
  }

  #sendRaft(to: NodeId, message: RaftMessage): boolean {
    const bytes = encodeRaftMessage(message);
    this.#traffic.sendMember(to, (cluster) => ({ kind: "raft", cluster, message: bytes }));
    return isLinkedIn(this.#peers, to);
  }

  #leadershipChanged(driver: Driver): void {
    this.#ports.log.info({ ...driver.leadership }, "leadership changed");
    this.#route.leadershipChanged(driver);
    this.merging.leadershipChanged();
    this.membership.leadershipChanged();
    this.ending.leadershipChanged(driver);
    if (driver.leadership.leader !== undefined) this.#sendAgain();
  }

  /** There is a way to a leader: what went to an earlier one, or on an earlier way, may be lost. */
  #sendAgain(): void {
    this.#proposals.sendAgain();
    this.retained.reads.askAgain();
  }

  /** The state machine was replaced by a leader's snapshot; `before`: how far it had applied the log itself. */
  #restored(before: number): void {
    this.#route.settle();
    this.merging.restored();
    this.sessions.restored(before);
    this.#replicaFaults.restored();
    // Not before what follows the snapshot in this node's own log has been applied.
    this.#ports.clock.atTurnEnd(() => {
      if (this.#route.hasLostCommands) this.ending.commandsLost();
    });
  }

  #foundAnew(done: ActionDone): void {
    const [parent, at] = [this.#arrival.cluster, this.#driver?.logEnd];
    if (parent === undefined || at === undefined) done("This node belongs to no mesh yet.");
    else this.ending.fork({ cluster: newClusterId(this.#ports.random), parent, at }, done);
  }

  #computeStatus(): CoordinatorStatus {
    const pendingProposals = this.#proposals.count;
    const driver = this.#driver;
    if (driver === undefined) return { ...freshStatus(), pendingProposals };
    return memberStatus({
      node: this.#node,
      arrival: this.#arrival,
      driver,
      peers: this.#peers,
      contact: this.contact,
      silenceMs: this.#driverOptions.raft.electionMinMs,
      logVersion: this.#machine.version,
      pendingProposals,
      replicaFaults: this.#replicaFaults,
      diskFailures: this.#diskFailures,
      awaited: this.#mending?.awaited ?? [],
      known: this.known,
      merging: this.merging,
      now: this.#ports.clock.monotonicMs(),
    });
  }

  #halt(): void {
    this.#outbox.stop();
    this.#arrival.stop();
    this.#turnEnd.stop();
    this.#tickTimer?.cancel();
  }
}
