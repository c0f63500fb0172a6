/** Hears the wills, and the word of those that are back, in one kept session with QoS 2: once, and in the order of publication. */

import type { WillLedger } from "../ledger/will-ledger.ts";
import { willPrefix } from "./mortal.ts";
import { RoamingClient, type RoamingOptions, type Surroundings } from "./roaming-client.ts";
import { StandingSubscription } from "./standing-subscription.ts";

export class Watcher {
  readonly client: RoamingClient;
  readonly #subscription: StandingSubscription;

  constructor(options: RoamingOptions, prefix: string, ledger: WillLedger, around: Surroundings) {
    this.client = new RoamingClient(options, around);
    this.#subscription = new StandingSubscription(this.client, [`${willPrefix(prefix)}/+`], 2);
    this.client.onMessage = (topic, payload) => {
      const client = topic.slice(topic.lastIndexOf("/") + 1);
      const [what, life] = payload.toString("latin1").split(" ", 2);
      if (what === "will") ledger.heardWill(options.id, client, Number(life), around.now());
      else ledger.heardBack(options.id, client, Number(life), around.now());
    };
  }

  /** Connects for the first time; resolves when it is subscribed. */
  start(): Promise<void> {
    this.client.come();
    return this.#subscription.granted;
  }
}
