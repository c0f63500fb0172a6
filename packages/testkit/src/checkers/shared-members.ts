/**
 * P5 and P6 for shared subscriptions whose members keep their sessions: each acknowledged message reaches one of them, whoever goes and
 * whose node dies.
 *
 * None is lost: the members together owe it, and at the end of the run, when all are back, it must have come to one.
 *
 * One of them gets it. What a member had with QoS 2 is never another's [MQTT-4.8.2-4]. With QoS 1 another one gets it if the member left before the
 * log can have had its PUBACK, or if anything went wrong in the mesh meanwhile: its node may have been taken for dead (docs/guarantees.md, P6). None gets it twice without DUP on one connection.
 *
 * In order: what a member leaves behind comes to each of the others in the order of its publisher, behind what that one has been given before. So a member
 * that goes explains one step back in what another one sees; more steps back in a row than members have gone are none of its doing.
 *
 * Left out is, but for the loss, what was sent twice or while a node had no quorum, because the log may have it twice, and later; and what a node sends that has had no quorum
 * since the member came to it: it serves the session as it knows it. Nor are groups judged in which live members take turns, too.
 *
 * Source: MQTT 5 section 4.8.2; reference design, section 4.3 (rule 11).
 */

import { filterMatches, parseSharedFilter, type QoS } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { type KeptSession, KeptSessions } from "./kept-sessions.ts";

/** The log has a PUBACK by then, in ms, if nothing hinders it: acknowledgements go together, five times a second. */
const ACKNOWLEDGED_WITHIN_MS = 3000;
/** What has been whole for that long is well again, in ms: links are up, and somebody leads. */
const SETTLE_MS = 12_000;
/** Who came back that long before the end must have everything, in ms. */
const AT_END_MS = 8000;
/** The log knows by then, in ms, that a connection is over, or that its node is. */
const NOTICED_MS = 60_000;

interface Delivery {
  readonly client: string;
  readonly connection: number;
  readonly qos: QoS;
  readonly at: number;
  /** Nothing was wrong anywhere. */
  readonly isWhole: boolean;
}

interface Publish {
  readonly payloadId: string;
  readonly publisher: string;
  readonly qos: QoS;
  /** In the order of sending. */
  readonly number: number;
  readonly firstSentAt: number;
  /** When it was sent last. */
  sentAt: number;
  sendings: number;
  /** By a node with a quorum. */
  ackedAt: number | undefined;
  /** Some node had no quorum between sending and acknowledgement. */
  isEarly: boolean;
  /** Shared subscriptions of which no member has had it. */
  readonly owedTo: Set<string>;
  /** The last delivery to each member. */
  readonly had: Map<string, Delivery>;
}

/** What one member has seen last of one publisher with one QoS. */
interface Seen {
  last: Publish;
  /** Steps back without a step forward between them, and from where. */
  stepsBack: number;
  highest: Publish;
}

export class SharedMembers implements Checker {
  readonly name = "shared subscriptions";
  readonly #faults = new FaultLedger();
  readonly #sessions: KeptSessions;
  /** Payloads that were sent before: one that is sent again may have arrived long ago. */
  readonly #known = new Set<string>();
  readonly #publishes = new Map<string, Publish>();
  /** By shared filter: who has asked for it. */
  readonly #groups = new Map<string, Set<string>>();
  /** Groups with members whose sessions end with their connections. */
  readonly #live = new Set<string>();
  /** By shared filter: sessions that may be owed its messages. */
  readonly #members = new Map<string, Set<KeptSession>>();
  readonly #connections = new Map<string, number>();
  /** When each connection ended. */
  readonly #ended = new Map<string, number>();
  /** When whose connection ended, or may have for all that the log knew. */
  readonly #departures: { readonly client: string; readonly at: number }[] = [];
  /** When anything went wrong anywhere. */
  readonly #troubles: number[] = [];
  readonly #seen = new Map<string, Seen>();
  #nextLapseAt = 0;

  constructor(durability: Durability) {
    this.#sessions = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#sessions.observe(observation);
    this.#lapse(observation.at);
    switch (observation.kind) {
      case "subscribeSent":
        this.#subscribing(observation);
        return;
      case "connected":
        this.#connections.set(observation.client, observation.connection);
        return;
      case "disconnected":
        this.#ended.set(`${observation.client} ${observation.connection}`, observation.at);
        this.#departures.push(observation);
        return;
      case "stopped":
      case "disturbed":
      case "quorum":
        this.#troubles.push(observation.at);
        for (const members of this.#groups.values())
          for (const client of members) this.#departures.push({ client, at: observation.at });
        return;
      case "publishSent":
        this.#sent(observation);
        return;
      case "publishAcked":
        this.#acked(observation);
        return;
      case "applied":
        for (const { payloadId } of observation.passed ?? []) this.#publishes.get(payloadId)?.owedTo.clear();
        return;
      case "delivered":
        this.#delivered(observation);
        return;
      case "end":
        this.#atEnd(observation.at);
        return;
      default:
    }
  }

  #subscribing({ client, filter }: Extract<Observation, { kind: "subscribeSent" }>): void {
    if (!filter.startsWith("$share/")) return;
    const isKept = (this.#sessions.attempt(client)?.expirySeconds ?? 0) > 0;
    if (!isKept) this.#live.add(filter);
    const group = this.#groups.get(filter) ?? new Set<string>();
    this.#groups.set(filter, group.add(client));
  }

  #sent({ client, packet, at }: Extract<Observation, { kind: "publishSent" }>): void {
    const { payloadId, topic, qos } = packet;
    const known = this.#publishes.get(payloadId);
    if (known !== undefined) Object.assign(known, { sentAt: at, sendings: known.sendings + 1 });
    if (this.#known.has(payloadId) || qos === 0 || payloadId === "") return;
    this.#known.add(payloadId);
    const owedTo = new Set<string>();
    for (const [filter, session, since] of this.#sessions.sharing(topic)) {
      if (since >= at || this.#live.has(filter) || this.#sessions.isSplit) continue;
      owedTo.add(filter);
      const members = this.#members.get(filter) ?? new Set<KeptSession>();
      this.#members.set(filter, members.add(session));
    }
    if (owedTo.size === 0) return;
    this.#publishes.set(payloadId, {
      payloadId,
      publisher: client,
      qos,
      number: this.#publishes.size,
      firstSentAt: at,
      sentAt: at,
      sendings: 1,
      ackedAt: undefined,
      isEarly: false,
      owedTo,
      had: new Map(),
    });
  }

  #acked({ payloadId, reasonCode, node, at }: Extract<Observation, { kind: "publishAcked" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) return;
    publish.isEarly ||= this.#sessions.quorum.hasAnyLackedSince(publish.firstSentAt);
    if (reasonCode >= 0x80 || !this.#sessions.isSafe(node, publish.sentAt)) publish.owedTo.clear();
    publish.ackedAt ??= at;
  }

  #delivered(observation: Extract<Observation, { kind: "delivered" }>): void {
    const { client, payloadId, qos, topic, at } = observation;
    const publish = this.#publishes.get(payloadId);
    const [group, ...others] = this.#groupsOf(client, topic);
    if (publish === undefined || group === undefined || others.length > 0 || qos === 0) return;
    publish.owedTo.delete(group);
    if (this.#isServedAsKnown(observation)) return;
    const { quorum } = this.#sessions;
    const isEarly = publish.ackedAt === undefined && quorum.hasAnyLackedSince(publish.firstSentAt);
    if (publish.sendings === 1 && !publish.isEarly && !isEarly) {
      const members = this.#groups.get(group) ?? new Set();
      this.#mustBeItsOwn(publish, observation, members);
      if (!publish.had.has(client)) this.#mustFollow(publish, observation, members);
    }
    const connection = this.#connections.get(client) ?? 0;
    publish.had.set(client, { client, connection, qos, at, isWhole: this.#isWhole(at) });
  }

  /** Its node has had no quorum since the member came: it serves the session as it knows it, though the log may have given to others what was in there. */
  #isServedAsKnown({ client, node, at }: Extract<Observation, { kind: "delivered" }>): boolean {
    return this.#sessions.quorum.hasLackedSince(node, this.#sessions.attempt(client)?.at ?? at);
  }

  /** Shared subscriptions of kept members alone by which `client` may get a message of `topic`. */
  #groupsOf(client: string, topic: string): string[] {
    return [...this.#groups].flatMap(([filter, members]) => {
      const shared = parseSharedFilter(filter);
      if (!members.has(client) || this.#live.has(filter)) return [];
      return shared !== undefined && shared !== "invalid" && filterMatches(shared.filter, topic)
        ? [filter]
        : [];
    });
  }

  #mustBeItsOwn(
    { payloadId, had }: Publish,
    { client, qos, dup, at }: Extract<Observation, { kind: "delivered" }>,
    members: ReadonlySet<string>,
  ): void {
    const own = had.get(client);
    if (qos === 1 && own !== undefined && !dup && own.connection === this.#connections.get(client))
      throw new CheckFailure(
        this.name,
        `${client} gets ${payloadId} twice on one connection, again at ${at} ms`,
      );
    for (const before of had.values()) {
      if (before.client === client || !members.has(before.client)) continue;
      if (before.qos === 1 && this.#mayBeUnknown(before)) continue;
      throw new CheckFailure(
        this.name,
        `${client} gets ${payloadId} at ${at} ms, which ${before.client} had (QoS ${before.qos}) at ${before.at} ms`,
      );
    }
  }

  /** The log may not have heard that the member has it. */
  #mayBeUnknown({ client, connection, at, isWhole }: Delivery): boolean {
    const until = at + ACKNOWLEDGED_WITHIN_MS;
    const endedAt = this.#ended.get(`${client} ${connection}`);
    if (!isWhole || (endedAt !== undefined && endedAt <= until)) return true;
    return this.#troubles.some((trouble) => trouble >= at && trouble <= until);
  }

  #mustFollow(
    publish: Publish,
    { client, qos, at }: Extract<Observation, { kind: "delivered" }>,
    members: ReadonlySet<string>,
  ): void {
    const key = `${client} ${publish.publisher} ${publish.qos} ${qos}`;
    const seen = this.#seen.get(key);
    if (seen === undefined || publish.number > seen.last.number) {
      this.#seen.set(key, { last: publish, stepsBack: 0, highest: publish });
      return;
    }
    const { last, highest } = seen;
    seen.last = publish;
    seen.stepsBack++;
    const since = highest.firstSentAt - NOTICED_MS;
    const gone = this.#departures.filter(
      (it) => it.at >= since && it.client !== client && members.has(it.client),
    );
    if (seen.stepsBack <= gone.length) return;
    throw new CheckFailure(
      this.name,
      `${client} sees ${publish.payloadId} after ${last.payloadId} at ${at} ms, step ${seen.stepsBack} back in a row since ` +
        `${highest.payloadId}, and other members have gone ${gone.length} times`,
    );
  }

  #isWhole(at: number): boolean {
    const since = this.#faults.wholeSince(undefined);
    return since !== undefined && at - since >= SETTLE_MS;
  }

  /** What a session was given that may be gone, is gone. */
  #lapse(at: number): void {
    if (at < this.#nextLapseAt) return;
    this.#nextLapseAt = at + 1000;
    for (const [filter, sessions] of this.#members)
      for (const session of sessions) {
        if (session.isCertain) continue;
        sessions.delete(session);
        for (const { owedTo } of this.#publishes.values()) owedTo.delete(filter);
      }
  }

  #atEnd(at: number): void {
    this.#nextLapseAt = 0;
    this.#lapse(at);
    for (const { payloadId, owedTo, ackedAt } of this.#publishes.values())
      for (const filter of owedTo) {
        const members = [...(this.#members.get(filter) ?? [])];
        const areBack = members.every(
          ({ node, connectedAt }) => node !== undefined && at - connectedAt >= AT_END_MS,
        );
        if (!areBack || ackedAt === undefined || at - ackedAt < AT_END_MS) continue;
        const names = members.map(({ name, node }) => `${name} on ${node}`).join(", ");
        throw new CheckFailure(
          this.name,
          `${payloadId}, acknowledged at ${ackedAt} ms, came to no member of ${filter} (${names}) until ${at} ms`,
        );
      }
  }
}
