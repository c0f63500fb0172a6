/**
 * P6 and the mesh's part in the other levels: QoS 2 arrives at most once in a session, QoS 0 at most once from each node, and QoS 1 is
 * multiplied by nobody but a publisher that sent it again.
 *
 * Deliveries are counted by message and subscriber session. At QoS 2 the client itself drops what it got twice before
 * PUBREL, so every count above one is a broken promise. At QoS 1 a redelivery carries DUP; without DUP it was routed
 * twice. Retained replays are new messages each time and do not count. A will is a publish by the mesh. What was published before
 * two clusters became one is not counted: a session of both may get it from each (docs/merge.md).
 * What a node takes for the log, or sends to them, without a quorum others may send again, because they cannot know of it: exactly once is
 * promised across takeovers and crashes, not across a split. But a message that its client has sent to a node without a quorum, then with DUP to one that
 * has put it into the log, comes once to who stays in one connection (repeated-messages.ts of the coordinator).
 * Of two nodes, who comes to the other one when that one is heard again is told by then (docs/sessions.md, "After the heal"). The node itself knows, also after a restart: what the log had before, it sends once.
 *
 * "At least once" is the other half: acknowledged-loss.ts. Source: MQTT 5 section 4.3; reference design, 5.4 (I4).
 */

import type { QoS } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation, type PublishedPacket } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { OutboxLedger } from "./outbox-ledger.ts";
import { QuorumLedger } from "./quorum-ledger.ts";

/** One PUBLISH packet. */
interface Sending {
  readonly node: string | undefined;
  readonly sentAt: number;
  /** CONNECTs of its client before it. */
  readonly connects: number;
}

interface Publish {
  readonly qos: QoS;
  /** How often the client has sent it. */
  sendings: number;
  /** Where and when it has sent it without hearing of it: that node may still have it on the way to the log. */
  readonly before: Sending[];
  /** Where and when last. */
  node: string | undefined;
  sentAt: number;
  connects: number;
  /** It was sent again with DUP, to another node, which has put it into the log. */
  isLogged: boolean;
  /** Where and while it was sent there was no quorum: until it was acknowledged, or, if it never was, since. */
  isEarly: boolean;
  isAcked: boolean;
  /** Deliveries without DUP, by subscriber session; of QoS 0 by session and node. */
  readonly deliveries: Map<string, number>;
  /** Those of QoS 2, by subscriber and its connection. */
  readonly connections: Set<string>;
  /** Those of a node without a quorum, by subscriber session, node and time without one. */
  readonly lonely: Set<string>;
}

export class ExactlyOnce implements Checker {
  readonly name = "exactly once";
  readonly #publishes = new Map<string, Publish>();
  readonly #sessions = new Map<string, string>();
  /** CONNECTs of each client. */
  readonly #connects = new Map<string, number>();
  /** Kept sessions: when the last CONNECT was sent, and who took it. */
  readonly #keepingSince = new Map<string, number>();
  readonly #servedBy = new Map<string, string | undefined>();
  /** Nodes that a client has left since its last CONNACK, and that could not tell the others what they have sent it, and when it left. */
  readonly #untold = new Map<string, Map<string, number>>();
  /** What was published before may have been sent by such a node, which had still not told it when the next CONNACK came. */
  readonly #untoldUntil = new Map<string, number>();
  readonly #outboxes = new OutboxLedger();
  readonly #nodes = new Set<string>();
  /** Where each client has had its last CONNACK, and how often that was another node than before: a handshake may have gone on there. */
  readonly #stays = new Map<string, { readonly node: string | undefined; readonly moves: number }>();
  readonly #quorum = new QuorumLedger();
  /** How often each node has got a quorum back, or has lost what it had not flushed. */
  readonly #turns = new Map<string, number>();

  /** Kept sessions with a shared subscription: what one of them leaves behind may come back to it (shared-members.ts). */
  readonly #sharing = new Set<string>();
  readonly #clusters = new ClusterWatch();
  readonly #blackouts: BlackoutWatch;
  /** Published before all nodes belonged to one cluster, or before all lost what they had not flushed. */
  readonly #excused = new Set<string>();

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    const isMerged = this.#clusters.observe(observation);
    // The log goes on from before the last second: what it had of a handshake is gone (replicated).
    const isBlackout = this.#blackouts.observe(observation);
    if (isMerged || isBlackout) for (const id of this.#publishes.keys()) this.#excused.add(id);
    this.#quorum.observe(observation);
    this.#outboxes.observe(observation);
    if (observation.kind === "started" && observation.node !== undefined) this.#nodes.add(observation.node);
    this.#countTurns(observation);
    if (observation.kind === "connected") this.#connected(observation);
    else if (observation.kind === "connectSent") this.#connecting(observation);
    else if (observation.kind === "subscribeSent") this.#subscribing(observation);
    else if (observation.kind === "publishSent")
      this.#sent(observation.packet, observation.client, observation.node, observation.at);
    else if (observation.kind === "publishAcked") this.#acked(observation.payloadId);
    else if (observation.kind === "delivered" && !observation.retain) this.#delivered(observation);
  }

  /** The mesh publishes the will, once if at all. */
  #connecting(attempt: Extract<Observation, { kind: "connectSent" }>): void {
    const { client, will, expirySeconds, node, at } = attempt;
    this.#connects.set(client, (this.#connects.get(client) ?? 0) + 1);
    const left = this.#servedBy.get(client);
    if (left !== undefined && this.#isAlone(client, left)) {
      const untold = this.#untold.get(client) ?? new Map<string, number>();
      this.#untold.set(client, untold.set(left, at));
    }
    this.#servedBy.set(client, node);
    if (expirySeconds > 0) this.#keepingSince.set(client, at);
    else this.#keepingSince.delete(client);
    if (will !== undefined) this.#sent(will, client, node, at);
  }

  /** It has waited for the outboxes of nodes in reach. Of two nodes that can tell, each is in reach of the other; of more not all have links at once. */
  #connected({ client, session, node: taker, at }: Extract<Observation, { kind: "connected" }>): void {
    this.#sessions.set(client, session);
    const { node: last = taker, moves = 0 } = this.#stays.get(client) ?? {};
    this.#stays.set(client, { node: taker, moves: last === taker ? moves : moves + 1 });
    for (const [node, leftAt] of this.#untold.get(client) ?? []) {
      const isTold = this.#nodes.size === 2 && this.#outboxes.isOnItsWay(node, at);
      if (!isTold) this.#untoldUntil.set(client, Math.max(leftAt, this.#untoldUntil.get(client) ?? leftAt));
    }
    this.#untold.delete(client);
  }

  #subscribing({ client, filter }: Extract<Observation, { kind: "subscribeSent" }>): void {
    if (filter.startsWith("$share/") && this.#keepingSince.has(client)) this.#sharing.add(client);
  }

  #sent({ payloadId, qos }: PublishedPacket, client: string, node: string | undefined, sentAt: number): void {
    const connects = this.#connects.get(client) ?? 0;
    const known = this.#publishes.get(payloadId);
    this.#look(known);
    if (known?.isAcked === false)
      known.before.push({ node: known.node, sentAt: known.sentAt, connects: known.connects });
    if (known !== undefined)
      Object.assign(known, { sendings: known.sendings + 1, node, sentAt, connects, isAcked: false });
    else {
      const first = {
        sendings: 1,
        before: [],
        node,
        sentAt,
        connects,
        isLogged: false,
        isEarly: false,
        isAcked: false,
        deliveries: new Map<string, number>(),
        connections: new Set<string>(),
        lonely: new Set<string>(),
      };
      this.#publishes.set(payloadId, { qos, ...first });
    }
  }

  #acked(payloadId: string): void {
    const publish = this.#publishes.get(payloadId);
    this.#look(publish);
    if (publish === undefined) return;
    publish.isAcked = true;
    publish.isLogged = this.#isRepeatedToQuorum(publish);
  }

  /** It was sent twice, the second time on the next connection, to another node, which has had a quorum since. */
  #isRepeatedToQuorum({ sendings, before, node, sentAt, connects }: Publish): boolean {
    const [first, ...more] = before;
    if (first === undefined || more.length > 0 || sendings !== 2 || first.node === node) return false;
    return connects === first.connects + 1 && !this.#quorum.hasLackedSince(node, sentAt);
  }

  /** Whether there was a quorum since it was sent, wherever it is not acknowledged. */
  #look(publish: Publish | undefined): void {
    if (publish === undefined) return;
    const { before, node, sentAt, isAcked } = publish;
    const open = isAcked ? before : [...before, { node, sentAt }];
    publish.isEarly ||= open.some((sent) => this.#quorum.hasLackedSince(sent.node, sent.sentAt));
  }

  /** The node that serves `client` could not tell the others what it sends to its kept session. */
  #isAlone(client: string, node: string | undefined): boolean {
    const since = this.#keepingSince.get(client);
    return since !== undefined && this.#quorum.hasLackedSince(node, since);
  }

  #countTurns(observation: Observation): void {
    const { kind, node } = observation;
    const isOver = kind === "damaged" || (kind === "quorum" && observation.isReached);
    if (isOver && node !== undefined) this.#turns.set(node, (this.#turns.get(node) ?? 0) + 1);
  }

  /** A node without a quorum sends what the log has put into a queue before once, as long as it has none. */
  #mustBeFirst({ client, node, payloadId, qos, at }: Extract<Observation, { kind: "delivered" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined || node === undefined || qos < 2 || publish.sendings > 1) return;
    this.#look(publish);
    if (publish.isEarly || !this.#keepingSince.has(client) || !this.#quorum.hasLackedSince(node, at)) return;
    const moves = this.#stays.get(client)?.moves ?? 0;
    const turn = `${client} ${this.#sessions.get(client) ?? ""} ${moves} ${node} ${this.#turns.get(node) ?? 0}`;
    if (publish.lonely.has(turn))
      throw new CheckFailure(
        this.name,
        `${client} got ${payloadId} (QoS 2) again at ${at} ms from ${node}, which has had no quorum since it sent it first`,
      );
    publish.lonely.add(turn);
  }

  /** The log knows of one what the other brings later. */
  #mustBeOne({ client, payloadId, qos, at }: Extract<Observation, { kind: "delivered" }>): void {
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined || qos < 2 || this.#clusters.isSplit || this.#excused.has(payloadId)) return;
    const connection = `${client} ${this.#connects.get(client) ?? 0}`;
    if (publish.isLogged && publish.connections.has(connection))
      throw new CheckFailure(
        this.name,
        `${client} got ${payloadId} (QoS 2) twice in one connection, at ${at} ms, which was sent with DUP to a node that has put it into the log`,
      );
    publish.connections.add(connection);
  }

  #delivered(observation: Extract<Observation, { kind: "delivered" }>): void {
    const { client, node, payloadId, qos, dup, topic, at } = observation;
    this.#mustBeFirst(observation);
    this.#mustBeOne(observation);
    if (payloadId === "" || (qos === 1 && (dup || this.#sharing.has(client)))) return;
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) {
      throw new CheckFailure(this.name, `${client} got "${payloadId}" on "${topic}", which nobody published`);
    }
    this.#look(publish);
    if (qos > 0 && publish.sentAt <= (this.#untoldUntil.get(client) ?? -1)) return;
    if (qos > 0 && publish.isEarly && (this.#keepingSince.has(client) || publish.qos === 2)) return;
    // QoS 0 is no part of a session: who goes to another node while it is under way may get it from both.
    const by = qos === 0 ? node : "";
    const session = `${client} ${this.#sessions.get(client) ?? ""} ${by}`;
    const count = (publish.deliveries.get(session) ?? 0) + 1;
    publish.deliveries.set(session, count);
    // A publisher at QoS 1 may repeat itself, and each repetition is a message of its own.
    const allowed = publish.qos === 1 ? publish.sendings : 1;
    // It could not be told what others have sent; what it sends itself counts for them.
    if (qos > 0 && this.#isAlone(client, node)) return;
    if (count > allowed && !this.#clusters.isSplit && !this.#excused.has(payloadId)) {
      throw new CheckFailure(
        this.name,
        `${client} got ${payloadId} (published with QoS ${publish.qos}, sent ${publish.sendings} times) for the ` +
          `${count}. time in one session, with QoS ${qos}, at ${at} ms`,
      );
    }
  }
}
