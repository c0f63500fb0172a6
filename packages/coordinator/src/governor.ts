/**
 * What only the leader does: it takes joiners in as learners, one after another, promotes learners to voters, lets voters
 * resign whose disk is dying, and gives way itself when its own disk is full: it could take nothing that is meant to last from
 * anybody.
 *
 * It acts on the committed configuration and asks for one change at a time; what cannot be done now (another change is
 * under way, no entry of its own term committed yet) is tried again a moment later. Every leader starts with empty
 * lists: joiners ask every second until they hear `joined`, and who resigns says so every second for as long as it is true.
 */

import type { Clock, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { Driver } from "./driver.ts";
import { PROMOTION_LAG_ENTRIES, REPLICAS_MAX, votersWanted } from "./voter-policy.ts";

/** Joiners remembered at a time; more wait for their next request. */
const JOINERS_MAX = 64;
/** A joiner that stopped asking is forgotten, and so is one that resigned. */
const FORGOTTEN_MS = 5000;
const WARN_EVERY_MS = 60_000;
/** The next leader's disk may be full too, and then nobody gains by a change of leader. */
const GIVE_WAY_EVERY_MS = 600_000;

export interface GovernorPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Tells `joiner` that it is in the committed configuration. */
  readonly sendJoined: (joiner: NodeId) => void;
}

export class Governor {
  readonly #self: NodeId;
  readonly #silenceMs: number;
  readonly #ports: GovernorPorts;
  readonly #joiners = new Map<NodeId, MonotonicMs>();
  /** When each was heard last. */
  readonly #resigning = new Map<NodeId, MonotonicMs>();
  #warnAgainAt = 0;
  #giveWayAgainAt = 0;

  /** `silenceMs`: a learner not heard by Raft for this long is not promoted. */
  constructor(self: NodeId, silenceMs: number, ports: GovernorPorts) {
    this.#self = self;
    this.#silenceMs = silenceMs;
    this.#ports = ports;
  }

  /** Not the leader (any more): others see to the joiners. */
  reset(): void {
    this.#joiners.clear();
    this.#resigning.clear();
  }

  /** `joiner` asks to become a learner. Ignored while too many wait: it asks again. */
  join(joiner: NodeId): void {
    if (!this.#joiners.has(joiner) && this.#joiners.size >= JOINERS_MAX) return;
    this.#joiners.set(joiner, this.#ports.clock.monotonicMs());
  }

  /** `node`, voter or learner, asks not to vote for the time being. */
  resign(node: NodeId): void {
    if (!this.#resigning.has(node) && this.#resigning.size >= REPLICAS_MAX) return;
    this.#resigning.set(node, this.#ports.clock.monotonicMs());
  }

  /** Call a few times a second and after changes, while this node leads. `live`: linked, living members. */
  govern(driver: Driver, live: ReadonlySet<NodeId>, now: MonotonicMs): void {
    if (driver.isDiskFull && this.#giveWay(driver, now)) return;
    const { configuration } = driver.status(now);
    const committed = driver.appliedConfiguration;
    if (configuration.votersOutgoing.length > 0 || committed.votersOutgoing.length > 0) return;
    const voters = committed.voters as readonly NodeId[];
    const learners = committed.learners as readonly NodeId[];
    this.#answerJoiners(voters, learners, now);
    const joiner = this.#joiners.keys().next().value;
    if (joiner !== undefined) {
      if (voters.length + learners.length < REPLICAS_MAX) {
        driver.step({ kind: "changeConfiguration", voters, learners: [...learners, joiner] });
        return;
      }
      this.#warnFull(joiner, now);
    }
    this.#promote(driver, voters, learners, live, now);
  }

  #giveWay(driver: Driver, now: MonotonicMs): boolean {
    if (now < this.#giveWayAgainAt || !driver.transferLeadership()) return false;
    this.#giveWayAgainAt = now + GIVE_WAY_EVERY_MS;
    this.#ports.log.info({}, "the disk of this node is full: handing leadership over");
    return true;
  }

  #answerJoiners(voters: readonly NodeId[], learners: readonly NodeId[], now: MonotonicMs): void {
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

  #promote(
    driver: Driver,
    voters: readonly NodeId[],
    learners: readonly NodeId[],
    live: ReadonlySet<NodeId>,
    now: MonotonicMs,
  ): void {
    if (learners.length === 0) return;
    const { followers, lastIndex } = driver.status(now);
    const caughtUp = new Set<NodeId>();
    for (const learner of learners) {
      const follower = followers.get(learner);
      if (follower?.lastHeardAt === undefined || now - follower.lastHeardAt > this.#silenceMs) continue;
      if (follower.matchIndex > 0 && lastIndex - follower.matchIndex <= PROMOTION_LAG_ENTRIES)
        caughtUp.add(learner);
    }
    for (const [node, saidAt] of this.#resigning)
      if (now - saidAt > FORGOTTEN_MS) this.#resigning.delete(node);
    const wanted = votersWanted({
      voters,
      learners,
      live: new Set([...live, this.#self]),
      caughtUp,
      resigning: new Set(this.#resigning.keys()),
      leader: this.#self,
    });
    if (wanted === undefined) return;
    // One that leads on would stop for an election when the change is through; a sole voter has nobody to hand over to.
    if (!wanted.includes(this.#self) && driver.transferLeadership()) return;
    const leaving = voters.filter((voter) => !wanted.includes(voter));
    this.#ports.log.info({ voters: wanted, leaving }, "changing the voters");
    const rest = [...learners, ...leaving].filter((node) => !wanted.includes(node));
    driver.step({ kind: "changeConfiguration", voters: wanted, learners: rest });
  }

  #warnFull(joiner: NodeId, now: MonotonicMs): void {
    if (now < this.#warnAgainAt) return;
    this.#warnAgainAt = now + WARN_EVERY_MS;
    this.#ports.log.warn({ joiner, replicasMax: REPLICAS_MAX }, "mesh is full; node cannot join");
  }
}
