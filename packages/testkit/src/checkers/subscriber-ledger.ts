/**
 * Who is subscribed to what, on which unbroken connection: the other half of every promise about delivery.
 *
 * A subscription counts from its SUBACK until the connection ends, the client unsubscribes, or the node it is on stops
 * without the client having noticed. What QoS 1 and 2 owe to sessions that outlive their connection is for kept-sessions.ts.
 */

import { filterMatches, parseSharedFilter, type QoS } from "@skein/kernel";
import type { Observation } from "../observations.ts";

/** One connection of a client, while it lives. */
export interface Connection {
  readonly client: string;
  readonly session: string;
  /** Node it is on; undefined: not known. */
  readonly node: string | undefined;
  /** Its session outlives it: its QoS 2 publishes, and QoS 1 and 2 for its subscriptions, go through the log. */
  readonly isKept: boolean;
  /** False as soon as it has ended. */
  isAlive: boolean;
  /** By filter; shared subscriptions, whose messages anybody may get, are not among them. */
  readonly subscriptions: Map<string, Subscription>;
}

interface Subscription {
  /** As granted. */
  readonly qos: QoS;
  /** When the SUBACK came, in the world's ms. */
  readonly at: number;
}

/** What a connection was subscribed to when a message was published. */
export interface Match {
  readonly connection: Connection;
  /** Highest granted QoS of its matching subscriptions. */
  readonly qos: QoS;
  /** Earliest SUBACK among the matching subscriptions with that QoS, in the world's ms. */
  readonly since: number;
}

export class SubscriberLedger {
  readonly #connections = new Map<string, Connection>();
  /** Clients whose last CONNECT asked for a session that outlives its connection. */
  readonly #keeping = new Set<string>();
  /** Client and filter of each UNSUBSCRIBE since the last SUBSCRIBE. */
  readonly #givenUp = new Set<string>();

  observe(observation: Observation): void {
    switch (observation.kind) {
      case "connectSent":
        if (observation.expirySeconds > 0) this.#keeping.add(observation.client);
        else this.#keeping.delete(observation.client);
        return;
      case "connected": {
        const { client, session, node } = observation;
        const isKept = this.#keeping.has(client);
        this.#end(client);
        const connection = { client, session, node, isKept, isAlive: true, subscriptions: new Map() };
        this.#connections.set(client, connection);
        return;
      }
      case "disconnected":
        this.#end(observation.client);
        return;
      case "stopped":
        if (observation.how === "pause" || observation.how === "resume") return;
        for (const { client, node } of [...this.#connections.values()]) {
          if (node === undefined || node === observation.node) this.#end(client);
        }
        return;
      case "subscribeAcked": {
        const { client, filter, qos = 0, at } = observation;
        // The SUBACK of a filter that is given up already may come late.
        if (this.#givenUp.has(`${client} ${filter}`) || parseSharedFilter(filter) !== undefined) return;
        this.#connections.get(client)?.subscriptions.set(filter, { qos, at });
        return;
      }
      case "subscribeSent":
        this.#givenUp.delete(`${observation.client} ${observation.filter}`);
        return;
      case "unsubscribeSent":
        this.#givenUp.add(`${observation.client} ${observation.filter}`);
        this.#connections.get(observation.client)?.subscriptions.delete(observation.filter);
        return;
      default:
    }
  }

  /** The present connection of `client`. */
  connection(client: string): Connection | undefined {
    return this.#connections.get(client);
  }

  /** Connections with an ordinary (not shared) subscription that matches `topic`, whose session ends with them. */
  matches(topic: string): Match[] {
    const found: Match[] = [];
    for (const connection of this.#connections.values()) {
      if (connection.isKept) continue;
      let qos: QoS = 0;
      let since: number | undefined;
      for (const [filter, subscription] of connection.subscriptions) {
        if (!filterMatches(filter, topic)) continue;
        if (since !== undefined && subscription.qos < qos) continue;
        since =
          subscription.qos === qos && since !== undefined
            ? Math.min(since, subscription.at)
            : subscription.at;
        qos = subscription.qos;
      }
      if (since !== undefined) found.push({ connection, qos, since });
    }
    return found;
  }

  #end(client: string): void {
    const connection = this.#connections.get(client);
    if (connection === undefined) return;
    connection.isAlive = false;
    this.#connections.delete(client);
  }
}
