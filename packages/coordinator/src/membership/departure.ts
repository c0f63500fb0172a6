/**
 * How this node leaves its cluster, when its operator says so.
 *
 * Asked every second, the leader first takes this node's vote away (and lets another node lead). Once this node is a learner its
 * clients are sent away: whoever leads now has the floating address too. When they are gone and what was proposed for them is
 * committed, the leader removes it from the configuration and says so. From then on the old data belongs to nobody: the next
 * start is a fresh node's. Nothing is given up before, so whoever cannot leave stays what it was, and lets its clients in again.
 */

import type { Clock, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { ActionDone, PeerView } from "../options.ts";
import { liveIn } from "../peer-list.ts";
import type { Driver } from "../replica/driver.ts";

const ASK_EVERY_MS = 1000;
/** Longer than an election, a joint change and the catching up of a learner take together. */
const PATIENCE_MS = 30_000;
/** Its own writes are waited for, unless they cannot be committed. */
const DRAIN_MAX_MS = 5000;
/** What clients had sent before they heard that they must go has been read by then. */
const GOODBYE_MS = 500;

export interface DeparturePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly driver: () => Driver | undefined;
  readonly peers: () => readonly PeerView[];
  /** Proposals of this node that are not committed yet. */
  readonly pendingProposals: () => number;
  /** Asks the leader. `isReady`: to be removed, not only to lose its vote. */
  readonly ask: (leader: NodeId, isReady: boolean) => void;
  /** Clients should go, or may come again. */
  readonly parting?: (isParting: boolean) => void;
  /** Makes a fresh node of the data directory, then calls back. */
  readonly leaveDataBehind: (done: ActionDone) => void;
}

interface Attempt {
  readonly done: ActionDone;
  readonly begunAt: MonotonicMs;
  askAt: number;
  /** When the clients were sent away, since this node neither leads nor votes. */
  partedAt: MonotonicMs | undefined;
}

export class Departure {
  readonly #self: NodeId;
  readonly #ports: DeparturePorts;
  #attempt: Attempt | undefined;

  constructor(self: NodeId, ports: DeparturePorts) {
    this.#self = self;
    this.#ports = ports;
  }

  get isUnderWay(): boolean {
    return this.#attempt !== undefined;
  }

  begin(done: ActionDone): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      done(refusal);
      return;
    }
    this.#ports.log.info({}, "leaving the mesh");
    const now = this.#ports.clock.monotonicMs();
    this.#attempt = { done, begunAt: now, askAt: now, partedAt: undefined };
    this.tick(now);
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    const attempt = this.#attempt;
    const driver = this.#ports.driver();
    if (attempt === undefined || driver === undefined) return;
    if (now - attempt.begunAt >= PATIENCE_MS) {
      this.#end(whyNot(driver, this.#self));
      return;
    }
    const { role, leader } = driver.leadership;
    if (leader === undefined) return;
    const isIdle = role !== "leader" && !driver.appliedConfiguration.voters.includes(this.#self);
    if (isIdle && attempt.partedAt === undefined) this.#part(attempt, now);
    if (now < attempt.askAt) return;
    attempt.askAt = now + ASK_EVERY_MS;
    this.#ports.ask(leader as NodeId, this.#isReady(attempt, now));
  }

  /** The cluster says that this node is no member. False: it was not leaving. */
  removed(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return false;
    this.#attempt = undefined;
    this.#ports.log.info({}, "left the mesh");
    this.#ports.leaveDataBehind(attempt.done);
    return true;
  }

  #part(attempt: Attempt, now: MonotonicMs): void {
    attempt.partedAt = now;
    attempt.askAt = now + GOODBYE_MS;
    this.#ports.log.info({}, "another node can do all that this one did: sending its clients away");
    this.#ports.parting?.(true);
  }

  #isReady({ partedAt }: Attempt, now: MonotonicMs): boolean {
    if (partedAt === undefined) return false;
    return this.#ports.pendingProposals() === 0 || now - partedAt >= DRAIN_MAX_MS;
  }

  #refusal(): string | undefined {
    const driver = this.#ports.driver();
    if (driver === undefined) return "This node belongs to no mesh yet: just stop it.";
    if (this.#attempt !== undefined) return "This node is leaving already.";
    const { voters, votersOutgoing, learners } = driver.appliedConfiguration;
    const members = new Set([...voters, ...votersOutgoing, ...learners] as NodeId[]);
    if (members.size === 1 && members.has(this.#self))
      return "This is the only node of its mesh, so nobody could take its data over. To give the mesh up, stop the node and remove its data directory.";
    const live = liveIn(this.#ports.peers());
    if ([...members].some((node) => node !== this.#self && live.has(node))) return undefined;
    return "No other node of the mesh can be reached, so nobody could take over. Start one, or forget the dead ones first: skein members";
  }

  #end(error: string): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    this.#ports.log.warn({ error }, "could not leave the mesh");
    if (attempt?.partedAt !== undefined) this.#ports.parting?.(false);
    attempt?.done(error);
  }
}

function whyNot(driver: Driver, self: NodeId): string {
  const { role, leader } = driver.leadership;
  const seconds = PATIENCE_MS / 1000;
  if (leader === undefined)
    return `Could not leave within ${seconds} s: there is no coordinator. Nothing has changed. See: skein status`;
  const isVoter = role === "leader" || driver.appliedConfiguration.voters.includes(self);
  return isVoter
    ? `Could not leave within ${seconds} s: no other node is ready to take this one's place. Nothing has changed. Try again when the others have caught up.`
    : `Could not leave within ${seconds} s: the coordinator does not answer. Try again. See: skein status`;
}
