/**
 * What only the leader does: it takes joiners in as learners, one after another, lets members leave, sees to it that the right
 * nodes vote (voter-policy.ts), and gives way to a node that leads better, or when its own disk is full: it could take nothing
 * that is meant to last from anybody.
 *
 * It acts on the committed configuration and asks for one change at a time; what cannot be done now (another change is
 * under way, no entry of its own term committed yet) is tried again a moment later. Every leader starts with empty
 * lists: joiners ask every second until they hear `joined`, and who resigns, leaves or wants another one to be forgotten says so
 * every second for as long as it is true.
 */

import type { Clock, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";
import { liveIn } from "../peer-list.ts";
import type { Driver } from "../replica/driver.ts";
import { REPLICAS_MAX, votersWanted } from "./voter-policy.ts";
import { type Seen, VoterWatch } from "./voter-watch.ts";

/** Joiners remembered at a time; more wait for their next request. */
const JOINERS_MAX = 64;
/** Who stopped asking for something is not served any more. */
const FORGOTTEN_MS = 5000;
/** While all is well only time makes a difference, and half a minute of it at least (voter-watch.ts). */
const LOOK_AGAIN_MS = 2000;
const WARN_EVERY_MS = 60_000;
/** The next leader's disk may be full too, and then nobody gains by a change of leader. */
const GIVE_WAY_EVERY_MS = 600_000;
/** Each hand-over costs the clients on the floating address a reconnection. */
const TRANSFER_EVERY_MS = 3_600_000;

export interface GovernorPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Tells `joiner` that it is in the committed configuration. */
  readonly sendJoined: (joiner: NodeId) => void;
  /** When leadership was last handed from one living node to another; undefined: not since this node started. */
  readonly transferredAt: () => MonotonicMs | undefined;
}

/** Who takes part, as the cluster has decided. */
interface Roster {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

export class Governor {
  readonly #self: NodeId;
  readonly #silenceMs: number;
  readonly #ports: GovernorPorts;
  readonly #watch = new VoterWatch();
  /** When each was heard last; likewise below. */
  readonly #joiners = new Map<NodeId, MonotonicMs>();
  readonly #resigning = new Map<NodeId, MonotonicMs>();
  /** They give up their vote, to be removed later. */
  readonly #leaving = new Map<NodeId, MonotonicMs>();
  readonly #removed = new Map<NodeId, MonotonicMs>();
  /** The configuration in which all was well, and until when that needs no further look. */
  #calm: { readonly configuration: unknown; readonly until: number } | undefined;
  #warnAgainAt = 0;
  #giveWayAgainAt = 0;

  /** `silenceMs`: a learner not heard by Raft for this long is not promoted. */
  constructor(self: NodeId, silenceMs: number, ports: GovernorPorts) {
    this.#self = self;
    this.#silenceMs = silenceMs;
    this.#ports = ports;
  }

  /** Not the leader (any more): others see to what was asked. */
  reset(): void {
    for (const asked of [this.#joiners, this.#resigning, this.#leaving, this.#removed]) asked.clear();
    this.#calm = undefined;
    this.#watch.reset();
  }

  /** This node's disk has room, whether it leads or not: if it is full again later, that is another matter. */
  diskHasRoom(): void {
    this.#giveWayAgainAt = 0;
  }

  /** `joiner` asks to become a learner. Ignored while too many wait: it asks again. */
  join(joiner: NodeId): void {
    this.#note(this.#joiners, joiner, JOINERS_MAX);
  }

  /** `node`, voter or learner, asks not to vote for the time being. */
  resign(node: NodeId): void {
    this.#note(this.#resigning, node, REPLICAS_MAX);
  }

  /** `node` is about to leave: it must neither lead nor vote. */
  leave(node: NodeId): void {
    this.#note(this.#leaving, node, REPLICAS_MAX);
  }

  /** `node` is to be a member no longer: it has left, or is forgotten. */
  remove(node: NodeId): void {
    this.#note(this.#removed, node, REPLICAS_MAX);
  }

  /** Call a few times a second and after changes, while this node leads. `peers`: this node itself included. */
  govern(driver: Driver, peers: readonly PeerView[], now: MonotonicMs): void {
    if (driver.isDiskFull && this.#giveWay(driver, now)) return;
    const committed = driver.appliedConfiguration;
    if (committed === this.#calm?.configuration && now < this.#calm.until) return;
    this.#calm = undefined;
    const raft = driver.status(now);
    if (raft.configuration.votersOutgoing.length > 0 || committed.votersOutgoing.length > 0) {
      // The change takes this leader's vote. Who gets it can lead now; nobody has to wait for an election afterwards.
      if (!raft.configuration.voters.includes(this.#self)) driver.transferLeadership();
      return;
    }
    const voters = committed.voters as readonly NodeId[];
    const learners = committed.learners as readonly NodeId[];
    const roster = { voters, learners };
    this.#answerJoiners(roster, now);
    const joiner = this.#joiners.keys().next().value;
    if (joiner !== undefined) {
      if (voters.length + learners.length < REPLICAS_MAX) {
        driver.step({ kind: "changeConfiguration", voters, learners: [...learners, joiner] });
        return;
      }
      this.#warnFull(joiner, now);
    }
    for (const asked of [this.#resigning, this.#leaving, this.#removed])
      for (const [node, askedAt] of asked) if (now - askedAt > FORGOTTEN_MS) asked.delete(node);
    const seen = this.#watch.look({
      now,
      self: this.#self,
      voters,
      learners,
      raft,
      peers: new Map(peers.map((peer) => [peer.id, peer])),
      silenceMs: this.#silenceMs,
    });
    if (this.#changeMembers(driver, roster, peers, seen)) return;
    this.#handOverToBetter(driver, seen, now);
    if (seen.caughtUp.size === learners.length && !this.#isAnythingAsked)
      this.#calm = { configuration: committed, until: now + LOOK_AGAIN_MS };
  }

  get #isAnythingAsked(): boolean {
    return [this.#joiners, this.#resigning, this.#leaving, this.#removed].some(({ size }) => size > 0);
  }

  /** One change of who votes and who is a member. False: all is well. */
  #changeMembers(driver: Driver, roster: Roster, peers: readonly PeerView[], seen: Seen): boolean {
    const { voters, learners } = roster;
    const removed = new Set([...this.#removed.keys(), ...seen.gone]);
    const wanted =
      votersWanted({
        voters,
        learners,
        leader: this.#self,
        live: new Set([...liveIn(peers), this.#self]),
        ...seen,
        resigning: new Set(this.#resigning.keys()),
        leaving: new Set([...removed, ...this.#leaving.keys()]),
      }) ?? voters;
    const rest = [...learners, ...voters].filter((node) => !wanted.includes(node) && !removed.has(node));
    if (wanted === voters && rest.length === learners.length) return false;
    // One that leads on would stop for an election when the change is through; a sole voter has nobody to hand over to.
    if (!wanted.includes(this.#self) && driver.transferLeadership()) return true;
    const before = [...voters, ...learners];
    const gone = before.filter((node) => !wanted.includes(node) && !rest.includes(node));
    this.#ports.log.info({ voters: wanted, before: voters, removed: gone }, "changing the voters");
    driver.step({ kind: "changeConfiguration", voters: wanted, learners: rest });
    return true;
  }

  #handOverToBetter(driver: Driver, { successor }: Seen, now: MonotonicMs): void {
    const transferredAt = this.#ports.transferredAt();
    if (successor === undefined) return;
    if (transferredAt !== undefined && now - transferredAt < TRANSFER_EVERY_MS) return;
    if (driver.transferLeadership(successor))
      this.#ports.log.info({ successor }, "handing leadership to a node that is better suited");
  }

  #giveWay(driver: Driver, now: MonotonicMs): boolean {
    if (now < this.#giveWayAgainAt || !driver.transferLeadership()) return false;
    this.#giveWayAgainAt = now + GIVE_WAY_EVERY_MS;
    this.#ports.log.info({}, "the disk of this node is full: handing leadership over");
    return true;
  }

  #answerJoiners({ voters, learners }: Roster, now: MonotonicMs): void {
    for (const [joiner, askedAt] of this.#joiners) {
      const isIn = learners.includes(joiner);
      if (isIn) this.#ports.sendJoined(joiner);
      if (isIn || voters.includes(joiner) || now - askedAt > FORGOTTEN_MS) this.#joiners.delete(joiner);
      if (!voters.includes(joiner)) continue;
      // A voter that asks like a fresh node has lost its memory: taken back as it is it could un-commit entries.
      this.#ports.log.error(
        { joiner },
        "a voter without its data asks to join; give it a new data directory",
      );
    }
  }

  #warnFull(joiner: NodeId, now: MonotonicMs): void {
    if (now < this.#warnAgainAt) return;
    this.#warnAgainAt = now + WARN_EVERY_MS;
    this.#ports.log.warn({ joiner, replicasMax: REPLICAS_MAX }, "mesh is full; node cannot join");
  }

  #note(asked: Map<NodeId, MonotonicMs>, node: NodeId, most: number): void {
    this.#calm = undefined;
    if (asked.has(node) || asked.size < most) asked.set(node, this.#ports.clock.monotonicMs());
  }
}
