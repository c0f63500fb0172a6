/**
 * Finds the other nodes: asks for our service type and reads what is answered or announced.
 *
 * Asks at once, then after 1, 2, 4 ... s, at last every quarter of an hour; anew from the start when all links are lost.
 * Everybody answers everybody's question, so in a mesh of twenty that asks every minute seven answers a second wake each
 * node; who comes or changes announces itself anyway, and everybody does once a minute (advertiser.ts). Only addresses
 * worth dialling come out of it; records are not cached, because a stale address costs one failed dial and the owner
 * remembers them.
 *
 * Source: RFC 6762 section 5.2 (continuous querying, doubling intervals).
 */

import type { Clock, DnsRecord, MulticastDns, Timer } from "@skein/kernel";
import { instancesIn, SERVICE_TYPE, type SeenInstance } from "./service-instance.ts";

const QUERY_FIRST_MS = 1000;
const QUERY_MAX_MS = 900_000;

export class Browser {
  readonly #mdns: MulticastDns;
  readonly #clock: Clock;
  readonly #mesh: string;
  readonly #found: (instance: SeenInstance) => void;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(mdns: MulticastDns, mesh: string, found: (instance: SeenInstance) => void, clock: Clock) {
    this.#mdns = mdns;
    this.#mesh = mesh;
    this.#found = found;
    this.#clock = clock;
  }

  /** Asks now, and then ever more seldom. */
  query(): void {
    this.#query(QUERY_FIRST_MS);
  }

  answered(records: readonly DnsRecord[], fromAddress: string): void {
    if (this.#isStopped) return;
    for (const instance of instancesIn(records, fromAddress)) {
      if (instance.mesh === this.#mesh) this.#found(instance);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #query(againMs: number): void {
    if (this.#isStopped) return;
    this.#timer?.cancel();
    this.#mdns.query([{ type: "PTR", name: SERVICE_TYPE }]);
    this.#timer = this.#clock.after(againMs, () => this.#query(Math.min(QUERY_MAX_MS, againMs * 2)));
  }
}
