/**
 * The sessions that outlive their connections, as far as their clients can know: which exist for certain, and what they are
 * subscribed to.
 *
 * A session counts from the CONNACK of a node that had a quorum, and a subscription from such a SUBACK. Whatever may have ended it
 * (Clean Start, expiry, a blackout of all nodes in `replicated`) ends it here: a checker must not ask for more than what is
 * promised. A connection to a node without a quorum prolongs no session: the log knows nothing of it, and lets the session expire. While nodes belong to two clusters nothing new is certain, because each has sessions of its own.
 *
 * Source: MQTT 5 sections 3.1.2.4, 3.1.2.11.2 and 4.1; architecture.md section 2, P5 and P9.
 */

import { filterMatches, parseSharedFilter, type QoS } from "@skein/kernel";
import type { Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { QuorumLedger } from "./quorum-ledger.ts";

/** How much earlier than its time a session may be gone: clocks drift, and its node may have noticed the end before its client. */
const EARLY_SHARE = 0.95;
const EARLY_MS = 3000;

interface Subscription {
  /** As granted. */
  readonly qos: QoS;
  /** When the SUBACK came, in the world's ms. */
  readonly at: number;
}

export interface KeptSession {
  readonly name: string;
  readonly client: string;
  /** When the CONNECT that made it was sent, in the world's ms; 0: not known. */
  readonly beganAt: number;
  expirySeconds: number;
  /** It exists, for all that its client can know. Once false it is owed nothing. */
  isCertain: boolean;
  /** Where its client is connected, and since when; undefined: nowhere. */
  node: string | undefined;
  connectedAt: number;
  /** The log is known to have that connection. */
  isConnectionKnown: boolean;
  /** When the last connection ended that the log is known to have had. */
  awaySince: number;
  /** Ordinary (not shared) ones, by filter. */
  readonly subscriptions: Map<string, Subscription>;
  /** Shared ones, by `$share/...` filter. */
  readonly shared: Map<string, Subscription>;
}

/** A CONNECT without an answer yet. */
type Attempt = Extract<Observation, { kind: "connectSent" }>;

export class KeptSessions {
  readonly quorum = new QuorumLedger();
  readonly #blackouts: BlackoutWatch;
  readonly #clusters = new ClusterWatch();
  readonly #byClient = new Map<string, KeptSession>();
  readonly #attempts = new Map<string, Attempt>();
  /** Client and filter: when the SUBSCRIBE was sent. Gone with an UNSUBSCRIBE. */
  readonly #asked = new Map<string, number>();

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    this.quorum.observe(observation);
    this.#clusters.observe(observation);
    if (this.#blackouts.observe(observation)) this.#forgetAll();
    switch (observation.kind) {
      case "connectSent":
        this.#attempts.set(observation.client, observation);
        this.#connecting(observation);
        return;
      case "connected":
        this.#connected(observation);
        return;
      case "disconnected":
        this.#disconnected(observation.client, observation.at);
        return;
      case "stopped":
        if (observation.how === "pause" || observation.how === "resume") return;
        for (const session of [...this.#byClient.values()])
          if (session.node === observation.node) this.#disconnected(session.client, observation.at);
        return;
      case "subscribeSent":
        this.#asked.set(`${observation.client} ${observation.filter}`, observation.at);
        return;
      case "subscribeAcked":
        this.#subscribed(observation);
        return;
      case "unsubscribeSent":
        this.#asked.delete(`${observation.client} ${observation.filter}`);
        this.#byClient.get(observation.client)?.subscriptions.delete(observation.filter);
        this.#byClient.get(observation.client)?.shared.delete(observation.filter);
        return;
      default:
    }
  }

  /** There are two clusters, and what goes into the log of one does not reach the sessions of the other. */
  get isSplit(): boolean {
    return this.#clusters.isSplit;
  }

  /** What `node` acknowledges now and was asked at `askedAt` is safe with the mesh. */
  isSafe(node: string | undefined, askedAt: number): boolean {
    return !this.isSplit && this.quorum.hasSince(node, askedAt);
  }

  /** The session that `client` has left behind or is connected to. */
  of(client: string): KeptSession | undefined {
    return this.#byClient.get(client);
  }

  /** The CONNECT that `client` sent last. */
  attempt(client: string): Attempt | undefined {
    return this.#attempts.get(client);
  }

  /** It may have expired by `at`. */
  mayHaveExpired(session: KeptSession, at: number): boolean {
    const { node, isConnectionKnown, awaySince, expirySeconds } = session;
    const isHeld = node !== undefined && isConnectionKnown;
    return !isHeld && at - awaySince > expirySeconds * 1000 * EARLY_SHARE - EARLY_MS;
  }

  /** Certain sessions with a subscription of QoS 1 or 2 that matches `topic`, and the earliest SUBACK of those. */
  *wanting(topic: string): Iterable<readonly [session: KeptSession, since: number]> {
    for (const session of this.#byClient.values()) {
      if (!session.isCertain) continue;
      let since = Number.POSITIVE_INFINITY;
      for (const [filter, { qos, at }] of session.subscriptions)
        if (qos > 0 && at < since && filterMatches(filter, topic)) since = at;
      if (since < Number.POSITIVE_INFINITY) yield [session, since];
    }
  }

  /** Shared subscriptions that match `topic` of certain sessions with QoS 1 or 2, and when the SUBACK of each came. */
  *sharing(topic: string): Iterable<readonly [filter: string, session: KeptSession, since: number]> {
    for (const session of this.#byClient.values()) {
      if (!session.isCertain) continue;
      for (const [sharedFilter, { qos, at }] of session.shared) {
        const shared = parseSharedFilter(sharedFilter);
        if (qos === 0 || shared === undefined || shared === "invalid") continue;
        if (filterMatches(shared.filter, topic)) yield [sharedFilter, session, at];
      }
    }
  }

  /** Whatever comes of it, the session may be another one from now on. */
  #connecting({ client, isClean, expirySeconds, at }: Attempt): void {
    const session = this.#byClient.get(client);
    if (session === undefined) return;
    if (isClean || this.mayHaveExpired(session, at)) this.#forget(session);
    else if (expirySeconds < session.expirySeconds) session.expirySeconds = expirySeconds;
  }

  #connected({
    client,
    session: name,
    node,
    at,
    isPresent,
  }: Extract<Observation, { kind: "connected" }>): void {
    const attempt = this.#attempts.get(client);
    if (attempt === undefined) return;
    let session = this.#byClient.get(client);
    if (session === undefined || session.name !== name || !isPresent) {
      if (session !== undefined) this.#forget(session);
      session = {
        name,
        client,
        beganAt: isPresent ? 0 : attempt.at,
        expirySeconds: 0,
        isCertain: false,
        node: undefined,
        connectedAt: at,
        isConnectionKnown: false,
        awaySince: at,
        subscriptions: new Map(),
        shared: new Map(),
      };
      this.#byClient.set(client, session);
    }
    const isKnown = this.isSafe(node, attempt.at);
    // `#connecting` has taken the shorter one, which is that of the log until it hears of this connection.
    if (isKnown || !session.isCertain) session.expirySeconds = attempt.expirySeconds;
    session.node = node;
    session.connectedAt = at;
    session.isConnectionKnown = isKnown;
    if (attempt.expirySeconds > 0 && isKnown) session.isCertain = true;
  }

  #disconnected(client: string, at: number): void {
    const session = this.#byClient.get(client);
    if (session?.node === undefined) return;
    session.node = undefined;
    if (session.isConnectionKnown || !session.isCertain) session.awaySince = at;
    if (session.expirySeconds === 0) this.#forget(session);
  }

  #subscribed({ client, filter, qos = 0, node, at }: Extract<Observation, { kind: "subscribeAcked" }>): void {
    const session = this.#byClient.get(client);
    const askedAt = this.#asked.get(`${client} ${filter}`);
    // The SUBACK of a filter that is given up already may come late.
    if (session === undefined || askedAt === undefined || session.expirySeconds === 0) return;
    if (!this.isSafe(node, askedAt)) return;
    // The log may have ended the session that this connection was told of, and begun another one.
    if (this.mayHaveExpired(session, at)) {
      session.subscriptions.clear();
      session.shared.clear();
    }
    session.isCertain = true;
    session.isConnectionKnown = true;
    const isShared = parseSharedFilter(filter) !== undefined;
    (isShared ? session.shared : session.subscriptions).set(filter, { qos, at });
  }

  /** Should it live on, it begins anew here: what it was owed until now nobody asks for. */
  #forget(session: KeptSession): void {
    session.isCertain = false;
    this.#byClient.delete(session.client);
  }

  #forgetAll(): void {
    for (const session of [...this.#byClient.values()]) this.#forget(session);
  }
}
