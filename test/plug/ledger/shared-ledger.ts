/**
 * What the members of one shared subscription got of what publishers were promised.
 *
 * They have sessions that are kept, and hear all publishers. So each message that was acknowledged is owed to them together, and is for one of
 * them: with QoS 2 always, with QoS 1 unless that one has lost its connection before its PUBACK was known, or the publisher has sent it more
 * than once.
 *
 * Times are milliseconds of the run.
 *
 * Source: MQTT 5 section 4.8.2.
 */

import { type Judgement, seconds, Verdict } from "./judgement.ts";
import type { MessageLedger, Publication } from "./message-ledger.ts";

/** A broken connection is noticed by then, by its client: one and a half keep-alives, and a little. */
const NOTICED_MS = 10_000;

interface Delivery {
  readonly member: number;
  readonly connection: number;
  readonly at: number;
}

interface Member {
  readonly name: string;
  connections: number;
  /** By connection: when it ended. */
  readonly endedAt: number[];
}

export class SharedLedger {
  readonly #messages: MessageLedger;
  readonly #members: readonly Member[];
  /** By publisher and message. */
  readonly #deliveries = new Map<string, Delivery[]>();
  readonly #twice = new Verdict("QoS 2 messages come to one member of a shared subscription, once");
  readonly #copied = new Verdict(
    "QoS 1 messages come to another member of a shared subscription only after a lost connection, or sent twice",
  );

  constructor(messages: MessageLedger, members: readonly string[]) {
    this.#messages = messages;
    this.#members = members.map((name) => ({ name, connections: 0, endedAt: [] }));
  }

  connected(member: number): void {
    this.#member(member).connections += 1;
  }

  disconnected(member: number, at: number): void {
    const { connections, endedAt } = this.#member(member);
    endedAt[connections] = at;
  }

  delivered(
    member: number,
    publisher: number,
    message: number,
    topic: string,
    isDup: boolean,
    at: number,
  ): void {
    const publication = this.#messages.publication(publisher, message);
    const { name, connections: connection } = this.#member(member);
    const key = `${publisher} ${message}`;
    const before = this.#deliveries.get(key) ?? [];
    this.#deliveries.set(key, [...before, { member, connection, at }]);
    const verdict = publication?.qos === 2 ? this.#twice : this.#copied;
    if (before.length === 0) {
      verdict.judge();
      return;
    }
    if (publication?.qos !== 2) {
      const isSentTwice = (publication?.attempts ?? 0) > 1;
      if (isDup || isSentTwice || before.every((it) => this.#mayBeUnknown(it, at))) return;
    }
    const had = before.map((it) => `to ${this.#member(it.member).name} at ${seconds(it.at)}`).join(", ");
    const what = `came ${had} and, ${isDup ? "with" : "without"} DUP, at ${seconds(at)}`;
    verdict.break({ client: name, topic, id: `${publication?.publisher} ${message}`, what });
  }

  /** Acknowledged messages that have come to none. */
  get owed(): number {
    return [...this.#missing()].length;
  }

  judge(): readonly Judgement[] {
    const lost = new Verdict("what was acknowledged comes to a member of a shared subscription");
    if (this.#members.length > 0) {
      for (const { isAcknowledged } of this.#messages.publications()) if (isAcknowledged) lost.judge();
      for (const { publisher, message, sentAt, answeredAt } of this.#missing()) {
        const what = `sent at ${seconds(sentAt)}, acknowledged at ${seconds(answeredAt)}, never came`;
        lost.break({ client: "all members", topic: publisher, id: `${publisher} ${message}`, what });
      }
    }
    return [lost, this.#twice, this.#copied].map(({ judgement }) => judgement);
  }

  *#missing(): Iterable<Publication> {
    if (this.#members.length === 0) return;
    for (const publication of this.#messages.publications()) {
      const { number, message, isAcknowledged } = publication;
      if (isAcknowledged && !this.#deliveries.has(`${number} ${message}`)) yield publication;
    }
  }

  /** The broker may not know that the member has it. */
  #mayBeUnknown({ member, connection, at }: Delivery, now: number): boolean {
    const endedAt = this.#member(member).endedAt[connection];
    return endedAt !== undefined && endedAt <= Math.min(now, at + NOTICED_MS);
  }

  #member(at: number): Member {
    const member = this.#members[at];
    if (member === undefined) throw new RangeError(`There is no member ${at}`);
    return member;
  }
}
