/** A subscriber with a session that is kept. It subscribes once; then what it hears comes from its session, wherever it connects. */

import type { MessageLedger, PublisherEntry, SubscriberEntry } from "../ledger/message-ledger.ts";
import { topicOf } from "./publisher.ts";
import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";
import { StandingSubscription } from "./standing-subscription.ts";

/** How long a roaming one stays, and stays away: at least this, at most twice as much. */
const STAY_MS = 7000;
const AWAY_MS = 7000;

export class Subscriber {
  readonly client: RoamingClient;
  readonly #around: Surroundings;
  readonly #subscription: StandingSubscription;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    number: number,
    entry: SubscriberEntry,
    publishers: readonly PublisherEntry[],
    options: RoamingOptions,
    prefix: string,
    ledger: MessageLedger,
    around: Surroundings,
  ) {
    this.#around = around;
    this.client = new RoamingClient(options, around);
    const filters = entry.hears.map((at) => topicOf(prefix, publishers[at]?.name ?? "", "+"));
    this.#subscription = new StandingSubscription(this.client, filters, entry.qos);
    this.client.onConnected = () => {
      ledger.connected(number);
    };
    this.client.onMessage = (topic, payload, isDup) => {
      const [publisher, message] = payload.toString("latin1").split(" ", 2);
      ledger.delivered(number, Number(publisher), Number(message), topic, isDup, around.now());
    };
  }

  /** Connects for the first time; resolves when it is subscribed. */
  start(): Promise<void> {
    this.client.come();
    return this.#subscription.granted;
  }

  /** From now on it goes away and comes back on another broker, again and again. */
  roam(): void {
    const { random } = this.#around;
    this.#timer = setTimeout(async () => {
      // Half of them take their leave, the others lose their power.
      if (random.below(2) === 0) await this.client.leave();
      else this.client.cut();
      this.#timer = setTimeout(() => {
        this.client.come();
        this.roam();
      }, AWAY_MS + random.below(AWAY_MS));
    }, STAY_MS + random.below(STAY_MS));
  }

  /** Comes back if it is away, and stays. */
  settle(): void {
    clearTimeout(this.#timer);
    this.client.come();
  }
}
