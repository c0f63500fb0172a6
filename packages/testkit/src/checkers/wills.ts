/**
 * P9 for wills: each is published when its client is gone, and never after a newer connection of that client was
 * acknowledged. That it comes once at most is for exactly-once.ts to say; here is when it may come, and when it must.
 *
 * It must not come
 * - while its connection lives, on a node that nothing has disturbed;
 * - after an orderly DISCONNECT that such a node has taken;
 * - after a newer connection was acknowledged: seconds later where nothing is disturbed, unless somebody has got it before that, and it waited in a queue; and never behind a message that the client
 *   published on the newer one, in a queue that has the order of the log;
 * - before the grace time, where the node died: its client may come back elsewhere.
 * While there are two clusters neither hears of a connection with the other, and the log hears late of one to a node without a quorum. A CONNECT that its client has given up, and that waited at a node that
 * was paused, or was lost once on its way, is taken when it comes: for the mesh it is newer than what the client has done meanwhile.
 *
 * It must come to every certain session that is subscribed and there, but for one that it passes by because there is no room (passed-by.ts), once its client has stayed away for as long as keep-alive,
 * grace and delay take, with a quorum and without faults.
 *
 * Source: architecture.md section 2, P9; MQTT 5 sections 3.1.2.5 and 3.1.3.2.2; reference design, 4.3 (rule 10).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { ClientConnections, type WillConnection } from "./client-connections.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { type KeptSession, KeptSessions } from "./kept-sessions.ts";

/** From a connection's end or acknowledgement to the log and from there to a client, where nothing is disturbed, in ms. */
const ON_ITS_WAY_MS = 5000;
/** Both ends of a connection that is cut have heard of it by then, in ms. */
const CUT_MS = 3000;
/** Until a dead node's clients are known to be gone, and some for the rest, in ms. */
const NODE_DOWN_MS = 40_000;
const GRACE_MS_MIN = 15_000;
/** Clocks drift. */
const EARLY_SHARE = 0.95;

type Delivered = Extract<Observation, { kind: "delivered" }>;

/** What is owed to whom for a client that has gone without DISCONNECT. */
interface Debt {
  readonly gone: WillConnection;
  readonly owed: Set<KeptSession>;
}

export class Wills implements Checker {
  readonly name = "wills";
  readonly #faults = new FaultLedger();
  readonly #sessions: KeptSessions;
  readonly #connections = new ClientConnections();
  /** By client. */
  readonly #debts = new Map<string, Debt>();
  /** Wills that came while their connections lived, unless those turn out to have been cut at that moment. */
  #untimely: { readonly delivery: Delivered; readonly of: WillConnection }[] = [];
  /** Those that have taken leave, until the mesh must know. */
  #leaving: WillConnection[] = [];
  /** Kept session and publisher: the newest connection of which it has got a message. */
  readonly #heardOf = new Map<string, number>();
  /** Kept session and will. */
  readonly #seen = new Set<string>();
  /** Client and will that it has got, or that has passed it by. */
  readonly #got = new Set<string>();
  #nextCheckAt = 0;

  constructor(durability: Durability) {
    this.#sessions = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    const { at } = observation;
    if (observation.kind === "stopped") this.#stopped(observation);
    this.#faults.observe(observation);
    this.#sessions.observe(observation);
    this.#connections.observe(observation);
    if (observation.kind === "connectSent") this.#debts.delete(observation.client);
    else if (observation.kind === "delivered" && !observation.retain) this.#delivered(observation);
    else if (observation.kind === "applied")
      for (const { client, payloadId } of observation.passed ?? []) this.#passed(client, payloadId);
    else if (observation.kind === "disconnected" && observation.how !== "left") {
      const gone = this.#connections.of(observation.client, observation.connection);
      if (gone !== undefined) this.#gone(gone);
    } else if (observation.kind === "connectionOver") {
      const left = this.#connections.of(observation.client, observation.connection);
      // A newer CONNECT on another connection may have overtaken the DISCONNECT: then this was a takeover.
      const isOvertaken = left !== undefined && this.#connections.newestOf(left.client) > left.connection;
      if (left?.isLeft === true && !isOvertaken && this.#hasBeenWhole(left)) {
        left.takenAt = at;
        this.#leaving.push(left);
      }
    }
    if (at < this.#nextCheckAt) return;
    this.#nextCheckAt = at + 1000;
    this.#checkUntimely(at);
    this.#checkLeaving(at);
    this.#checkDebts(at);
  }

  #stopped({ node, how, at }: Extract<Observation, { kind: "stopped" }>): void {
    if (how === "pause" || how === "resume") return;
    for (const connection of this.#connections.alive()) {
      if (connection.node !== node) continue;
      if (how !== "clean" && this.#hasBeenWhole(connection)) connection.nodeDiedAt = at;
      this.#gone(connection);
    }
  }

  /** Its client has not taken leave. */
  #gone(connection: WillConnection): void {
    const { client, will, sentAt } = connection;
    if (!connection.isKnown || will.qos === 0) return;
    const owed = new Set<KeptSession>();
    for (const [session, since] of this.#sessions.wanting(will.topic)) {
      const hasIt = this.#got.has(`${session.client} ${will.payloadId}`);
      if (since < sentAt && session.client !== client && !hasIt) owed.add(session);
    }
    if (owed.size > 0) this.#debts.set(client, { gone: connection, owed });
  }

  #passed(client: string, payloadId: string): void {
    this.#got.add(`${client} ${payloadId}`);
    for (const { gone, owed } of this.#debts.values())
      if (gone.will.payloadId === payloadId)
        for (const session of owed) if (session.client === client) owed.delete(session);
  }

  #delivered(delivery: Delivered): void {
    const { client, payloadId, qos, at } = delivery;
    const session = this.#sessions.of(client);
    const of = this.#connections.ofWill(payloadId);
    if (of === undefined) {
      const publication = this.#connections.publicationOf(payloadId);
      if (publication === undefined || session?.isCertain !== true || qos === 0) return;
      // Without a quorum it comes before the log has it; and one of two clusters has no part in the order of the other.
      if (this.#sessions.quorum.hasAnyLackedSince(publication.sentAt) || publication.isSplit) return;
      const key = `${session.name} ${publication.client}`;
      this.#heardOf.set(key, Math.max(this.#heardOf.get(key) ?? 0, publication.connection));
      return;
    }
    this.#got.add(`${client} ${payloadId}`);
    of.heardAt ??= at;
    const debt = this.#debts.get(of.client);
    if (debt?.gone === of)
      for (const session of debt.owed) if (session.client === client) debt.owed.delete(session);
    this.#judgeOrder(delivery, of, session);
    this.#judgeTime(delivery, of, at);
  }

  #judgeOrder(delivery: Delivered, of: WillConnection, session: KeptSession | undefined): void {
    if (session === undefined || delivery.qos === 0 || isTakenLate(of)) return;
    const seen = `${session.name} ${delivery.payloadId}`;
    if (this.#seen.has(seen)) return;
    this.#seen.add(seen);
    const heardOf = this.#heardOf.get(`${session.name} ${of.client}`) ?? 0;
    if (heardOf > of.connection && !this.#mayHaveWaited(of))
      this.#fail(delivery, of, `behind a message that its client published on connection ${heardOf}`);
  }

  /** Its node could not tell the log of it at once. Meanwhile a newer connection elsewhere may have come and ended with its session. */
  #mayHaveWaited({ node, sentAt }: WillConnection): boolean {
    return this.#sessions.quorum.hasLackedSince(node, sentAt);
  }

  #judgeTime(delivery: Delivered, of: WillConnection, at: number): void {
    if (of.acceptedAt !== undefined && of.endedAt === undefined && of.nodeDiedAt === undefined) {
      if (this.#hasBeenWhole(of)) this.#untimely.push({ delivery, of });
      return;
    }
    if (of.isForgone || this.#isTaken(of)) this.#fail(delivery, of, "after its DISCONNECT");
    const { newer, nodeDiedAt, will } = of;
    const isOlder = newer?.acceptedAt !== undefined && (of.heardAt ?? at) <= newer.acceptedAt;
    if (newer?.isKnown === true && !isOlder && this.#isPrompt(delivery) && !isTakenLate(of)) {
      const { connection, acceptedAt } = newer;
      this.#fail(delivery, of, `though connection ${connection} was acknowledged at ${acceptedAt} ms`);
    }
    const graceMs = Math.max(graceMsOf(of), will.delaySeconds * 1000) * EARLY_SHARE;
    if (nodeDiedAt !== undefined && at < nodeDiedAt + graceMs)
      this.#fail(delivery, of, `${Math.round(at - nodeDiedAt)} ms after its node died`);
  }

  /** Nothing can have held it up on its way. */
  #isPrompt({ client, at }: Delivered): boolean {
    const session = this.#sessions.of(client);
    const wholeSince = this.#faults.wholeSince(undefined);
    const quorumSince = this.#sessions.quorum.since(session?.node);
    if (session === undefined || wholeSince === undefined || quorumSince === undefined) return false;
    return at - Math.max(session.connectedAt, wholeSince, quorumSince) > 2 * ON_ITS_WAY_MS;
  }

  #checkUntimely(at: number): void {
    this.#untimely = this.#untimely.filter(({ delivery, of }) => {
      if ((of.endedAt ?? at) - delivery.at > CUT_MS) this.#fail(delivery, of, "while its connection lives");
      return of.endedAt === undefined;
    });
  }

  /** Its node has been there since with a quorum; one that died at once has told nobody. */
  #isTaken(left: WillConnection): boolean {
    const { node, takenAt } = left;
    return takenAt !== undefined && this.#sessions.isSafe(node, takenAt) && this.#hasBeenWhole(left);
  }

  #checkLeaving(at: number): void {
    this.#leaving = this.#leaving.filter((left) => {
      if (at - (left.takenAt ?? at) <= ON_ITS_WAY_MS) return true;
      left.isForgone = this.#isTaken(left);
      return false;
    });
  }

  #checkDebts(at: number): void {
    for (const connection of this.#connections.alive()) {
      const { node, sentAt, acceptedAt = at } = connection;
      // What a node has not told before it stood still it may take along.
      const tellsSince = Math.max(acceptedAt, this.#faults.wholeSince(node) ?? at);
      connection.isKnown ||= at - tellsSince > ON_ITS_WAY_MS && this.#sessions.isSafe(node, sentAt);
    }
    const wholeSince = this.#faults.wholeSince(undefined);
    if (wholeSince === undefined) return;
    for (const [client, { gone, owed }] of this.#debts) {
      const { endedAt = at, keepAliveSeconds, will, node } = gone;
      const patienceMs = graceMsOf(gone) + keepAliveSeconds * 1500 + will.delaySeconds * 1000 + NODE_DOWN_MS;
      for (const session of owed) {
        const quorumSince = this.#sessions.quorum.since(session.node);
        if (!session.isCertain) owed.delete(session);
        if (!session.isCertain || quorumSince === undefined) continue;
        const dueAt = Math.max(endedAt, wholeSince, quorumSince) + patienceMs;
        if (at < Math.max(dueAt, session.connectedAt + 2 * ON_ITS_WAY_MS)) continue;
        throw new CheckFailure(
          this.name,
          `${will.payloadId} of ${client}, which left ${node} at ${endedAt} ms, never came to ${session.name} ` +
            `(connected to ${session.node} since ${session.connectedAt} ms) until ${at} ms`,
        );
      }
    }
  }

  /** Its node, ever since the connection was acknowledged. */
  #hasBeenWhole({ node, acceptedAt }: WillConnection): boolean {
    const wholeSince = this.#faults.wholeSince(node);
    return acceptedAt !== undefined && wholeSince !== undefined && wholeSince <= acceptedAt;
  }

  #fail({ client, at, payloadId }: Delivered, of: WillConnection, why: string): never {
    throw new CheckFailure(
      this.name,
      `${client} gets ${payloadId} of ${of.client} (connection ${of.connection} on ${of.node}) at ${at} ms, ${why}`,
    );
  }
}

/** It was newer for the mesh than for its client, which had given it up. */
function isTakenLate({ isHeldUp, acceptedAt }: WillConnection): boolean {
  return isHeldUp && acceptedAt === undefined;
}

/** How long the will of a dead node's client waits for it, in ms. */
function graceMsOf({ keepAliveSeconds }: WillConnection): number {
  return Math.max(GRACE_MS_MIN, keepAliveSeconds * 1500);
}
