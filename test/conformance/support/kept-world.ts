/** A lone broker whose sessions are kept by a mesh that is in the test's hands. */

import type { BrokerOptions } from "@skein/broker";
import type { Client } from "./client.ts";
import { HeldSessions } from "./held-sessions.ts";
import { HeldWorld } from "./held-world.ts";
import type { ConnectOptions } from "./world.ts";

export const KEPT: ConnectOptions = { clean: false, properties: { sessionExpiryInterval: 100 } };

export class KeptWorld extends HeldWorld {
  readonly sessions: HeldSessions;

  constructor(options: Partial<BrokerOptions> = {}) {
    const sessions = new HeldSessions();
    super(options, { sessions });
    this.sessions = sessions;
    sessions.broker = this.broker;
  }

  /** Commits what has been proposed, or the first `count` of it. */
  commit(count?: number): void {
    this.sessions.commit(count);
    this.settle();
  }

  /** A client whose session is kept; its CONNACK is taken. */
  enter(clientId: string, options: ConnectOptions = {}): Client {
    const client = this.attempt(clientId, { ...KEPT, ...options });
    this.commit();
    client.take("connack");
    return client;
  }

  /** The same, with a subscription. */
  subscriber(clientId: string, filter: string, qos: 0 | 1 | 2, options: ConnectOptions = {}): Client {
    const client = this.enter(clientId, options);
    client.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] });
    this.commit();
    client.take("suback");
    return client;
  }

  /** Publishes by a client without a kept session, and commits. */
  publish(topic: string, payload: string, qos: 1 | 2 = 1, fields: object = {}): void {
    const publisher = this.connect(`publisher-${++this.#publishers}`);
    publisher.publish(topic, payload, { qos, messageId: 1, ...fields });
    this.commit();
  }

  #publishers = 0;
}
