/**
 * P7: per publisher and QoS, every subscriber sees publish order, across nodes; first deliveries count.
 *
 * Messages are numbered as their clients send them. Within one publisher session the numbers that a subscriber sees for
 * the first time must rise. Across sessions a message may be overtaken only if it was not acknowledged yet when the
 * later one was sent: what its client gave up is under way on its own. Each delivered QoS is a stream of its own,
 * because a broker may order them independently [MQTT-4.6.0-5]. What a client sent twice may be seen late, by whoever
 * missed it the first time; not so by a kept session that was subscribed before, because the log has it in its order. Members of a
 * shared subscription are left out: what one of them did not acknowledge goes to another, late. What was published without a quorum the log
 * has later: kept sessions may get it after what others have taken meanwhile, but not after what was sent when it was there, and where a
 * node with a quorum serves them what one node took comes in its order. What a node without one hands out, which has the session as it was,
 * is left out. So is what was published before two clusters became one: what a session was owed by
 * the one follows what it was owed by the other (docs/merge.md). So is a message with a lifetime that comes with DUP: a node has passed it over
 * because it had expired, lost its client before the log knew, and the next one cannot know that it was never sent (docs/guarantees.md).
 *
 * Source: architecture.md section 2, P7; MQTT 5 section 4.6; reference design, 5.4 (I5).
 */

import type { QoS } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { KeptSessions } from "./kept-sessions.ts";
import { OutboxLedger } from "./outbox-ledger.ts";

interface Publish {
  readonly payloadId: string;
  readonly topic: string;
  readonly client: string;
  readonly session: string;
  readonly qos: QoS;
  readonly mayExpire: boolean;
  readonly number: number;
  readonly node: string | undefined;
  readonly sentAt: number;
  ackedAt: number | undefined;
  isRepeated: boolean;
  /** Its node had no quorum meanwhile: it goes to kept sessions early where it can, and to all others once there is one. */
  isEarly: boolean;
  /** It was sent when the log had all that was taken without a quorum, so it comes behind that. */
  readonly isBehindOutboxes: boolean;
}

/** What one subscriber session has seen of one publisher at one QoS. */
interface Seen {
  /** The latest in publish order; undefined: all of it came from a node without a quorum. */
  latest: Publish | undefined;
  /** The latest of those that were taken without a quorum and came from the log, by their nodes. */
  readonly latestEarly: Map<string, Publish>;
  readonly payloadIds: Set<string>;
}

export class PublishOrder implements Checker {
  readonly name = "publish order";
  readonly #kept: KeptSessions;
  readonly #outboxes = new OutboxLedger();
  readonly #publishes = new Map<string, Publish>();
  readonly #sessions = new Map<string, string>();
  /** Sessions that a node without a quorum had not heard of and began anew: the next one may find them again (docs/guarantees.md). */
  readonly #continued = new Map<string, string>();
  /** Their nodes had no quorum when they came, and serve their sessions as they have them. */
  readonly #servedAsKnown = new Set<string>();
  readonly #seen = new Map<string, Seen>();
  readonly #sharing = new Set<string>();
  readonly #clusters = new ClusterWatch();
  /** Up to this number messages were published before all nodes belonged to one cluster. */
  #excusedThrough = 0;
  #number = 0;

  constructor(durability: Durability) {
    this.#kept = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    const { at } = observation;
    this.#kept.observe(observation);
    this.#outboxes.observe(observation);
    if (this.#clusters.observe(observation) || this.#clusters.isSplit) this.#excusedThrough = this.#number;
    if (observation.kind === "connected") this.#connected(observation);
    else if (observation.kind === "subscribeSent" && observation.filter.startsWith("$share/")) {
      this.#sharing.add(observation.client);
    } else if (observation.kind === "publishSent") {
      const { client, packet, node } = observation;
      const { payloadId, qos, topic } = packet;
      const known = this.#publishes.get(payloadId);
      if (known !== undefined) known.isRepeated = true;
      if (payloadId === "" || known !== undefined) return;
      const session = this.#sessions.get(client) ?? "";
      const number = ++this.#number;
      this.#publishes.set(payloadId, {
        payloadId,
        topic,
        client,
        session,
        node,
        mayExpire: packet.expirySeconds !== undefined,
        qos,
        number,
        sentAt: at,
        ackedAt: undefined,
        isRepeated: false,
        isEarly: false,
        isBehindOutboxes: this.#outboxes.areAllWritten(at),
      });
    } else if (observation.kind === "publishAcked") {
      const publish = this.#publishes.get(observation.payloadId);
      if (publish === undefined) return;
      publish.ackedAt = at;
      // Whoever hands it on without a quorum may be another node than the one that has acknowledged it.
      publish.isEarly = this.#kept.quorum.hasAnyLackedSince(publish.sentAt);
    } else if (
      observation.kind === "delivered" &&
      !observation.retain &&
      !this.#sharing.has(observation.client)
    ) {
      this.#delivered(observation);
    }
  }

  #connected({ client, node, session, isPresent }: Extract<Observation, { kind: "connected" }>): void {
    const attempt = this.#kept.attempt(client);
    const known = this.#sessions.get(client);
    const mayBeKnown = !isPresent && attempt?.isClean === false && !this.#kept.isSafe(node, attempt.at);
    if (mayBeKnown && known !== undefined) this.#continued.set(session, known);
    this.#sessions.set(client, this.#continued.get(session) ?? session);
    const isKept = attempt !== undefined && attempt.expirySeconds > 0;
    if (isKept && !this.#kept.isSafe(node, attempt.at)) this.#servedAsKnown.add(client);
    else this.#servedAsKnown.delete(client);
  }

  #delivered({ client, node, payloadId, qos, dup, at }: Extract<Observation, { kind: "delivered" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined || (publish.isRepeated && !this.#isInLogOrder(publish, client))) return;
    if (publish.mayExpire && dup) return;
    if (publish.number <= this.#excusedThrough) return;
    // QoS 0 takes another way from and to each node: who goes from one to the next leaves, or finds, older messages under way.
    const way = qos === 0 ? `${publish.node} ${node}` : "";
    const key = `${client} ${this.#sessions.get(client) ?? ""} ${publish.client} ${publish.qos} ${qos} ${way}`;
    const seen = this.#seenBy(key);
    if (seen.payloadIds.has(payloadId)) return;
    seen.payloadIds.add(payloadId);
    if (qos > 0 && this.#servedAsKnown.has(client)) return;
    const isEarly = qos > 0 && this.#isEarly(publish, client);
    const attempt = this.#kept.attempt(client);
    // What its client has sent twice may be in two outboxes.
    const isTwice = isEarly && publish.isRepeated;
    if (isTwice || (isEarly && attempt !== undefined && !this.#kept.isSafe(node, attempt.at))) return;
    if (!isEarly) {
      this.#mustFollow(publish, seen.latest, client, at);
      if (seen.latest === undefined || publish.number > seen.latest.number) seen.latest = publish;
      return;
    }
    if (seen.latest?.isBehindOutboxes === true) this.#mustFollow(publish, seen.latest, client, at);
    const from = publish.node ?? "";
    const latestEarly = seen.latestEarly.get(from);
    this.#mustFollow(publish, latestEarly, client, at);
    if (latestEarly === undefined || publish.number > latestEarly.number) seen.latestEarly.set(from, publish);
  }

  #mustFollow(publish: Publish, latest: Publish | undefined, client: string, at: number): void {
    if (latest === undefined || publish.number > latest.number) return;
    const wasSafe = publish.ackedAt !== undefined && publish.ackedAt <= latest.sentAt;
    if (publish.session !== latest.session && !wasSafe) return;
    throw new CheckFailure(
      this.name,
      `${client} sees ${publish.payloadId} of ${publish.client} (QoS ${publish.qos}, sent ${publish.sentAt} ms) for the first time ` +
        `after ${latest.payloadId} (sent ${latest.sentAt} ms), at ${at} ms`,
    );
  }

  #seenBy(key: string): Seen {
    let seen = this.#seen.get(key);
    if (seen === undefined) {
      seen = { latest: undefined, latestEarly: new Map(), payloadIds: new Set() };
      this.#seen.set(key, seen);
    }
    return seen;
  }

  /** It goes to a kept session, and the log may have it later than others of its publisher. */
  #isEarly({ isEarly, ackedAt, sentAt }: Publish, client: string): boolean {
    if (this.#kept.of(client) === undefined) return false;
    return isEarly || (ackedAt === undefined && this.#kept.quorum.hasAnyLackedSince(sentAt));
  }

  /** The session of `client` has been certain and subscribed since before it was sent first. */
  #isInLogOrder({ qos, topic, sentAt, mayExpire }: Publish, client: string): boolean {
    if (qos === 0 || mayExpire) return false;
    for (const [session, since] of this.#kept.wanting(topic))
      if (session.client === client) return since < sentAt;
    return false;
  }
}
