/**
 * What a client wants to be subscribed to, and what it has asked for and not been answered.
 *
 * Source: MQTT 5 sections 3.8 to 3.11.
 */

import type { QoS } from "@skein/kernel";

interface Asked {
  readonly filters: readonly string[];
  readonly isSubscribe: boolean;
}

export class ClientSubscriptions {
  readonly #wanted = new Map<string, QoS>();
  /** Without an answer, by packet identifier. */
  readonly #asked = new Map<number, Asked>();

  want(filters: readonly string[], qos: QoS): void {
    for (const each of filters) this.#wanted.set(each, qos);
  }

  giveUp(filter: string): void {
    this.#wanted.delete(filter);
  }

  asked(packetId: number, filters: readonly string[], isSubscribe: boolean): void {
    this.#asked.set(packetId, { filters, isSubscribe });
  }

  /** Whether something asked under `packetId` has no answer. */
  isAsked(packetId: number): boolean {
    return this.#asked.has(packetId);
  }

  /** SUBACK or UNSUBACK came: for what. */
  answered(packetId: number): Asked | undefined {
    const asked = this.#asked.get(packetId);
    this.#asked.delete(packetId);
    return asked;
  }

  /** The connection has ended: nothing is answered any more. */
  forgetAsked(): void {
    this.#asked.clear();
  }

  /** What a session lacks that has only `held`. */
  missing(held: ReadonlySet<string>): (readonly [filter: string, qos: QoS])[] {
    return [...this.#wanted].filter(([filter]) => !held.has(filter));
  }

  /** What it has too many. */
  surplus(held: ReadonlySet<string>): string[] {
    return [...held].filter((filter) => !this.#wanted.has(filter));
  }
}
