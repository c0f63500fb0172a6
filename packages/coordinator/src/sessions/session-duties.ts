/**
 * What the leader does for sessions: it lets time pass in the log when something is due, or messages grow older, and says which processes are gone.
 *
 * A node counts as gone when membership says that it is dead, or does not know it, and that has been so for five seconds: its
 * clients' wills then wait for them to come back elsewhere. Nothing is said about a node that is only silent for the leader.
 *
 * Source: reference design, section 4.3 (rules 9 and 10).
 */

import type { Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { PeerView } from "../options.ts";
import type { ClusterCommand } from "../state-machine/cluster-commands.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

const GONE_AFTER_MS = 5000;
/** Time that passes without a command is written down at least so often while it matters (session-time.ts). */
const TICK_AT_LEAST_MS = 120_000;
/** What has been proposed is proposed again if nothing has come of it. */
const REPEAT_AFTER_MS = 2000;

export interface SessionDutiesPorts {
  readonly node: NodeId;
  readonly peers: () => readonly PeerView[];
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  readonly propose: (command: ClusterCommand) => void;
}

export class SessionDuties {
  readonly #machine: StateMachine;
  readonly #ports: SessionDutiesPorts;
  /** Since when each is gone. */
  #goneSince = new Map<NodeId, MonotonicMs>();
  #silentUntil = 0;

  constructor(machine: StateMachine, ports: SessionDutiesPorts) {
    this.#machine = machine;
    this.#ports = ports;
  }

  /** A few times a second, on the leader. */
  tick(now: MonotonicMs): void {
    // A dissolved cluster stands still.
    if (this.#machine.clusters.dissolution !== undefined) {
      this.rest();
      return;
    }
    const owners = this.#owners();
    this.#watch(owners, now);
    if (now < this.#silentUntil) return;
    const down = [...this.#nodesDown(owners, now)];
    if (down.length === 0 && !this.#isTimeDue()) return;
    this.#silentUntil = now + REPEAT_AFTER_MS;
    // What time it is comes first: the grace begins now, not when somebody wrote something last.
    const { clusters } = this.#machine;
    this.#ports.propose({ kind: "tick", stamp: this.#ports.time(), ageMinutes: clusters.ageMinutes });
    for (const command of down) this.#ports.propose(command);
  }

  /** Something that was proposed has come through the log: what is due next does not wait. */
  carriedOut(): void {
    this.#silentUntil = 0;
  }

  /** This node does not lead, or no longer. */
  rest(): void {
    this.#goneSince.clear();
    this.#silentUntil = 0;
  }

  /** The newest incarnation of each node that holds sessions. */
  #owners(): Map<NodeId, Incarnation> {
    const owners = new Map<NodeId, Incarnation>();
    for (const { owner } of this.#machine.sessions.all()) {
      if (owner === undefined || owner.node === this.#ports.node) continue;
      const { node, incarnation } = owner;
      if (incarnation > (owners.get(node) ?? 0)) owners.set(node, incarnation);
    }
    return owners;
  }

  #watch(owners: ReadonlyMap<NodeId, Incarnation>, now: MonotonicMs): void {
    const present = new Set<NodeId>();
    for (const { id, state } of this.#ports.peers())
      if (state === "alive" || state === "suspect") present.add(id);
    const before = this.#goneSince;
    this.#goneSince = new Map();
    for (const node of owners.keys())
      if (!present.has(node)) this.#goneSince.set(node, before.get(node) ?? now);
  }

  *#nodesDown(owners: ReadonlyMap<NodeId, Incarnation>, now: MonotonicMs): Iterable<ClusterCommand> {
    for (const [node, since] of this.#goneSince) {
      const incarnation = owners.get(node);
      if (incarnation === undefined || now - since < GONE_AFTER_MS) continue;
      yield { kind: "nodeDown", node, incarnation, by: this.#ports.node };
    }
  }

  /** Something is due, or would be counted as a jump of the clock before long. */
  #isTimeDue(): boolean {
    const { sessions, retained, newest } = this.#machine;
    const { nextDue } = sessions;
    const areMessagesAging = sessions.owed.bytes > 0 || retained.hasExpiring;
    if (nextDue === Number.POSITIVE_INFINITY && !areMessagesAging) return false;
    const now = sessions.time.estimate(newest, this.#ports.time());
    return nextDue <= now || now - sessions.time.elapsed >= TICK_AT_LEAST_MS;
  }
}
