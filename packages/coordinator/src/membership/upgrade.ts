/**
 * Raises the version of the log (state-machine/log-version.ts) when every node knows a newer one: the leader's duty.
 *
 * Who counts: every member of the configuration, reachable or not, and every other node in sight, because it may join. All of them must have
 * known it for an hour: a person who has updated the last box and does not like what they see can take it back until then. In a
 * cluster that has just been founded there is nothing to take back.
 */

import type { Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";
import type { Driver } from "../replica/driver.ts";
import { type ClusterCommand, encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import { AGE_MINUTES_MAX } from "../state-machine/clusters.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

const MINUTE_MS = 60_000;
/** A cluster in its first {@link AGE_MINUTES_MAX} minutes waits for this share of the time only. */
const NEW_SHARE = 1 / 600;
/** What has been proposed is proposed again if nothing has come of it. */
const REPEAT_AFTER_MS = 2000;

export class Upgrade {
  readonly #machine: Pick<StateMachine, "version" | "clusters">;
  readonly #settleMs: number;
  /** The newest version that all have known, and since when. */
  #known = 0;
  #since = 0;
  #silentUntil = 0;
  readonly #log: Log;
  /** In force when this node looked last; undefined: it has not looked yet. */
  #inForce: number | undefined;

  /** @param settleMinutes for so long every node must have known a version before it is used */
  constructor(machine: Pick<StateMachine, "version" | "clusters">, settleMinutes: number, log: Log) {
    this.#machine = machine;
    this.#settleMs = settleMinutes * MINUTE_MS;
    this.#log = log;
  }

  /** A few times a second, on every member. */
  observe(): void {
    const { version } = this.#machine;
    const before = this.#inForce;
    this.#inForce = version;
    if (before === undefined || before === version) return;
    this.#log.info(
      { version },
      "the mesh goes on in this version of its protocol: no node can go back to a program before it",
    );
  }

  /** A few times a second, on the leader. `peers`: this node included. */
  tick(
    driver: Pick<Driver, "appliedConfiguration" | "propose">,
    peers: readonly PeerView[],
    now: MonotonicMs,
  ): void {
    const { version, clusters } = this.#machine;
    const known = lowestOf(driver.appliedConfiguration, peers);
    if (known !== this.#known) {
      this.#known = known;
      this.#since = now;
    }
    const share = clusters.ageMinutes < AGE_MINUTES_MAX ? NEW_SHARE : 1;
    const isSettled = now - this.#since >= this.#settleMs * share;
    if (known <= version || !isSettled || clusters.dissolution !== undefined || now < this.#silentUntil)
      return;
    this.#silentUntil = now + REPEAT_AFTER_MS;
    const command: ClusterCommand = { kind: "version", version: known };
    driver.propose([encodeClusterCommand(command)]);
  }

  /** This node does not lead, or no longer. */
  rest(): void {
    this.#known = 0;
    this.#silentUntil = 0;
  }
}

/** The newest version that every one of them knows; 0: of one it is not known. */
function lowestOf(
  { voters, votersOutgoing, learners }: Driver["appliedConfiguration"],
  peers: readonly PeerView[],
): number {
  const members = new Set([...voters, ...votersOutgoing, ...learners] as NodeId[]);
  let lowest = Number.POSITIVE_INFINITY;
  for (const { id, state, protocolVersion } of peers) {
    const isInSight = state === "alive" || state === "suspect";
    if (members.delete(id) || isInSight) lowest = Math.min(lowest, protocolVersion);
  }
  return members.size > 0 ? 0 : lowest;
}
