/**
 * P4: SUBACK means that every reachable node already routes to the subscriber. What is published anywhere after the
 * SUBACK arrives, as long as nothing goes wrong.
 *
 * A debt is noted for each publish and matching subscription while both nodes are undisturbed, and must be paid within
 * five seconds unless a fault or the end of either connection excuses it. QoS 0 counts only in worlds whose links are
 * never cut: what is in flight at a cut may be lost. A QoS 2 message of a kept publisher goes through the log and has ten seconds: it crosses
 * the network four times, and it takes that long until every node knows that the leader it hears has lost its quorum
 * (an election timeout of the leader, and one of its own). It waits as long as too many disks take nothing: a leader whose
 * followers are there and cannot write says that it has its quorum.
 *
 * Source: architecture.md section 2, P4, and section 4 (SUBACK barrier); reference design, 5.4 (I7).
 */

import { filterMatches } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { QuorumLedger } from "./quorum-ledger.ts";
import { type Connection, SubscriberLedger } from "./subscriber-ledger.ts";

export interface InterestConvergenceOptions {
  readonly countsQos0: boolean;
  /** Both nodes must have been whole for that long, in ms. */
  readonly settleMs: number;
  /** Time for a message to arrive, in ms. */
  readonly withinMs: number;
  /** The same for one that goes through the log. */
  readonly throughLogMs: number;
}

const DEFAULTS: InterestConvergenceOptions = {
  countsQos0: false,
  settleMs: 12_000,
  withinMs: 5000,
  throughLogMs: 10_000,
};

interface Debt {
  readonly payloadId: string;
  readonly topic: string;
  readonly publisher: Connection;
  readonly subscriber: Connection;
  readonly subackAt: number;
  readonly sentAt: number;
}

export class InterestConvergence implements Checker {
  readonly name = "interest convergence";
  readonly #options: InterestConvergenceOptions;
  readonly #faults = new FaultLedger();
  readonly #quorum = new QuorumLedger();
  /** When the log may have stood still last though a leader says that it has its quorum, in the world's ms. */
  #inDoubtAt = Number.NEGATIVE_INFINITY;
  readonly #subscribers = new SubscriberLedger();
  /** Payloads that were sent before: one that is sent again may have arrived long ago. */
  readonly #known = new Set<string>();
  /** In order of `sentAt`, by payload id and subscriber: messages that go from node to node. */
  readonly #live = new Map<string, Debt>();
  /** Likewise those that go through the log. */
  readonly #throughLog = new Map<string, Debt>();

  constructor(options: Partial<InterestConvergenceOptions> = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    this.#quorum.observe(observation);
    this.#subscribers.observe(observation);
    if (this.#faults.isMajorityInDoubt) this.#inDoubtAt = observation.at;
    this.#checkDue(observation.at);
    if (observation.kind === "publishSent") this.#sent(observation);
    else if (observation.kind === "delivered") {
      const key = `${observation.payloadId} ${observation.client}`;
      if (!this.#live.delete(key)) this.#throughLog.delete(key);
    } else if (observation.kind === "unsubscribeSent") {
      const { client, filter } = observation;
      this.#excuse(({ topic, subscriber }) => subscriber.client === client && filterMatches(filter, topic));
    } else if (observation.kind === "publishAcked" && observation.reasonCode >= 0x80)
      this.#excuse(({ payloadId }) => payloadId === observation.payloadId);
  }

  #excuse(isExcused: (debt: Debt) => boolean): void {
    for (const debts of [this.#live, this.#throughLog])
      for (const [key, debt] of debts) if (isExcused(debt)) debts.delete(key);
  }

  #sent({ client, packet, at }: Extract<Observation, { kind: "publishSent" }>): void {
    const { topic, payloadId, qos } = packet;
    const isRepeated = this.#known.has(payloadId);
    this.#known.add(payloadId);
    const publisher = this.#subscribers.connection(client);
    if (isRepeated || publisher === undefined || !this.#isWhole(publisher, at)) return;
    if ((qos === 0 && !this.#options.countsQos0) || payloadId === "" || payloadId.startsWith("-")) return;
    for (const { connection, qos: granted, since } of this.#subscribers.matches(topic)) {
      if ((granted === 0 && !this.#options.countsQos0) || since >= at || !this.#isWhole(connection, at))
        continue;
      const debts = publisher.isKept && qos === 2 ? this.#throughLog : this.#live;
      const debt = { payloadId, topic, publisher, subscriber: connection, subackAt: since, sentAt: at };
      debts.set(`${payloadId} ${connection.client}`, debt);
    }
  }

  #checkDue(at: number): void {
    const { withinMs, throughLogMs } = this.#options;
    for (const debt of takeDue(this.#live, at - withinMs)) this.#demand(debt, at);
    for (const debt of takeDue(this.#throughLog, at - throughLogMs)) {
      const { publisher, subscriber, sentAt } = debt;
      if (this.#inDoubtAt >= sentAt) continue;
      if ([publisher, subscriber].every(({ node }) => this.#quorum.hasSince(node, sentAt)))
        this.#demand(debt, at);
    }
  }

  #demand({ publisher, subscriber, payloadId, topic, subackAt, sentAt }: Debt, at: number): void {
    if (!publisher.isAlive || !subscriber.isAlive) return;
    if (!this.#isWhole(publisher, sentAt) || !this.#isWhole(subscriber, sentAt)) return;
    throw new CheckFailure(
      this.name,
      `${payloadId} on "${topic}" from ${publisher.client} (${publisher.node}), sent ${sentAt} ms, did not reach ` +
        `${subscriber.client} (${subscriber.node}), which had its SUBACK at ${subackAt} ms, until ${at} ms`,
    );
  }

  #isWhole({ node }: Connection, at: number): boolean {
    const since = this.#faults.wholeSince(node);
    return since !== undefined && at - since >= this.#options.settleMs;
  }
}

/** Takes out the debts of messages that were sent before `sentBefore`. */
function* takeDue(debts: Map<string, Debt>, sentBefore: number): Iterable<Debt> {
  for (const [key, debt] of debts) {
    if (debt.sentAt >= sentBefore) return;
    debts.delete(key);
    yield debt;
  }
}
