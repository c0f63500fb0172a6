/** A subscriber with a session that is kept. It subscribes once; then what it hears comes from its session, wherever it connects. */

import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";
import { StandingSubscription } from "./standing-subscription.ts";

/** How long a roaming one stays, and stays away: at least this, at most twice as much. */
const STAY_MS = 7000;
const AWAY_MS = 7000;

/** Who keeps the books of what subscribers get; `number`: whose. */
export interface Hearings {
  connected(number: number): void;
  disconnected?(number: number, at: number): void;
  delivered(
    number: number,
    publisher: number,
    message: number,
    topic: string,
    isDup: boolean,
    at: number,
  ): void;
}

export class Subscriber {
  readonly client: RoamingClient;
  readonly #around: Surroundings;
  readonly #subscription: StandingSubscription;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    number: number,
    filters: readonly string[],
    qos: 1 | 2,
    options: RoamingOptions,
    ledger: Hearings,
    around: Surroundings,
  ) {
    this.#around = around;
    this.client = new RoamingClient(options, around);
    this.#subscription = new StandingSubscription(this.client, filters, qos);
    this.client.onConnected = () => {
      ledger.connected(number);
    };
    this.client.onClosed = () => ledger.disconnected?.(number, around.now());
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
