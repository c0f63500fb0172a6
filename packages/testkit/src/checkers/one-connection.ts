/**
 * P9: one connection per client id, mesh-wide. Soon after a newer one was accepted, on whichever node, the older ones are over.
 *
 * A client that has abandoned a connection goes on watching it. Nothing but its node can end it, so if it is still there while the
 * newest one has been accepted for a while, and every node was whole and both had a quorum, two nodes serve one client. Two clusters
 * know nothing of each other's clients until they are one, and a node that is being filled hears of the newer connection when its replica has
 * come as far as that of the newer one's node was when it accepted.
 *
 * Source: architecture.md section 2, P9; MQTT 5 statement MQTT-3.1.4-3.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { QuorumLedger } from "./quorum-ledger.ts";

const WITHIN_MS = 5000;

interface Open {
  readonly connection: number;
  readonly node: string | undefined;
  readonly acceptedAt: number;
  /** How far its node had applied the log of its cluster by then. */
  readonly appliedIndex: number;
  /** Until when the node of an older connection of its client had not come so far, as far as is known; 0: it had at once. */
  behindUntil: number;
}

interface Connections {
  /** The one that the client uses. */
  current: Open | undefined;
  /** Abandoned, and not ended by their nodes. */
  readonly old: Open[];
}

export class OneConnection implements Checker {
  readonly name = "one connection";
  readonly #faults = new FaultLedger();
  readonly #quorum = new QuorumLedger();
  readonly #clusters = new ClusterWatch();
  /** When a node has come to another cluster last. */
  #belongsAt = 0;
  readonly #clients = new Map<string, Connections>();
  /** By node. */
  readonly #appliedIndex = new Map<string, number>();
  #nextCheckAt = 0;

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#quorum.observe(observation);
    this.#clusters.observe(observation);
    const { at } = observation;
    if (observation.kind === "belongs") this.#belongsAt = at;
    if (observation.kind === "applied" || observation.kind === "restored")
      this.#appliedIndex.set(observation.node ?? "", observation.index);
    if (observation.kind === "connected") {
      const { connection, node } = observation;
      const appliedIndex = this.#appliedIndex.get(node ?? "") ?? 0;
      this.#of(observation.client).current = {
        connection,
        node,
        acceptedAt: at,
        appliedIndex,
        behindUntil: 0,
      };
    } else if (observation.kind === "disconnected") {
      const { client, how } = observation;
      const connections = this.#of(client);
      if (how === "abandoned" && connections.current !== undefined) connections.old.push(connections.current);
      connections.current = undefined;
    } else if (observation.kind === "connectionOver") {
      const { client, connection } = observation;
      this.#drop(client, (open) => open.connection === connection);
    } else if (
      observation.kind === "stopped" &&
      observation.how !== "pause" &&
      observation.how !== "resume"
    ) {
      const { node } = observation;
      for (const client of this.#clients.keys()) this.#drop(client, (open) => open.node === node);
    }
    if (at < this.#nextCheckAt) return;
    this.#nextCheckAt = at + 1000;
    this.#check(at);
  }

  #check(at: number): void {
    const wholeSince = this.#faults.wholeSince(undefined);
    if (wholeSince === undefined) return;
    for (const [client, { current, old }] of this.#clients) {
      const [first] = old;
      if (current === undefined || first === undefined) continue;
      if (this.#clusters.areApart(first.node, current.node)) continue;
      // Of one cluster: the other one's log has indexes of its own.
      const isComparable = current.acceptedAt > this.#belongsAt;
      if (isComparable && (this.#appliedIndex.get(first.node ?? "") ?? 0) < current.appliedIndex)
        current.behindUntil = at;
      const quorumSince = [first.node, current.node].map((node) => this.#quorum.since(node) ?? at);
      const { acceptedAt, behindUntil } = current;
      if (at - Math.max(acceptedAt, behindUntil, wholeSince, this.#belongsAt, ...quorumSince) < WITHIN_MS)
        continue;
      throw new CheckFailure(
        this.name,
        `${client} has connection ${first.connection} on ${first.node} (since ${first.acceptedAt} ms) and ` +
          `${current.connection} on ${current.node} (since ${current.acceptedAt} ms) at ${at} ms`,
      );
    }
  }

  #drop(client: string, isOver: (open: Open) => boolean): void {
    const connections = this.#of(client);
    const left = connections.old.filter((open) => !isOver(open));
    connections.old.splice(0, connections.old.length, ...left);
    if (connections.current !== undefined && isOver(connections.current)) connections.current = undefined;
  }

  #of(client: string): Connections {
    let connections = this.#clients.get(client);
    if (connections === undefined) {
      connections = { current: undefined, old: [] };
      this.#clients.set(client, connections);
    }
    return connections;
  }
}
