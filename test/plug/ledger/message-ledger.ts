/**
 * What publishers were promised and what subscribers got, message by message.
 *
 * Each publisher numbers its messages 0, 1, 2, ... and all of one publisher have one QoS. Every subscriber has a session that is kept,
 * and was subscribed before the first message. So everything that was acknowledged is owed to everyone who hears its publisher, however
 * often anybody reconnected, and it is owed once if both ends have QoS 2. A copy of a QoS 1 message is nobody's fault if
 * it says so (DUP), if the subscriber has come anew since it got the message, or if the publisher, with QoS 1, sent it more than once: for
 * the broker those are two messages.
 *
 * Times are milliseconds of the run.
 *
 * Source: MQTT 5 sections 4.3 to 4.6.
 */

import { type Judgement, seconds, Verdict } from "./judgement.ts";

export interface PublisherEntry {
  readonly name: string;
  readonly qos: 1 | 2;
}

export interface SubscriberEntry {
  readonly name: string;
  readonly qos: 1 | 2;
  /** Publishers that it hears, by their place in the list. */
  readonly hears: readonly number[];
}

/** How much has been seen. */
export interface MessageCounts {
  /** Messages, however often each was sent. */
  readonly sent: number;
  readonly acknowledged: number;
  /** With a Reason Code of 0x80 and above: the publisher knows that it is not delivered. */
  readonly refused: number;
  /** How many of them with which Reason Code. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Neither. */
  readonly unanswered: number;
  readonly delivered: number;
  readonly copies: number;
  /** Deliveries of acknowledged messages that have not come. */
  readonly owed: number;
}

/** One message of a publisher. */
export interface Publication {
  /** Its name, and its place in the list. */
  readonly publisher: string;
  readonly number: number;
  readonly message: number;
  readonly qos: 1 | 2;
  readonly sentAt: number;
  /** How often it was sent. */
  readonly attempts: number;
  readonly answeredAt: number | undefined;
  /** Answered, and not refused. */
  readonly isAcknowledged: boolean;
}

interface Published {
  readonly entry: PublisherEntry;
  readonly sentAt: number[];
  readonly attempts: number[];
  readonly answeredAt: (number | undefined)[];
  readonly isRefused: Set<number>;
}

/** What one subscriber has of one publisher. */
interface Heard {
  /** By message: when it came first; undefined: it has not. */
  readonly firstAt: (number | undefined)[];
  /** By message: on which connection it came last. */
  readonly connection: number[];
  newest: number;
}

interface Hearing {
  readonly entry: SubscriberEntry;
  readonly heard: ReadonlyMap<number, Heard>;
  connections: number;
}

export class MessageLedger {
  readonly #publishers: readonly Published[];
  readonly #subscribers: readonly Hearing[];
  readonly #twice = new Verdict("QoS 2 messages come once");
  readonly #copied = new Verdict("QoS 1 messages come twice only with DUP, after a takeover, or sent twice");
  readonly #order = new Verdict("first deliveries keep the order of each publisher");
  readonly #strange = new Verdict("only what was published and subscribed to comes");
  #delivered = 0;
  #copies = 0;
  readonly #refusals = new Map<string, number>();

  constructor(publishers: readonly PublisherEntry[], subscribers: readonly SubscriberEntry[]) {
    this.#publishers = publishers.map((entry) => {
      return { entry, sentAt: [], attempts: [], answeredAt: [], isRefused: new Set<number>() };
    });
    this.#subscribers = subscribers.map((entry) => {
      const heard = new Map<number, Heard>();
      for (const publisher of entry.hears) heard.set(publisher, { firstAt: [], connection: [], newest: -1 });
      return { entry, heard, connections: 0 };
    });
  }

  /** A publisher sends a message, for the first time or again. New ones come in order. */
  sent(publisher: number, message: number, at: number): void {
    const { sentAt, attempts } = this.#publisher(publisher);
    sentAt[message] ??= at;
    attempts[message] = (attempts[message] ?? 0) + 1;
  }

  /** PUBACK, or PUBREC: the first of them counts. */
  acknowledged(publisher: number, message: number, at: number): void {
    this.#publisher(publisher).answeredAt[message] ??= at;
  }

  refused(publisher: number, message: number, code: number, at: number): void {
    const { answeredAt, isRefused } = this.#publisher(publisher);
    if (answeredAt[message] !== undefined) return;
    answeredAt[message] = at;
    isRefused.add(message);
    const name = `0x${code.toString(16)}`;
    this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
  }

  /** A subscriber is connected: what comes from now on comes on a new connection. */
  connected(subscriber: number): void {
    this.#subscriber(subscriber).connections += 1;
  }

  delivered(
    subscriber: number,
    publisher: number,
    message: number,
    topic: string,
    isDup: boolean,
    at: number,
  ): void {
    const { entry, heard, connections } = this.#subscriber(subscriber);
    const from = this.#publishers[publisher];
    const has = heard.get(publisher);
    const sentAt = from?.sentAt[message];
    this.#strange.judge();
    if (from === undefined || has === undefined || sentAt === undefined) {
      const what = `came at ${seconds(at)} and was never published, or not for it`;
      this.#strange.break({ client: entry.name, topic, id: String(message), what });
      return;
    }
    const { name, qos } = from.entry;
    const id = `${name} ${message}`;
    const isOnce = qos === 2 && entry.qos === 2;
    const firstAt = has.firstAt[message];
    if (firstAt === undefined) {
      this.#delivered += 1;
      has.firstAt[message] = at;
      (isOnce ? this.#twice : this.#copied).judge();
      this.#order.judge();
      if (message < has.newest) {
        const what = `first came at ${seconds(at)}, after ${name} ${has.newest} at ${seconds(has.firstAt[has.newest])}`;
        this.#order.break({ client: entry.name, topic, id, what });
      }
      has.newest = Math.max(has.newest, message);
    } else {
      this.#copies += 1;
      const what = `sent at ${seconds(sentAt)}, came at ${seconds(firstAt)} and, ${isDup ? "with" : "without"} DUP, at ${seconds(at)}`;
      const isExplained =
        isDup || has.connection[message] !== connections || this.#isSentTwice(from, message);
      if (isOnce) this.#twice.break({ client: entry.name, topic, id, what });
      else if (!isExplained) this.#copied.break({ client: entry.name, topic, id, what });
    }
    has.connection[message] = connections;
  }

  /** Undefined: it was never sent. */
  publication(number: number, message: number): Publication | undefined {
    const published = this.#publishers[number];
    const sentAt = published?.sentAt[message];
    if (published === undefined || sentAt === undefined) return undefined;
    const { entry, attempts, isRefused } = published;
    const answeredAt = published.answeredAt[message];
    return {
      publisher: entry.name,
      number,
      message,
      qos: entry.qos,
      sentAt,
      attempts: attempts[message] ?? 0,
      answeredAt,
      isAcknowledged: answeredAt !== undefined && !isRefused.has(message),
    };
  }

  /** All that was sent. */
  *publications(): Iterable<Publication> {
    for (const [number, { sentAt }] of this.#publishers.entries())
      for (let message = 0; message < sentAt.length; message += 1) {
        const publication = this.publication(number, message);
        if (publication !== undefined) yield publication;
      }
  }

  /** Deliveries of acknowledged messages that have not come. */
  get owed(): number {
    let owed = 0;
    for (const { heard } of this.#subscribers) {
      for (const [publisher, { firstAt }] of heard) {
        const { answeredAt, isRefused } = this.#publisher(publisher);
        for (let message = 0; message < answeredAt.length; message += 1) {
          if (answeredAt[message] === undefined || firstAt[message] !== undefined) continue;
          if (!isRefused.has(message)) owed += 1;
        }
      }
    }
    return owed;
  }

  get counts(): MessageCounts {
    let sent = 0;
    let answered = 0;
    let refused = 0;
    for (const { sentAt, answeredAt, isRefused } of this.#publishers) {
      sent += sentAt.length;
      refused += isRefused.size;
      for (const at of answeredAt) if (at !== undefined) answered += 1;
    }
    return {
      sent,
      acknowledged: answered - refused,
      refused,
      refusals: Object.fromEntries(this.#refusals),
      unanswered: sent - answered,
      delivered: this.#delivered,
      copies: this.#copies,
      owed: this.owed,
    };
  }

  /** Milliseconds between sending for the first time and being acknowledged, of every acknowledged message. */
  acknowledgementTimes(): readonly number[] {
    const times: number[] = [];
    for (const { sentAt, answeredAt, isRefused } of this.#publishers) {
      for (const [message, at] of answeredAt.entries()) {
        if (at !== undefined && !isRefused.has(message)) times.push(at - (sentAt[message] ?? at));
      }
    }
    return times;
  }

  judge(): readonly Judgement[] {
    const verdicts = [this.#lost(), this.#twice, this.#copied, this.#order, this.#strange];
    return verdicts.map(({ judgement }) => judgement);
  }

  #lost(): Verdict {
    const lost = new Verdict("what was acknowledged arrives");
    for (const { entry, heard } of this.#subscribers) {
      for (const [publisher, { firstAt }] of heard) {
        const { entry: from, sentAt, answeredAt, isRefused } = this.#publisher(publisher);
        for (const [message, at] of answeredAt.entries()) {
          if (at === undefined || isRefused.has(message)) continue;
          lost.judge();
          if (firstAt[message] !== undefined) continue;
          const what = `sent at ${seconds(sentAt[message])}, acknowledged at ${seconds(at)}, never came`;
          lost.break({ client: entry.name, topic: from.name, id: `${from.name} ${message}`, what });
        }
      }
    }
    return lost;
  }

  #isSentTwice({ entry, attempts }: Published, message: number): boolean {
    return entry.qos === 1 && (attempts[message] ?? 0) > 1;
  }

  #publisher(at: number): Published {
    const publisher = this.#publishers[at];
    if (publisher === undefined) throw new RangeError(`There is no publisher ${at}`);
    return publisher;
  }

  #subscriber(at: number): Hearing {
    const subscriber = this.#subscribers[at];
    if (subscriber === undefined) throw new RangeError(`There is no subscriber ${at}`);
    return subscriber;
  }
}
