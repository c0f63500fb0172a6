/**
 * P5: no acknowledged loss, for sessions that end with their connection (those that outlive it: durable-loss.ts). A QoS 1 or 2 message whose PUBACK or PUBREC came reaches every subscriber that was
 * subscribed (with QoS >= 1) when it was sent and whose connection lives on, whoever crashed since.
 *
 * For each such publish and subscriber a debt is noted when it is sent; it falls due with the acknowledgement, is paid
 * by the delivery, and lapses when the subscriber's connection ends. A node that was out of reach may have been declared
 * dead and the message acknowledged without it, so a debt counts only if both nodes were undisturbed from a while before
 * the sending until the acknowledgement. Nodes of two clusters that have never met find each other within a minute (mDNS), and until then
 * neither is in reach of the other (P4), which nobody can see here: between two clusters nothing is owed. What goes through the log (QoS 2 of a kept session) reaches a node while that has a
 * quorum; it is also owed on a member that is out of reach, which gets it afterwards, from the log or with a snapshot, if it is not away for too long
 * (logged-messages.ts), and if no disk has lost anything meanwhile. Unpaid debts fail after a grace time.
 *
 * Source: architecture.md section 2, P5 (live subscribers); reference design, 5.4 (I3).
 */

import { filterMatches } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { LoggedMessages, type LogMark } from "./logged-messages.ts";
import { QuorumLedger } from "./quorum-ledger.ts";
import { type Connection, SubscriberLedger } from "./subscriber-ledger.ts";

/** Both nodes must have been whole for that long before, so that links are up and membership knows, in ms. */
const SETTLE_MS = 12_000;
/** Time after the acknowledgement for the message to arrive, while nothing is disturbed, in ms. */
const GRACE_MS = 10_000;

interface Publish {
  readonly client: string;
  readonly payloadId: string;
  readonly topic: string;
  readonly node: string | undefined;
  readonly sentAt: number;
  readonly owed: Set<Connection>;
  ackedAt: number | undefined;
  /** It goes through the log; undefined: it does not. */
  readonly mark: LogMark | undefined;
}

export class AcknowledgedLoss implements Checker {
  readonly name = "acknowledged loss";
  readonly #faults = new FaultLedger();
  readonly #clusters = new ClusterWatch();
  readonly #quorum = new QuorumLedger();
  readonly #subscribers = new SubscriberLedger();
  readonly #logged = new LoggedMessages();
  /** Nodes that have reached a quorum since they started: the log comes to them. */
  readonly #members = new Set<string>();
  /** Payloads that were sent before: one that is sent again may have arrived long ago. */
  readonly #known = new Set<string>();
  /** Debts that are not settled, by payload id, which is unique in the simulation. */
  readonly #publishes = new Map<string, Publish>();
  #nextCheckAt = 0;

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#quorum.observe(observation);
    this.#subscribers.observe(observation);
    const { at } = observation;
    this.#clusters.observe(observation);
    this.#observeMembers(observation);
    if (observation.kind === "publishSent") this.#sent(observation);
    else if (observation.kind === "publishAcked") this.#acked(observation);
    else if (observation.kind === "delivered") this.#delivered(observation.client, observation.payloadId);
    else if (observation.kind === "unsubscribeSent") this.#unsubscribed(observation);
    if (at < this.#nextCheckAt && observation.kind !== "end") return;
    this.#nextCheckAt = at + 1000;
    this.#check(at);
  }

  #sent({ client, packet, node, at }: Extract<Observation, { kind: "publishSent" }>): void {
    const { topic, payloadId, qos } = packet;
    const isRepeated = this.#known.has(payloadId);
    this.#known.add(payloadId);
    if (isRepeated || qos === 0 || payloadId === "" || payloadId.startsWith("-")) return;
    const isLogged = qos === 2 && this.#subscribers.connection(client)?.isKept === true;
    const mark = isLogged ? this.#logged.sent(packet, at) : undefined;
    const owed = new Set<Connection>();
    const publish = { client, payloadId, topic, node, sentAt: at, owed, ackedAt: undefined, mark };
    for (const { connection, qos: granted } of this.#subscribers.matches(topic)) {
      const { node: subscriberNode } = connection;
      if (granted === 0 || this.#clusters.areApart(node, subscriberNode)) continue;
      if (this.#mayPublish(node, at) && this.#isReached(subscriberNode, publish, at)) owed.add(connection);
    }
    if (owed.size > 0) this.#publishes.set(payloadId, publish);
  }

  #acked({ payloadId, reasonCode, at }: Extract<Observation, { kind: "publishAcked" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) return;
    for (const connection of publish.owed) {
      if (!this.#mayPublish(publish.node, at) || !this.#isReached(connection.node, publish, at))
        publish.owed.delete(connection);
    }
    if (reasonCode >= 0x80 || publish.owed.size === 0) this.#publishes.delete(payloadId);
    else publish.ackedAt = at;
  }

  #delivered(client: string, payloadId: string): void {
    const connection = this.#subscribers.connection(client);
    const publish = this.#publishes.get(payloadId);
    if (connection === undefined || publish === undefined) return;
    publish.owed.delete(connection);
    if (publish.owed.size === 0) this.#publishes.delete(payloadId);
  }

  /** What has not come by now may not come any more. */
  #unsubscribed({ client, filter }: Extract<Observation, { kind: "unsubscribeSent" }>): void {
    const connection = this.#subscribers.connection(client);
    if (connection === undefined) return;
    for (const { topic, owed } of this.#publishes.values()) {
      if (filterMatches(filter, topic)) owed.delete(connection);
    }
  }

  #check(at: number): void {
    for (const [payloadId, publish] of this.#publishes) {
      for (const connection of publish.owed) if (!connection.isAlive) publish.owed.delete(connection);
      if (publish.owed.size === 0) this.#publishes.delete(payloadId);
      const { ackedAt } = publish;
      for (const connection of publish.owed) {
        const wholeSince = this.#faults.wholeSince(connection.node);
        const quorumSince = publish.mark === undefined ? 0 : this.#quorum.since(connection.node);
        if (this.#mayBeGone(publish, connection.node, at)) publish.owed.delete(connection);
        if (!publish.owed.has(connection)) continue;
        if (ackedAt === undefined || wholeSince === undefined || quorumSince === undefined) continue;
        // A slow way is excused as long as it is disturbed; afterwards the message must come.
        if (at - Math.max(ackedAt, wholeSince, quorumSince) < GRACE_MS) continue;
        throw new CheckFailure(
          this.name,
          `${publish.payloadId} of ${publish.client} (sent ${publish.sentAt}, acknowledged ${ackedAt} ms) never came to ` +
            `${connection.client} on ${connection.node}, which has been connected and subscribed, until ${at} ms`,
        );
      }
    }
  }

  /** A node that has just started lets nobody in before it knows who wants what; one that was cut off cannot close its doors. */
  #mayPublish(node: string | undefined, at: number): boolean {
    return this.#isWhole(node, at) || (node !== undefined && this.#faults.isWholeFromStart(node));
  }

  #observeMembers(observation: Observation): void {
    const { kind, node } = observation;
    if (node === undefined) return;
    if (kind === "quorum" && observation.isReached) this.#members.add(node);
    if (kind === "stopped" && observation.how !== "pause" && observation.how !== "resume")
      this.#members.delete(node);
    if ((kind === "stopped" && observation.how === "power") || kind === "damaged") this.#lose();
  }

  /** What was acknowledged may be gone with the last second of several disks: then it comes to nobody who does not have it. */
  #lose(): void {
    for (const { mark, owed } of this.#publishes.values())
      for (const connection of owed)
        if (mark !== undefined && this.#faults.wholeSince(connection.node) === undefined)
          owed.delete(connection);
  }

  /** A message that `node` has published with a quorum comes to every member, be it later. */
  #isReached(node: string | undefined, { node: publisher, mark }: Publish, at: number): boolean {
    if (this.#isWhole(node, at)) return true;
    const isLogged = mark !== undefined && this.#quorum.hasSince(publisher, mark.at);
    return isLogged && node !== undefined && this.#members.has(node);
  }

  /** Its subscriber's node was out of reach for too long. */
  #mayBeGone({ mark }: Publish, node: string | undefined, at: number): boolean {
    if (mark === undefined) return false;
    const wholeSince = this.#faults.wholeSince(node) ?? at;
    return wholeSince > mark.at - SETTLE_MS && this.#logged.mayBeGone(mark, wholeSince);
  }

  #isWhole(node: string | undefined, at: number): boolean {
    const since = this.#faults.wholeSince(node);
    return since !== undefined && at - since >= SETTLE_MS;
  }
}
