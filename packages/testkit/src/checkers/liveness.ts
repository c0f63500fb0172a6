/**
 * Liveness: after healing a majority there is a leader within 10 s, and every held publish is acknowledged within 20 s.
 *
 * A leader that works is one that holds a lease, or one just elected. A held publish is a QoS 1 or 2 message whose
 * client's session lives on; the 20 s run from the healing, from its (last) sending or from the client's return,
 * whichever is latest. Messages of a session that ended are nobody's any more, and a connection whose node has stopped
 * is a dead one that its client has yet to notice.
 *
 * Source: reference design, 5.4 (L1).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

const LEADER_WITHIN_MS = 10_000;
const ACKNOWLEDGED_WITHIN_MS = 20_000;

interface Held {
  readonly payloadId: string;
  readonly session: string;
  since: number;
}

interface ConnectedClient {
  session: string;
  isConnected: boolean;
  node: string | undefined;
  /** Unacknowledged publishes by payload id, oldest first. */
  readonly held: Map<string, Held>;
}

export class Liveness implements Checker {
  readonly name = "liveness";
  readonly #clients = new Map<string, ConnectedClient>();
  #healedAt: number | undefined;
  #hasLeader = false;
  /** No held publish is due before this, in the world's ms. */
  #nextDueAt = Number.POSITIVE_INFINITY;

  observe(observation: Observation): void {
    const { at } = observation;
    if (this.#healedAt !== undefined) this.#checkDeadlines(at, this.#healedAt);
    switch (observation.kind) {
      case "healed":
        this.#healedAt = at;
        this.#hasLeader = false;
        this.#nextDueAt = at + ACKNOWLEDGED_WITHIN_MS;
        return;
      case "leader":
        this.#hasLeader = true;
        return;
      case "lease":
        if (observation.until > at) this.#hasLeader = true;
        return;
      case "connected":
        this.#connected(observation);
        return;
      case "stopped":
        if (observation.how === "pause" || observation.how === "resume") return;
        for (const client of this.#clients.values()) {
          if (client.node === observation.node) client.isConnected = false;
        }
        return;
      case "disconnected":
        this.#client(observation.client).isConnected = false;
        return;
      case "publishSent": {
        const { packet, client } = observation;
        if (packet.qos > 0) this.#sent(this.#client(client), packet.payloadId, at);
        return;
      }
      case "publishAcked":
        this.#client(observation.client).held.delete(observation.payloadId);
        return;
      default:
    }
  }

  #connected({ client: id, session, node, at }: Extract<Observation, { kind: "connected" }>): void {
    const client = this.#client(id);
    client.isConnected = true;
    client.node = node;
    if (client.session !== session) client.held.clear();
    client.session = session;
    for (const held of client.held.values()) held.since = at;
    this.#nextDueAt = Math.min(this.#nextDueAt, at + ACKNOWLEDGED_WITHIN_MS);
  }

  #sent(client: ConnectedClient, payloadId: string, at: number): void {
    client.held.delete(payloadId);
    client.held.set(payloadId, { payloadId, session: client.session, since: at });
    this.#nextDueAt = Math.min(this.#nextDueAt, at + ACKNOWLEDGED_WITHIN_MS);
  }

  #checkDeadlines(at: number, healedAt: number): void {
    if (!this.#hasLeader && at > healedAt + LEADER_WITHIN_MS) {
      throw new CheckFailure(this.name, `no leader ${at - healedAt} ms after healing at ${healedAt} ms`);
    }
    if (at <= this.#nextDueAt) return;
    this.#nextDueAt = Number.POSITIVE_INFINITY;
    for (const [id, { isConnected, held }] of this.#clients) {
      if (!isConnected) continue;
      for (const { payloadId, since } of held.values()) {
        const dueAt = Math.max(since, healedAt) + ACKNOWLEDGED_WITHIN_MS;
        if (at > dueAt) {
          throw new CheckFailure(
            this.name,
            `${payloadId} of ${id}, sent at ${since} ms, is not acknowledged at ${at} ms (healed at ${healedAt} ms)`,
          );
        }
        this.#nextDueAt = Math.min(this.#nextDueAt, dueAt);
      }
    }
  }

  #client(id: string): ConnectedClient {
    let client = this.#clients.get(id);
    if (client === undefined) {
      client = { session: "", isConnected: false, node: undefined, held: new Map() };
      this.#clients.set(id, client);
    }
    return client;
  }
}
