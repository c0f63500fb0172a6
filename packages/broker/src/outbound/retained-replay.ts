/**
 * Retained messages that a new subscription still has to get, as fast as its client reads.
 *
 * After the SUBACK the store is asked what may be read: it may first have to find out what is committed elsewhere. One
 * question at a time serves all subscriptions of the session that came before it. Then nothing is dropped for a slow
 * reader: what could not be sent stays here and goes on when there is room. Only the subscription whose turn it is has
 * its list of messages made; the others wait as themselves, so the memory is one list for each client. For `$SYS`, which is the node's own,
 * nobody is asked: who looks there may do so because the mesh does not answer.
 *
 * From SUBSCRIBE until the last retained message is sent, live messages come too. What came live to a subscription is not replayed to it,
 * and an older message that waits in a list is taken out, so that no client sees an old value after a newer one (P8). One that came before the
 * SUBSCRIBE, to a subscription that has ended since, says nothing: the topic may have a newer value that nobody was told.
 *
 * Source: MQTT 5 sections 3.3.1.3 and 3.8.4 (messages may come before SUBACK); users' large retained sets at start-up
 * (docs/architecture.md, promise P8).
 */

import type { ApplicationMessage, Clock, MonotonicMs } from "@skein/kernel";
import { MapFront } from "../map-front.ts";
import type { RetainedView } from "../ports.ts";
import type { Subscription } from "../subscriptions/subscription-index.ts";
import { isSystemTopic } from "../system/system-topics.ts";

/** Topics remembered as delivered live. Beyond it a client may see a value live and once more as a retained message. */
const LIVE_TOPICS_MAX = 10_000;

/** What is next to be sent. */
export interface WaitingRetained {
  readonly subscription: Subscription;
  readonly message: ApplicationMessage;
  /** Since when it waits. */
  readonly since: MonotonicMs;
}

/** What a subscription may be shown when its turn comes, and the number of its SUBSCRIBE. */
interface Turn {
  readonly view: RetainedView;
  readonly announced: number;
}

/**
 * Filters without wildcards that are looked up in one round; a wildcard may walk the whole store, so it has a round of its own. Ten
 * thousand of them in one SUBSCRIBE would else keep the node busy for many seconds.
 */
const SEARCHES_MAX = 500;

export class RetainedReplay {
  /** SUBSCRIBEs whose SUBACK waits. */
  #announced = 0;
  /** Number of the SUBSCRIBE that was announced last. */
  #newest = 0;
  /** Topics whose newest value came live while a replay was announced or pending, and after which SUBSCRIBE. */
  readonly #live = new Map<string, number>();
  /**
   * Subscriptions for which the store has still to be asked, with the number of their SUBSCRIBE; like the next two bounded by the
   * session's subscriptions.
   */
  #unasked = new Map<Subscription, number>();
  /** Those that the question under way will answer; undefined: there is none. */
  #asked: Map<Subscription, number> | undefined;
  /** Those whose turn has not come, with what they may be shown; in order. Maps, so that many can be taken out quickly. */
  readonly #turns = new Map<Subscription, Turn>();
  readonly #nextTurn = new MapFront(this.#turns);
  #current: Subscription | undefined;
  /** In this round. */
  #searches = 0;
  /** Messages of the current subscription that are not sent, by topic. */
  readonly #messages = new Map<string, ApplicationMessage>();
  readonly #nextMessage = new MapFront(this.#messages);
  /** When they were found: their Message Expiry Interval counts from there. */
  #foundAt: MonotonicMs;
  /** The same for those that came live meanwhile and do expire. */
  readonly #cameAt = new Map<string, MonotonicMs>();
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #system: RetainedView;

  /** `system`: the node's own values, below `$SYS`. */
  constructor(clock: Pick<Clock, "monotonicMs">, system: RetainedView) {
    this.#clock = clock;
    this.#system = system;
    this.#foundAt = clock.monotonicMs();
  }

  /** Something may be sent. */
  get isPending(): boolean {
    return this.#current !== undefined || this.#turns.size > 0;
  }

  /** Live messages matter to a replay that is pending or about to come. */
  get isWatching(): boolean {
    return this.#announced > 0 || this.#unasked.size > 0 || this.#asked !== undefined || this.isPending;
  }

  /** A SUBSCRIBE has come: its subscriptions get live messages from now on, and a replay when it is settled. Returns its number. */
  announce(): number {
    this.#announced++;
    return ++this.#newest;
  }

  /** That SUBSCRIBE is settled; what it replays has been added. */
  settled(): void {
    this.#announced--;
    this.#forgetLive();
  }

  /** Replays everything that `subscription` matches, after what is already waiting. `announced`: the number of its SUBSCRIBE. */
  add(subscription: Subscription, announced: number): void {
    if (isSystemTopic(subscription.filter)) this.#turns.set(subscription, { view: this.#system, announced });
    else this.#unasked.set(subscription, announced);
  }

  /** True: the store is to be asked now, for everything added so far; {@link answered} follows. */
  beginQuestion(): boolean {
    if (this.#asked !== undefined || this.#unasked.size === 0) return false;
    this.#asked = this.#unasked;
    this.#unasked = new Map();
    return true;
  }

  /** The store lets those read for which it was asked. */
  answered(view: RetainedView): void {
    for (const [subscription, announced] of this.#asked ?? [])
      this.#turns.set(subscription, { view, announced });
    this.#asked = undefined;
    this.#forgetLive();
  }

  /** The subscription has ended or was replaced. */
  remove(subscription: Subscription): void {
    this.#unasked.delete(subscription);
    this.#asked?.delete(subscription);
    this.#turns.delete(subscription);
    if (this.#current === subscription) {
      this.#current = undefined;
      this.#messages.clear();
      this.#cameAt.clear();
    }
  }

  /** A new turn of the event loop: some more of the store may be searched. */
  beginRound(): void {
    this.#searches = 0;
  }

  /**
   * The subscription that is served and its next message; undefined when everything was sent, or, while it `isPending`, when enough
   * was searched for this round.
   */
  peek(): WaitingRetained | undefined {
    while (this.isPending) {
      if (this.#current !== undefined) {
        const message = this.#messages.get(this.#nextMessage.key ?? "");
        if (message !== undefined) {
          const since = this.#cameAt.get(message.topic) ?? this.#foundAt;
          return { subscription: this.#current, message, since };
        }
        this.#current = undefined;
      } else if (this.#searches >= SEARCHES_MAX) return undefined;
      else this.#beginTurn();
    }
    this.#forgetLive();
    return undefined;
  }

  #beginTurn(): void {
    const subscription = this.#nextTurn.key;
    const turn = subscription === undefined ? undefined : this.#turns.get(subscription);
    if (subscription === undefined || turn === undefined) return;
    this.#turns.delete(subscription);
    this.#current = subscription;
    this.#foundAt = this.#clock.monotonicMs();
    this.#searches += isWildcard(subscription.filter) ? SEARCHES_MAX : 1;
    turn.view.match(subscription.filter, (message) => {
      const cameAfter = this.#live.get(message.topic);
      if (cameAfter === undefined || cameAfter < turn.announced) this.#messages.set(message.topic, message);
    });
  }

  /** The message last peeked at was sent. */
  advance({ topic }: ApplicationMessage): void {
    this.#messages.delete(topic);
    this.#cameAt.delete(topic);
  }

  /** A live `message` with RETAIN set was sent (`isSent`) or dropped: only the newest value may follow. */
  superseded(message: ApplicationMessage, isSent: boolean): void {
    if (isSent && (this.#live.size < LIVE_TOPICS_MAX || this.#live.has(message.topic)))
      this.#live.set(message.topic, this.#newest);
    if (!this.#messages.has(message.topic)) return;
    if (isSent || message.payload.length === 0) {
      this.advance(message);
      return;
    }
    this.#messages.set(message.topic, message);
    if (message.properties?.messageExpirySeconds !== undefined)
      this.#cameAt.set(message.topic, this.#clock.monotonicMs());
  }

  #forgetLive(): void {
    if (!this.isWatching) this.#live.clear();
  }
}

function isWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}
