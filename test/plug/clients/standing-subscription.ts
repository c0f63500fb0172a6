/** A subscription that is made once, and again only where the session has not got it: after that it belongs to the session. */

import type { RoamingClient } from "./roaming-client.ts";

export class StandingSubscription {
  /** Resolves when it is granted for the first time. */
  readonly granted: Promise<void>;
  readonly #client: RoamingClient;
  readonly #filters: readonly string[];
  readonly #qos: 1 | 2;
  #isHeld = false;
  #resolve: () => void = () => undefined;

  constructor(client: RoamingClient, filters: readonly string[], qos: 1 | 2) {
    this.#client = client;
    this.#filters = filters;
    this.#qos = qos;
    this.granted = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    client.onReady = (isPresent) => {
      if (!isPresent) this.#isHeld = false;
      if (!this.#isHeld) this.#subscribe();
    };
  }

  #subscribe(): void {
    const qos = this.#qos;
    this.#client.mqtt.subscribe([...this.#filters], { qos }, (error, granted) => {
      if (error === null && granted?.every((each) => each.qos === qos) === true) {
        this.#isHeld = true;
        this.#resolve();
        return;
      }
      this.#client.move();
    });
  }
}
