/**
 * P5 for sessions that outlive their node: what was acknowledged reaches every session that was subscribed, wherever its client
 * comes back, whoever crashed since.
 *
 * For each QoS 1 or 2 publish and each certain session with a SUBACK before it a debt is noted. It falls due with the PUBACK
 * or PUBREC of a node that had a quorum since the publish was sent, and is paid by the delivery, on whichever node. It lapses
 * when the session may be gone or the client unsubscribes, when the mesh counts the message as one that has passed the session by (passed-by.ts: not
 * without need), and of QoS 2 when it is sent while there are two clusters (docs/guarantees.md). It is claimed while the client has been connected, with a quorum and
 * without a fault anywhere, for a while; and at the end of the run, when everything is healed, from every client that is there.
 *
 * Source: architecture.md section 2, P5; reference design, 4.2 (G1) and 5.4 (I3).
 */

import { filterMatches } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { type KeptSession, KeptSessions } from "./kept-sessions.ts";

/** A whole mesh delivers what a session is owed within that, in ms. */
const GRACE_MS = 20_000;
/** Who came back that long before the end must have everything, in ms. */
const AT_END_MS = 8000;

interface Publish {
  readonly client: string;
  readonly payloadId: string;
  readonly topic: string;
  readonly firstSentAt: number;
  sentAt: number;
  ackedAt: number | undefined;
  /** It is in the log, and some had no room for it: its publisher may hear of that, and all others have it. */
  isPassed: boolean;
  readonly owed: Set<KeptSession>;
}

export class DurableLoss implements Checker {
  readonly name = "durable loss";
  readonly #faults = new FaultLedger();
  readonly #sessions: KeptSessions;
  /** Payloads that were sent before: one that is sent again may have arrived long ago. */
  readonly #known = new Set<string>();
  /** Debts that are not settled, by payload id, which is unique in the simulation. */
  readonly #publishes = new Map<string, Publish>();
  #nextCheckAt = 0;

  constructor(durability: Durability) {
    this.#sessions = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#sessions.observe(observation);
    const { at } = observation;
    if (observation.kind === "publishSent") this.#sent(observation);
    else if (observation.kind === "publishAcked") this.#acked(observation);
    else if (observation.kind === "delivered") this.#delivered(observation.client, observation.payloadId);
    else if (observation.kind === "unsubscribeSent") this.#unsubscribed(observation);
    else if (observation.kind === "applied")
      for (const { client, payloadId } of observation.passed ?? []) this.#passed(client, payloadId);
    else if (observation.kind === "end") this.#atEnd(at);
    if (at < this.#nextCheckAt) return;
    this.#nextCheckAt = at + 1000;
    this.#check(at);
  }

  #sent({ client, packet, at }: Extract<Observation, { kind: "publishSent" }>): void {
    const { topic, payloadId, qos, expirySeconds } = packet;
    const open = this.#publishes.get(payloadId);
    if (open !== undefined) open.sentAt = at;
    // One of two clusters may take it, for its own sessions: what comes after the merge is said of that.
    if (qos === 2 && this.#sessions.isSplit) {
      this.#known.add(payloadId);
      this.#publishes.delete(payloadId);
    }
    if (this.#known.has(payloadId)) return;
    this.#known.add(payloadId);
    if (qos === 0 || expirySeconds !== undefined || payloadId === "" || payloadId.startsWith("-")) return;
    const owed = new Set<KeptSession>();
    for (const [session, since] of this.#sessions.wanting(topic)) if (since < at) owed.add(session);
    if (owed.size === 0) return;
    const times = { firstSentAt: at, sentAt: at, ackedAt: undefined };
    this.#publishes.set(payloadId, { client, payloadId, topic, ...times, isPassed: false, owed });
  }

  #acked({ payloadId, reasonCode, node, at }: Extract<Observation, { kind: "publishAcked" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) return;
    const isTaken = reasonCode < 0x80 || publish.isPassed;
    if (!isTaken || !this.#sessions.isSafe(node, publish.sentAt)) this.#publishes.delete(payloadId);
    else publish.ackedAt ??= at;
  }

  #passed(client: string, payloadId: string): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) return;
    publish.isPassed = true;
    for (const session of publish.owed) if (session.client === client) publish.owed.delete(session);
  }

  #delivered(client: string, payloadId: string): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) return;
    for (const session of publish.owed) if (session.client === client) publish.owed.delete(session);
    if (publish.owed.size === 0) this.#publishes.delete(payloadId);
  }

  /** What has not come by now may not come any more. */
  #unsubscribed({ client, filter }: Extract<Observation, { kind: "unsubscribeSent" }>): void {
    for (const { topic, owed } of this.#publishes.values()) {
      if (!filterMatches(filter, topic)) continue;
      for (const session of owed) if (session.client === client) owed.delete(session);
    }
  }

  #check(at: number): void {
    const wholeSince = this.#faults.wholeSince(undefined);
    for (const [payloadId, publish] of this.#publishes) {
      const { owed, ackedAt } = publish;
      for (const session of owed) if (!session.isCertain) owed.delete(session);
      if (owed.size === 0) this.#publishes.delete(payloadId);
      if (ackedAt === undefined || wholeSince === undefined) continue;
      for (const session of owed) {
        const quorumSince = this.#sessions.quorum.since(session.node);
        if (quorumSince === undefined) continue;
        const since = Math.max(ackedAt, wholeSince, quorumSince, session.connectedAt);
        if (at - since >= GRACE_MS) this.#fail(publish, session, at);
      }
    }
  }

  #atEnd(at: number): void {
    for (const publish of this.#publishes.values()) {
      if (publish.ackedAt === undefined) continue;
      for (const session of publish.owed) {
        const since = Math.max(publish.ackedAt, session.connectedAt);
        const isBack = session.node !== undefined && at - since >= AT_END_MS;
        if (isBack && session.isCertain) this.#fail(publish, session, at);
      }
    }
  }

  #fail({ payloadId, client, firstSentAt, ackedAt }: Publish, session: KeptSession, at: number): never {
    throw new CheckFailure(
      this.name,
      `${payloadId} of ${client} (sent ${firstSentAt}, acknowledged ${ackedAt} ms) never came to ${session.name}, which is ` +
        `connected to ${session.node} since ${session.connectedAt} ms, until ${at} ms`,
    );
  }
}
