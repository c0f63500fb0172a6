/**
 * Who belongs to the cluster, as far as this node has a say: it asks the leader on its own behalf, passes on what others ask,
 * and as the leader does what is asked (governor.ts).
 *
 * Ids of nodes are never used again. So who has been seen to leave the configuration is not taken in any more under that id, and
 * who still claims to be a member, although the leader's cluster has removed it, is told so by the leader: one that left is
 * done then, one that was forgotten starts again as a new node. The leader says it only while it holds a lease: then nobody else
 * can have decided otherwise. Members of a cluster that was founded anew elsewhere, and who can decide nothing any more, follow it as
 * new nodes, unless they have more of the log.
 *
 * Source: reference design, sections 1.5, 1.6 and 1.8.
 */

import type { Clock, ClusterId, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { MemberHandlers, StrangerHandlers } from "../control-traffic.ts";
import type { Fork } from "../formation/fork.ts";
import type { ControlFrame } from "../frames.ts";
import type { ActionDone, PeerView } from "../options.ts";
import { isLinkedIn, linkedIn } from "../peer-list.ts";
import type { DiskFailures } from "../replica/disk-failures.ts";
import { DiskStall } from "../replica/disk-stall.ts";
import type { Driver } from "../replica/driver.ts";
import { Departure } from "./departure.ts";
import { Forgetting, isAliveSentence, isLonger } from "./forgetting.ts";
import { Governor } from "./governor.ts";
import { Resignation } from "./resignation.ts";
import type { Upgrade } from "./upgrade.ts";

/** What others may have missed is said again. */
const SAY_EVERY_MS = 1000;
/** Without a leader for so long a member of a forked cluster follows the fork. */
const LEADERLESS_MS = 10_000;
/** Removed ids remembered: enough for frames under way. */
const REMOVED_MAX = 256;
const WARN_EVERY_MS = 60_000;

export interface MembershipPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Sends a frame of this node's cluster. */
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  /** Sends the bytes of a frame as they came. */
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  readonly cluster: () => ClusterId | undefined;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** This node itself included. */
  readonly peers: () => readonly PeerView[];
  readonly pendingProposals: () => number;
  readonly upgrade: Upgrade;
  /** See {@link ForgettingPorts}. */
  readonly votersBehind: () => readonly NodeId[];
  /** The name a node had last, or its id. */
  readonly nameOf: (node: NodeId) => string;
  /** The fork that this node has made. */
  readonly ownFork: () => Fork | undefined;
  /** Makes a new node of this one, and starts that. */
  readonly startAnew: (reason: string) => void;
  /** Makes a new node of this one, which is not started. */
  readonly leaveDataBehind: (done: ActionDone) => void;
  readonly fork: (done: ActionDone) => void;
  readonly parting?: (isParting: boolean) => void;
}

export class Membership {
  readonly departure: Departure;
  readonly forgetting: Forgetting;
  readonly #self: NodeId;
  readonly #silenceMs: number;
  readonly #ports: MembershipPorts;
  readonly #governor: Governor;
  readonly #resignation: Resignation;
  readonly #diskStall: DiskStall;
  /** Who led last, as far as this node knows. */
  #leader: NodeId | undefined;
  #transferredAt: MonotonicMs | undefined;
  #leaderSeenAt: MonotonicMs | undefined;
  #members: ReadonlySet<NodeId> = new Set();
  /** The configuration that {@link #members} was made of. */
  #configuration: unknown;
  readonly #removed = new Set<NodeId>();
  #sayAt = 0;
  #warnAt = 0;

  /** For frames of this node's cluster. */
  readonly handlers = {
    join: (from, { joiner }, bytes) => this.#joinAsked(from, joiner, bytes),
    joined: () => {},
    resign: (from) => this.#governor.resign(from),
    leave: (from, { isReady }) => this.#leaveAsked(from, isReady),
    forget: (from, { target }) => this.#forgetAsked(from, target),
    forgot: (_, { target, error }) => this.forgetting.answered(target, error === "" ? undefined : error),
    notMember: () => this.#notMember(),
    survey: (from) => {
      const end = this.#ports.driver()?.logEnd;
      if (end !== undefined)
        this.#ports.sendMember(from, (cluster) => ({ kind: "surveyed", cluster, ...end }));
    },
    surveyed: (from, { index, term }) => this.forgetting.surveyed(from, { index, term }),
    forked: () => {},
  } satisfies Partial<MemberHandlers>;

  /** For frames of another cluster. */
  readonly strangers = {
    forked: (from, { parent, index, term }) => {
      if (parent !== this.#ports.cluster()) return false;
      this.#forkSeen(from, { index, term });
      return true;
    },
  } satisfies StrangerHandlers;

  /** `silenceMs`: a node not heard by Raft for this long is not counted on. */
  constructor(self: NodeId, silenceMs: number, failures: DiskFailures, ports: MembershipPorts) {
    this.#self = self;
    this.#silenceMs = silenceMs;
    this.#ports = ports;
    this.#governor = new Governor(self, silenceMs, {
      ...ports,
      transferredAt: () => this.#transferredAt,
      sendJoined: (joiner) => ports.sendMember(joiner, (cluster) => ({ kind: "joined", cluster })),
    });
    this.#resignation = new Resignation(failures, { log: ports.log, ask: () => this.#resign() });
    this.#diskStall = new DiskStall(ports.log);
    this.departure = new Departure(self, {
      ...ports,
      ask: (leader, isReady) => {
        if (leader === self) this.#leaveAsked(self, isReady);
        else ports.sendMember(leader, (cluster) => ({ kind: "leave", cluster, isReady }));
      },
    });
    this.forgetting = new Forgetting(self, {
      ...ports,
      ask: (leader, target) => {
        if (leader === self) this.#forgetAsked(self, target);
        else ports.sendMember(leader, (cluster) => ({ kind: "forget", cluster, target }));
      },
      survey: (member) => ports.sendMember(member, (cluster) => ({ kind: "survey", cluster })),
    });
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    this.#noteRemoved();
    this.#govern(now);
    this.#watchVersions(now);
    this.departure.tick(now);
    this.forgetting.tick(now);
    const driver = this.#ports.driver();
    this.#diskStall.tick(driver, now);
    if (driver?.leadership.leader !== undefined) {
      this.#leaderSeenAt = now;
      this.#resignation.tick(now, driver.appliedConfiguration.voters.includes(this.#self));
    }
    if (now < this.#sayAt) return;
    this.#sayAt = now + SAY_EVERY_MS;
    this.#tellFormerMembers(now);
    this.#tellOfFork();
  }

  /** Role, term or leader changed: what a leader was asked it does not know any more. */
  leadershipChanged(): void {
    const before = this.#leader;
    const leader = this.#ports.driver()?.leadership.leader as NodeId | undefined;
    this.#governor.reset();
    if (leader === undefined || leader === before) return;
    this.#leader = leader;
    // The one before is still there, so it has handed over: such changes are rationed (governor.ts).
    if (before === this.#self || isLinkedIn(this.#ports.peers(), before))
      this.#transferredAt = this.#ports.clock.monotonicMs();
  }

  #govern(now: MonotonicMs): void {
    const driver = this.#ports.driver();
    if (driver?.isDiskFull === false) this.#governor.diskHasRoom();
    if (driver?.leadership.role !== "leader") return;
    this.#governor.govern(driver, this.#ports.peers(), now);
  }

  #watchVersions(now: MonotonicMs): void {
    const { upgrade, peers } = this.#ports;
    const driver = this.#ports.driver();
    if (driver !== undefined) upgrade.observe();
    if (driver?.leadership.role === "leader") upgrade.tick(driver, peers(), now);
    else upgrade.rest();
  }

  #joinAsked(from: NodeId, joiner: NodeId, bytes: Uint8Array): void {
    const leadership = this.#ports.driver()?.leadership;
    if (leadership?.role === "leader") {
      if (!this.#removed.has(joiner)) this.#governor.join(joiner);
      this.#govern(this.#ports.clock.monotonicMs());
    } else if (from === joiner && leadership?.leader !== undefined) {
      // Passed on once: only what comes from the joiner itself.
      this.#ports.send(leadership.leader as NodeId, bytes);
    }
  }

  /** Has another node lead, if this one does and another one can; what the lease protects is given up first. False: it does not lead. */
  moveLeadership(): boolean {
    const driver = this.#ports.driver();
    if (driver?.leadership.role !== "leader") return false;
    // A sole voter has nobody to hand over to; a learner takes its place.
    if (!driver.transferLeadership()) this.#resign();
    return true;
  }

  /** The disk of this node is dying: the leader should let another one vote. */
  #resign(): void {
    const { driver, sendMember } = this.#ports;
    const leader = driver()?.leadership.leader as NodeId | undefined;
    if (leader === this.#self) this.#governor.resign(leader);
    else if (leader !== undefined) sendMember(leader, (cluster) => ({ kind: "resign", cluster }));
  }

  #leaveAsked(from: NodeId, isReady: boolean): void {
    if (this.#ports.driver()?.leadership.role !== "leader") return;
    this.#governor.leave(from);
    if (isReady) this.#governor.remove(from);
    this.#govern(this.#ports.clock.monotonicMs());
  }

  #forgetAsked(from: NodeId, target: NodeId): void {
    const { driver, clock, peers, nameOf } = this.#ports;
    const leading = driver();
    if (leading?.leadership.role !== "leader") return;
    const now = clock.monotonicMs();
    const state = peers().find(({ id }) => id === target)?.state;
    const heardAt = leading.status(now).followers.get(target)?.lastHeardAt;
    const isInDoubt = state === "suspect" || (heardAt !== undefined && now - heardAt < this.#silenceMs);
    this.#noteRemoved();
    if (!this.#members.has(target)) this.#answerForget(from, target, undefined);
    else if (state === "alive") this.#answerForget(from, target, isAliveSentence(nameOf(target)));
    else if (!isInDoubt) this.#governor.remove(target);
  }

  #answerForget(from: NodeId, target: NodeId, error: string | undefined): void {
    if (from === this.#self) this.forgetting.answered(target, error);
    else this.#ports.sendMember(from, (cluster) => ({ kind: "forgot", cluster, target, error: error ?? "" }));
  }

  /** The leader of this node's cluster says that it was removed. */
  #notMember(): void {
    if (this.departure.removed()) return;
    this.#ports.startAnew("this node was forgotten by its mesh while it was away, and joins it as a new one");
  }

  /** Compares the configuration with the one seen last. */
  #noteRemoved(): void {
    const configuration = this.#ports.driver()?.appliedConfiguration;
    if (configuration === undefined || configuration === this.#configuration) return;
    this.#configuration = configuration;
    const { voters, votersOutgoing, learners } = configuration;
    const members = new Set([...voters, ...votersOutgoing, ...learners] as NodeId[]);
    for (const node of this.#members) if (!members.has(node)) this.#removed.add(node);
    for (const node of [...this.#removed].slice(0, Math.max(0, this.#removed.size - REMOVED_MAX)))
      this.#removed.delete(node);
    this.#members = members;
  }

  #tellFormerMembers(now: MonotonicMs): void {
    const { driver, cluster, peers, sendMember } = this.#ports;
    const leading = driver();
    if (leading?.leadership.role !== "leader" || leading.applied.term !== leading.leadership.term) return;
    const { leaseUntil } = leading.status(now);
    if (leaseUntil === undefined || leaseUntil <= now) return;
    for (const node of linkedIn(peers(), cluster()))
      if (!this.#members.has(node)) sendMember(node, (ours) => ({ kind: "notMember", cluster: ours }));
    // This node itself has left; another leader will say the same.
    if (!this.#members.has(this.#self)) this.departure.removed();
  }

  #tellOfFork(): void {
    const { ownFork, cluster, peers, sendMember } = this.#ports;
    const fork = ownFork();
    if (fork === undefined || fork.cluster !== cluster()) return;
    const { parent, at } = fork;
    for (const node of linkedIn(peers(), parent))
      sendMember(node, (ours) => ({ kind: "forked", cluster: ours, parent, ...at }));
  }

  #forkSeen(from: NodeId, at: Fork["at"]): void {
    const { driver, clock, nameOf, startAnew, log } = this.#ports;
    const own = driver();
    const now = clock.monotonicMs();
    this.#leaderSeenAt ??= now;
    if (own === undefined || own.leadership.leader !== undefined) return;
    if (now - this.#leaderSeenAt < LEADERLESS_MS) return;
    if (!isLonger(own.logEnd, at)) {
      startAnew(`${nameOf(from)} has founded the mesh anew without the voters that are gone`);
      return;
    }
    if (now < this.#warnAt) return;
    this.#warnAt = now + WARN_EVERY_MS;
    const explanation =
      "This node may hold messages that the mesh founded anew does not have. To bring them in, forget the voters that are gone here as well: skein members";
    log.warn({ foundedAnewBy: nameOf(from), explanation }, "the mesh was founded anew without this node");
  }
}
