/**
 * Retained messages that a new subscription still has to get, as fast as its client reads.
 *
 * Nothing is dropped for a slow reader: what could not be sent stays here and goes on when there is room. Only the
 * subscription whose turn it is has its list of messages made; the others wait as themselves, so the memory is one list
 * for each client. While a list waits, a newer retained message on one of its topics may pass it as a live message; the
 * older one is then taken out, so that no client sees an old value after a newer one (P8). The same holds between
 * SUBSCRIBE and SUBACK, while the barrier is closed but messages already come: what came live is not replayed.
 *
 * Source: MQTT 5 section 3.3.1.3; users' large retained sets at start-up (docs/architecture.md, promise P8).
 */

import type { ApplicationMessage } from "@skein/kernel";
import type { RetainedStore } from "./ports.ts";
import type { Subscription } from "./subscription-index.ts";

/** Topics remembered as delivered live. Beyond it a client may see a value live and once more as a retained message. */
const LIVE_TOPICS_MAX = 10_000;

export class RetainedReplay {
  readonly #retained: RetainedStore;
  /** SUBSCRIBEs whose SUBACK waits. */
  #announced = 0;
  /** Topics whose newest value came live while a replay was announced or pending. */
  readonly #live = new Set<string>();
  /** Subscriptions whose turn has not come. Bounded by the subscriptions of the session. */
  #waiting: Subscription[] = [];
  #current: Subscription | undefined;
  /** Messages of the current subscription that are not sent, by topic. */
  readonly #messages = new Map<string, ApplicationMessage>();

  constructor(retained: RetainedStore) {
    this.#retained = retained;
  }

  get isPending(): boolean {
    return this.#current !== undefined || this.#waiting.length > 0;
  }

  /** Live messages matter to a replay that is pending or about to come. */
  get isWatching(): boolean {
    return this.#announced > 0 || this.isPending;
  }

  /** A SUBSCRIBE has come: its subscriptions get live messages from now on, and a replay when it is settled. */
  announce(): void {
    this.#announced++;
  }

  /** That SUBSCRIBE is settled; what it replays has been added. */
  settled(): void {
    this.#announced--;
    this.#forgetLive();
  }

  /** Replays everything that `subscription` matches, after what is already waiting. */
  add(subscription: Subscription): void {
    this.#waiting.push(subscription);
  }

  /** The subscription has ended or was replaced. */
  remove(subscription: Subscription): void {
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter((other) => other !== subscription);
    if (this.#current === subscription) {
      this.#current = undefined;
      this.#messages.clear();
    }
  }

  /** The subscription that is served and its next message; undefined when everything was sent. */
  peek(): { readonly subscription: Subscription; readonly message: ApplicationMessage } | undefined {
    while (this.isPending) {
      if (this.#current !== undefined) {
        for (const message of this.#messages.values()) return { subscription: this.#current, message };
      }
      this.#current = this.#waiting.shift();
      if (this.#current !== undefined) {
        this.#retained.match(this.#current.filter, (message) => {
          if (!this.#live.has(message.topic)) this.#messages.set(message.topic, message);
        });
      }
    }
    this.#forgetLive();
    return undefined;
  }

  /** The message last peeked at was sent. */
  advance(message: ApplicationMessage): void {
    this.#messages.delete(message.topic);
  }

  /** A live `message` with RETAIN set was sent (`isSent`) or dropped: only the newest value may follow. */
  superseded(message: ApplicationMessage, isSent: boolean): void {
    if (isSent && this.#live.size < LIVE_TOPICS_MAX) this.#live.add(message.topic);
    if (!this.#messages.has(message.topic)) return;
    if (isSent || message.payload.length === 0) this.#messages.delete(message.topic);
    else this.#messages.set(message.topic, message);
  }

  #forgetLive(): void {
    if (!this.isWatching) this.#live.clear();
  }
}
