/**
 * Finds the other nodes: asks for our service type and reads what is answered or announced.
 *
 * Asks at once, then after 1, 2, 4 ... s, at last every quarter of an hour; anew from the start when all links are lost.
 * Everybody answers everybody's question, so in a mesh of twenty that asks every minute seven answers a second wake each
 * node; who comes or changes announces itself anyway, and everybody does once a minute (advertiser.ts). For the same reason a
 * question of another node counts as one's own if that was soon due, and intervals are drawn a little longer, so that those who
 * were switched on together do not ask at the same moment. Only addresses worth dialling come out of it; records are not cached,
 * because a stale address costs one failed dial and the owner remembers them.
 *
 * Source: RFC 6762 sections 5.2 (continuous querying, doubling intervals) and 7.3 (duplicate question suppression).
 */

import type { Clock, DnsQuestion, DnsRecord, MulticastDns, Prng, Timer } from "@skein/kernel";
import { instancesIn, SERVICE_TYPE, type SeenInstance, sameName } from "./service-instance.ts";

const QUERY_FIRST_MS = 1000;
const QUERY_MAX_MS = 900_000;
/** An interval is longer by up to this part of it. */
const SPREAD = 0.25;

export class Browser {
  readonly #mdns: MulticastDns;
  readonly #clock: Clock;
  readonly #mesh: string;
  readonly #prng: Prng;
  readonly #found: (instance: SeenInstance) => void;
  #timer: Timer | undefined;
  #intervalMs = QUERY_FIRST_MS;
  #dueMs = 0;
  #isStopped = false;

  constructor(
    mdns: MulticastDns,
    mesh: string,
    found: (instance: SeenInstance) => void,
    clock: Clock,
    prng: Prng,
  ) {
    this.#mdns = mdns;
    this.#mesh = mesh;
    this.#found = found;
    this.#clock = clock;
    this.#prng = prng;
  }

  /** Asks now, and then ever more seldom. */
  query(): void {
    this.#query(QUERY_FIRST_MS);
  }

  /** A question that anybody asked, this node included. */
  queried(questions: readonly DnsQuestion[]): void {
    if (this.#timer === undefined || this.#isStopped) return;
    if (this.#dueMs - this.#clock.monotonicMs() > this.#intervalMs / 2) return;
    if (questions.some(({ type, name }) => type === "PTR" && sameName(name, SERVICE_TYPE))) {
      this.#wait(Math.min(QUERY_MAX_MS, this.#intervalMs * 2));
    }
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
    this.#mdns.query([{ type: "PTR", name: SERVICE_TYPE }]);
    this.#wait(againMs);
  }

  #wait(intervalMs: number): void {
    this.#timer?.cancel();
    this.#intervalMs = intervalMs;
    const waitMs = intervalMs + this.#prng.below(SPREAD * intervalMs);
    this.#dueMs = this.#clock.monotonicMs() + waitMs;
    this.#timer = this.#clock.after(waitMs, () => this.#query(Math.min(QUERY_MAX_MS, intervalMs * 2)));
  }
}
