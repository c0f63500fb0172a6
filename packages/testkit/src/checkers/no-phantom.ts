/**
 * No phantom: a session gets nothing that is not its own. What it never subscribed to, what had been acknowledged before it began
 * (its predecessor's), what has expired.
 *
 * A kept session has its place in the log, so it begins behind what was acknowledged before. One that ends with its connection may be on
 * a node that hears of the log late. Without a quorum a node answers with the session as it has it: one that it does not find may be
 * there all the same, with its subscriptions, and be found by the next node. One that it finds may be that before a clean start elsewhere.
 *
 * Expiry is counted from the acknowledgement, because a broker has a message by then; and for deliveries by nodes that nothing
 * has disturbed since, and that hear from the log what time it is, because a message on its way to a client cannot be called back. Members of shared subscriptions
 * may get what another one left. Retained replays are old by their nature.
 *
 * Source: MQTT 5 sections 3.3.2.3.3, 3.3.4, 4.1; reference design, 4.2 (G4) and 5.4 (I3).
 */

import { filterMatches, parseSharedFilter } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { KeptSessions } from "./kept-sessions.ts";

/** A TICK and the way to the client, in ms. */
const LATE_MS = 4000;
/** Clocks drift. */
const LATE_SHARE = 1.03;

interface Publish {
  readonly expirySeconds: number | undefined;
  sentAt: number;
  sendings: number;
  /** When it was acknowledged by a node with a quorum. */
  ackedAt: number | undefined;
  /** The same, where it was sent once. */
  safeAt: number | undefined;
}

interface Receiver {
  /** When the CONNECT that made its session was sent; 0: not known. */
  beganAt: number;
  isKept: boolean;
  node: string | undefined;
  /** Its node serves the session as it has it, which may be the one before. */
  isOutdated: boolean;
  /** Ever sent in a SUBSCRIBE of this session. */
  readonly filters: Set<string>;
  isSharing: boolean;
}

export class NoPhantom implements Checker {
  readonly name = "no phantom";
  readonly #faults = new FaultLedger();
  readonly #sessions: KeptSessions;
  readonly #publishes = new Map<string, Publish>();
  readonly #receivers = new Map<string, Receiver>();

  constructor(durability: Durability) {
    this.#sessions = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#sessions.observe(observation);
    switch (observation.kind) {
      case "connected":
        this.#connected(observation);
        return;
      case "subscribeSent": {
        const receiver = this.#receivers.get(observation.client);
        const shared = parseSharedFilter(observation.filter);
        const isShared = shared !== undefined && shared !== "invalid";
        if (isShared && receiver !== undefined) receiver.isSharing = true;
        receiver?.filters.add(isShared ? shared.filter : observation.filter);
        return;
      }
      case "publishSent":
        this.#sent(observation);
        return;
      case "publishAcked":
        this.#acked(observation);
        return;
      case "delivered":
        this.#delivered(observation);
        return;
      default:
    }
  }

  #connected({ client, node, isPresent }: Extract<Observation, { kind: "connected" }>): void {
    const { at: beganAt = 0, expirySeconds = 0 } = this.#sessions.attempt(client) ?? {};
    const isKept = expirySeconds > 0;
    const receiver = this.#receivers.get(client);
    const isOutdated = !this.#sessions.isSafe(node, beganAt);
    if (receiver !== undefined && (isPresent || isOutdated)) {
      Object.assign(receiver, { node, isOutdated, isKept: receiver.isKept && isKept });
      return;
    }
    const filters = new Set<string>();
    this.#receivers.set(client, { beganAt, isKept, node, isOutdated, filters, isSharing: false });
  }

  #sent({ packet, at }: Extract<Observation, { kind: "publishSent" }>): void {
    const { payloadId, expirySeconds } = packet;
    const known = this.#publishes.get(payloadId);
    if (known === undefined) {
      const ever = { expirySeconds, sentAt: at, sendings: 1, safeAt: undefined, ackedAt: undefined };
      this.#publishes.set(payloadId, ever);
    } else {
      known.sendings++;
      known.sentAt = at;
    }
  }

  #acked({ payloadId, node, at, reasonCode }: Extract<Observation, { kind: "publishAcked" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined || reasonCode >= 0x80) return;
    // Without a quorum the log has it later.
    if (!this.#sessions.isSafe(node, publish.sentAt)) return;
    publish.ackedAt = at;
    // One that was sent twice may be under way a second time.
    if (publish.sendings === 1) publish.safeAt = at;
  }

  #delivered(delivery: Extract<Observation, { kind: "delivered" }>): void {
    const { client, topic, payloadId, qos, dup, retain, at } = delivery;
    const receiver = this.#receivers.get(client);
    if (receiver === undefined) throw new CheckFailure(this.name, `${client} gets "${topic}" before CONNACK`);
    if (![...receiver.filters].some((filter) => filterMatches(filter, topic))) {
      const filters = [...receiver.filters].join(", ");
      this.#fail(delivery, `which it never subscribed to (only to ${filters})`);
    }
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined || retain || receiver.isSharing) return;
    const { safeAt, ackedAt, expirySeconds } = publish;
    const isQueued = receiver.isKept && qos > 0 && !receiver.isOutdated;
    if (isQueued && safeAt !== undefined && safeAt < receiver.beganAt)
      this.#fail(
        delivery,
        `acknowledged at ${safeAt} ms, before its session began at ${receiver.beganAt} ms`,
      );
    // A delivery that may have begun goes on.
    if (ackedAt === undefined || expirySeconds === undefined || dup) return;
    const expiredAt = ackedAt + expirySeconds * 1000 * LATE_SHARE + LATE_MS;
    const wholeSince = this.#faults.wholeSince(receiver.node);
    const isAlone = !this.#sessions.quorum.hasSince(receiver.node, expiredAt - LATE_MS);
    if (at > expiredAt && !isAlone && wholeSince !== undefined && wholeSince < expiredAt - LATE_MS)
      this.#fail(delivery, `which had expired ${expirySeconds} s after ${ackedAt} ms`);
  }

  #fail({ client, topic, payloadId, at }: Extract<Observation, { kind: "delivered" }>, why: string): never {
    throw new CheckFailure(this.name, `${client} gets ${payloadId} on "${topic}" at ${at} ms, ${why}`);
  }
}
