/**
 * P6 after a heal: of two nodes, who comes from the one without a quorum to the other one, once both have one, is given nothing again that
 * he had there. His CONNECT waits for the outbox of the node that he comes from (docs/sessions.md, "After the heal").
 *
 * exactly-once.ts leaves out what was taken, or sent to its subscriber, without a quorum, because the other node cannot know of it: he may go to and fro during the split, or
 * go in the middle of a handshake. This checker judges what is left when these are taken away: QoS 2 messages that were sent once, that came on the
 * last connection before, to a kept session, a second before that ended and before its node got its quorum back, and that its node has lived through without a stop.
 *
 * A CONNECT waits for a second at most, so it is judged where the outbox was in the log for certain when it was sent (outbox-ledger.ts), or where it cannot have waited for long enough: soon after its node started or
 * got a quorum back, when that takes all others for unheard. Of more than two nodes not all have links to each other at once.
 *
 * Source: MQTT 5 section 4.3; architecture.md section 5 (without quorum).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { OutboxLedger } from "./outbox-ledger.ts";
import { QuorumLedger } from "./quorum-ledger.ts";

/** A handshake is over by then, and the outbox says so, in ms. */
const HANDSHAKE_MS = 1000;
/** So long a CONNECT waits for those that are taken for unheard, in ms; by its node's clock, which may be fast, for 750 (outbox-barrier.ts). */
const PATIENCE_MS = 700;
/** A node looks four times a second whether it has a quorum, so it notices that it had none for so long, in ms. */
const NOTICED_MS = 500;

interface Connection {
  readonly node: string;
  readonly sentAt: number;
  readonly isKept: boolean;
  /** Undefined: no CONNACK has come. */
  session: string | undefined;
  endedAt: number | undefined;
  /** QoS 2 messages that came while its node had no quorum, and when. */
  readonly given: Map<string, number>;
  /** These must not come: he had them on the connection before, at the other node. */
  had: ReadonlySet<string>;
}

export class ToldAfterHeal implements Checker {
  readonly name = "exactly once after a heal";
  readonly #quorum = new QuorumLedger();
  readonly #outboxes = new OutboxLedger();
  readonly #clusters = new ClusterWatch();
  readonly #blackouts: BlackoutWatch;
  readonly #nodes = new Set<string>();
  /** By client, the last one and the one before. */
  readonly #connections = new Map<string, readonly [last: Connection, before: Connection | undefined]>();
  /** How often each message was sent, a will included. */
  readonly #sendings = new Map<string, number>();
  /** When each node stopped, stood still or went on, or lost what it had not flushed. */
  readonly #stoppedAt = new Map<string, number>();
  readonly #lostQuorumAt = new Map<string, number>();
  /** When each has taken all others for unheard, for certain. */
  readonly #suspectsSince = new Map<string, number>();

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    const isMerged = this.#clusters.observe(observation);
    if (this.#blackouts.observe(observation) || isMerged) this.#connections.clear();
    this.#quorum.observe(observation);
    this.#outboxes.observe(observation);
    const { kind, node, at } = observation;
    if (kind === "publishSent") this.#count(observation.packet.payloadId);
    if (kind === "connectSent" && observation.will !== undefined) this.#count(observation.will.payloadId);
    if (kind === "disconnected") this.#ended(observation.client, at);
    if (node === undefined) return;
    if (kind === "started") {
      this.#nodes.add(node);
      this.#suspectsSince.set(node, at);
    }
    if (kind === "stopped" || kind === "damaged") this.#stoppedAt.set(node, at);
    if (kind === "quorum") this.#quorumChanged(node, at, observation.isReached);
    if (kind === "connectSent") this.#connecting(observation, node);
    else if (kind === "connected") this.#connected(observation);
    else if (kind === "delivered") this.#delivered(observation, node);
  }

  #count(payloadId: string): void {
    this.#sendings.set(payloadId, (this.#sendings.get(payloadId) ?? 0) + 1);
  }

  #quorumChanged(node: string, at: number, isReached: boolean): void {
    if (!isReached) this.#lostQuorumAt.set(node, at);
    else if (at - (this.#lostQuorumAt.get(node) ?? at) >= NOTICED_MS) this.#suspectsSince.set(node, at);
  }

  #connecting(attempt: Extract<Observation, { kind: "connectSent" }>, node: string): void {
    const { client, at, expirySeconds } = attempt;
    this.#ended(client, at);
    const [before] = this.#connections.get(client) ?? [];
    const connection = {
      node,
      sentAt: at,
      isKept: expirySeconds > 0,
      session: undefined,
      endedAt: undefined,
      given: new Map<string, number>(),
      had: new Set<string>(),
    };
    this.#connections.set(client, [connection, before]);
  }

  #connected({ client, session, at }: Extract<Observation, { kind: "connected" }>): void {
    const [connection, before] = this.#connections.get(client) ?? [];
    if (connection === undefined) return;
    connection.session = session;
    if (before === undefined || before.session !== session || !before.isKept) return;
    if (!this.#mustKnow(connection, before.node, at)) return;
    const backAt = this.#quorum.since(before.node) ?? 0;
    const until = Math.min(before.endedAt ?? at, backAt) - HANDSHAKE_MS;
    const from = this.#stoppedAt.get(before.node) ?? 0;
    const had = [...before.given].filter(([, givenAt]) => givenAt > from && givenAt <= until);
    connection.had = new Set(had.map(([payloadId]) => payloadId));
  }

  /** Whether what `other` had taken without a quorum was in the log when the CONNECT was sent, or had to be by the CONNACK, at `at`. */
  #mustKnow({ node, sentAt }: Connection, other: string, at: number): boolean {
    if (this.#nodes.size !== 2 || node === other || this.#clusters.isSplit) return false;
    if (!this.#quorum.hasSince(node, sentAt) || !this.#quorum.hasSince(other, sentAt)) return false;
    const suspectsSince = this.#suspectsSince.get(node);
    return (
      this.#outboxes.areAllWritten(sentAt) ||
      (suspectsSince !== undefined && at < suspectsSince + PATIENCE_MS)
    );
  }

  #ended(client: string, at: number): void {
    const [connection] = this.#connections.get(client) ?? [];
    if (connection !== undefined) connection.endedAt ??= at;
  }

  #delivered(delivery: Extract<Observation, { kind: "delivered" }>, node: string): void {
    const { client, payloadId, qos, retain, at } = delivery;
    const [connection, before] = this.#connections.get(client) ?? [];
    if (connection === undefined || retain || qos < 2 || this.#sendings.get(payloadId) !== 1) return;
    if (connection.had.has(payloadId))
      throw new CheckFailure(
        this.name,
        `${client} got ${payloadId} (QoS 2) from ${node} at ${at} ms, which it had from ${before?.node} at ${before?.given.get(payloadId)} ms`,
      );
    if (this.#quorum.hasLackedSince(node, at)) connection.given.set(payloadId, at);
  }
}
