/**
 * How a dead node is forgotten: asked for at any node, decided by the leader; and where there is none, by the operator.
 *
 * With a quorum the leader removes the node from the configuration. Without one nothing can be decided in the old mesh. Who has
 * been told to forget every other voter founds it anew from its own replica (fork.ts). That is refused while one of them is
 * alive, and where a reachable member has more of the log: then the operator is sent there, so that nothing
 * acknowledged is left behind. Nodes that are alive are never forgotten: they can leave. Of one that has just fallen silent nobody
 * knows for some seconds; the leader is asked again until it does.
 *
 * Source: reference design, section 1.5.
 */

import type { Clock, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { ActionDone, PeerView } from "../options.ts";
import type { Driver } from "../replica/driver.ts";
import type { Position } from "../replica/mending.ts";

const ASK_EVERY_MS = 1000;
/** Longer than an election and two joint changes take together. */
const PATIENCE_MS = 25_000;
/** Without a leader for so long there is none: an election takes less. */
const LEADERLESS_MS = 8000;
/** The other members say within this time how far their logs go. */
const SURVEY_MS = 1500;
/** The voters of a large mesh are forgotten one after another. */
const REMEMBERED_MS = 600_000;
const ASKED_MAX = 16;

export interface ForgettingPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly driver: () => Driver | undefined;
  readonly peers: () => readonly PeerView[];
  /** Voters that this node knows of although its log, which is damaged, may not name them. */
  readonly votersBehind: () => readonly NodeId[];
  /** The name a node had last, or its id. */
  readonly nameOf: (node: NodeId) => string;
  readonly ask: (leader: NodeId, target: NodeId) => void;
  /** Asks a member how far its log goes. */
  readonly survey: (member: NodeId) => void;
  /** Founds the mesh anew with this node as its only member. */
  readonly fork: (done: ActionDone) => void;
}

interface Asked {
  readonly done: ActionDone;
  readonly begunAt: MonotonicMs;
  askAt: number;
  /** When the other members were asked how far their logs go. */
  surveyedAt: MonotonicMs | undefined;
}

export class Forgetting {
  readonly #self: NodeId;
  readonly #ports: ForgettingPorts;
  readonly #asked = new Map<NodeId, Asked>();
  /** Voters that the operator has given up while there was no leader, and when. */
  readonly #givenUp = new Map<NodeId, MonotonicMs>();
  /** How far the logs of other members go. */
  readonly #ends = new Map<NodeId, Position>();
  #leaderSeenAt: MonotonicMs | undefined;

  constructor(self: NodeId, ports: ForgettingPorts) {
    this.#self = self;
    this.#ports = ports;
  }

  begin(target: NodeId, done: ActionDone): void {
    const name = this.#ports.nameOf(target);
    if (this.#ports.driver() === undefined)
      done("This node belongs to no mesh yet, so there is nobody to forget.");
    else if (target === this.#self) done("To take this node itself out of its mesh: skein leave");
    else if (this.#stateOf(target) === "alive") done(isAliveSentence(name));
    else if (this.#asked.has(target)) done(`${name} is being forgotten already.`);
    else if (this.#asked.size >= ASKED_MAX)
      done("Too many nodes are being forgotten at once. Try again in a minute.");
    else {
      const now = this.#ports.clock.monotonicMs();
      this.#asked.set(target, { done, begunAt: now, askAt: now, surveyedAt: undefined });
      this.tick(now);
    }
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    const driver = this.#ports.driver();
    if (driver === undefined) return;
    const leader = driver.leadership.leader as NodeId | undefined;
    if (leader !== undefined || this.#leaderSeenAt === undefined) this.#leaderSeenAt = now;
    if (leader !== undefined) this.#givenUp.clear();
    for (const [node, at] of this.#givenUp) if (now - at > REMEMBERED_MS) this.#givenUp.delete(node);
    for (const [target, asked] of this.#asked) {
      if (leader !== undefined && now >= asked.askAt) {
        asked.askAt = now + ASK_EVERY_MS;
        this.#ports.ask(leader, target);
      }
      if (leader === undefined && now - this.#leaderSeenAt >= LEADERLESS_MS)
        this.#withoutLeader(driver, target, asked, now);
      else if (now - asked.begunAt >= PATIENCE_MS)
        this.#end(target, "The coordinator has not done it in time. See: skein status");
    }
  }

  /** The leader's answer; `error` undefined: `target` is a member no longer. */
  answered(target: NodeId, error: string | undefined): void {
    this.#end(target, error);
  }

  /** A member's answer to a survey. */
  surveyed(member: NodeId, end: Position): void {
    if (this.#asked.size > 0) this.#ends.set(member, end);
  }

  #withoutLeader(driver: Driver, target: NodeId, asked: Asked, now: MonotonicMs): void {
    const { peers, survey, log, nameOf, votersBehind } = this.#ports;
    const { voters, votersOutgoing } = driver.status(now).configuration;
    const known = new Set([...(voters as NodeId[]), ...(votersOutgoing as NodeId[]), ...votersBehind()]);
    const others = [...known].filter((node) => node !== this.#self);
    if (others.includes(target)) this.#givenUp.set(target, now);
    const refusal = this.#refusal(target, others);
    if (refusal !== undefined) {
      this.#end(target, refusal);
    } else if (asked.surveyedAt === undefined) {
      asked.surveyedAt = now;
      this.#ends.clear();
      for (const { id, isLinked } of peers()) if (isLinked) survey(id);
    } else if (now - asked.surveyedAt >= SURVEY_MS) {
      const ahead = [...this.#ends].find(([, end]) => isLonger(end, driver.logEnd))?.[0];
      if (ahead !== undefined) {
        const name = nameOf(ahead);
        const error = `${name} has more of the mesh's messages than this node, so the mesh must go on from there. Run it on ${name}: skein forget ${nameOf(target)}`;
        this.#end(target, error);
        return;
      }
      log.warn({ forgotten: others.map(nameOf) }, "founding the mesh anew without the voters that are gone");
      this.#asked.delete(target);
      this.#ports.fork(asked.done);
    }
  }

  /** Why the mesh is not founded anew by forgetting `target`, where there is no leader; `others`: all voters but this node. */
  #refusal(target: NodeId, others: readonly NodeId[]): string | undefined {
    const { nameOf } = this.#ports;
    const names = (nodes: readonly NodeId[]): string => nodes.map(nameOf).join(" and ");
    if (!others.includes(target))
      return `There is no coordinator, so nothing can be decided, and to forget ${nameOf(target)} would not help. If ${names(others)} will never come back: skein forget NODE`;
    const left = others.filter((node) => !this.#givenUp.has(node));
    if (left.length > 0)
      return `Noted, for ten minutes. But the mesh cannot decide without ${names(left)} either: switch it on; or if it will never come back: skein forget ${nameOf(left[0] as NodeId)}`;
    const alive = others.find((node) => this.#isAlive(node));
    return alive === undefined ? undefined : isAliveSentence(nameOf(alive));
  }

  #isAlive(node: NodeId): boolean {
    const state = this.#stateOf(node);
    return state === "alive" || state === "suspect";
  }

  #stateOf(node: NodeId): PeerView["state"] | undefined {
    return this.#ports.peers().find(({ id }) => id === node)?.state;
  }

  #end(target: NodeId, error: string | undefined): void {
    const asked = this.#asked.get(target);
    this.#asked.delete(target);
    asked?.done(error);
  }
}

/** Why `name` is not forgotten. */
export function isAliveSentence(name: string): string {
  return `${name} is alive, or was a moment ago. To take it out of the mesh run on ${name}: skein leave`;
}

/** Raft's order of logs (paper, section 5.4.1). */
export function isLonger(a: Position, b: Position): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}
