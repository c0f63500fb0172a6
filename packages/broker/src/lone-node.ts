/**
 * Ports for a broker on its own: nobody to forward to, but shared subscriptions still pick one member.
 */

import {
  type ApplicationMessage,
  type Completion,
  FilterIndex,
  parseSharedFilter,
  type SharedChoice,
} from "@skein/kernel";
import { InMemoryRetained } from "./in-memory-retained.ts";
import type { BrokerPorts, Forwarder, Interest } from "./ports.ts";

/** The way back from a forwarder to its broker. */
export interface SharedDelivery {
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean;
}

/** Forwarder and interest of a node without peers. */
class NoPeers implements Forwarder, Interest {
  readonly #delivery: () => SharedDelivery;
  readonly #groups = new FilterIndex<string, readonly string[]>((filters) => [...new Set(filters)]);

  constructor(delivery: () => SharedDelivery) {
    this.#delivery = delivery;
  }

  forward(
    message: ApplicationMessage,
    _done: Completion | undefined,
    choice: SharedChoice | undefined,
  ): number {
    for (const sharedFilter of this.#groups.match(message.topic)) {
      if (choice?.isDealt(sharedFilter) === true) continue;
      if (this.#delivery().deliverShared(sharedFilter, message)) choice?.serve(sharedFilter);
    }
    return 0;
  }

  forwardShared(message: ApplicationMessage, dealt: readonly string[]): void {
    for (const sharedFilter of this.#groups.match(message.topic))
      if (!dealt.includes(sharedFilter)) this.#delivery().deliverShared(sharedFilter, message);
  }

  add(filter: string, _done: Completion): number {
    const shared = parseSharedFilter(filter);
    if (typeof shared === "object") this.#groups.add(shared.filter, filter);
    return 0;
  }

  remove(filter: string): void {
    const shared = parseSharedFilter(filter);
    if (typeof shared === "object") this.#groups.remove(shared.filter, filter);
  }
}

/**
 * Ports of a node without a mesh; the retained store is in memory.
 *
 * @param delivery returns the broker that gets these ports (it does not exist yet when they are made)
 *
 * @example
 * ```ts
 * const ports = loneNodePorts({ clock, prng, log }, () => broker);
 * const broker: Broker = new Broker(DEFAULT_BROKER_OPTIONS, ports);
 * ```
 */
export function loneNodePorts(
  environment: Pick<BrokerPorts, "clock" | "prng" | "log">,
  delivery: () => SharedDelivery,
): BrokerPorts {
  const { clock, prng, log } = environment;
  const peers = new NoPeers(delivery);
  return { forwarder: peers, interest: peers, retained: new InMemoryRetained(clock), clock, prng, log };
}
