/**
 * Makes this node findable: announces it, answers questions about it, says goodbye.
 *
 * Announced twice, one second apart, at start and after a change, and once a minute, half the records' lifetime, for
 * networks that lose multicast. Answers wait a random 20-120 ms and are gathered, since all nodes answer the same
 * question. Works beside any other responder on the host, which answers for its own names only.
 *
 * Source: RFC 6762 sections 6 (responding), 8.3 (announcing), 8.4 (updating), 10.1 (goodbye).
 */

import type { Clock, DnsQuestion, MulticastDns, Prng, Timer } from "@skein/kernel";
import { namesOf, recordsOf, SERVICE_TYPE, type ServiceInstance, sameName } from "./service-instance.ts";

const ANNOUNCE_AGAIN_MS = 1000;
const ANNOUNCE_EVERY_MS = 60_000;
const ANSWER_DELAY_MIN_MS = 20;
const ANSWER_DELAY_SPREAD_MS = 100;

export class Advertiser {
  readonly #mdns: MulticastDns;
  readonly #clock: Clock;
  readonly #prng: Prng;
  /** Asked anew for each response: addresses and cluster change. */
  readonly #own: () => ServiceInstance;
  #isStarted = false;
  #answerTimer: Timer | undefined;
  #againTimer: Timer | undefined;
  #repeatTimer: Timer | undefined;

  constructor(mdns: MulticastDns, own: () => ServiceInstance, clock: Clock, prng: Prng) {
    this.#mdns = mdns;
    this.#own = own;
    this.#clock = clock;
    this.#prng = prng;
  }

  start(): void {
    this.#isStarted = true;
    this.announce();
    this.#repeat();
  }

  /** Tells everybody now and again in a second. */
  announce(): void {
    if (!this.#isStarted || this.#againTimer !== undefined) return;
    this.#respond();
    this.#againTimer = this.#clock.after(ANNOUNCE_AGAIN_MS, () => {
      this.#againTimer = undefined;
      this.#respond();
    });
  }

  queried(questions: readonly DnsQuestion[]): void {
    if (!this.#isStarted || this.#answerTimer !== undefined || !questions.some((one) => this.#isOurs(one)))
      return;
    const delayMs = ANSWER_DELAY_MIN_MS + this.#prng.below(ANSWER_DELAY_SPREAD_MS);
    this.#answerTimer = this.#clock.after(delayMs, () => {
      this.#answerTimer = undefined;
      this.#respond();
    });
  }

  /** Says goodbye and stays silent from now on. */
  stop(): void {
    if (!this.#isStarted) return;
    this.#isStarted = false;
    for (const timer of [this.#answerTimer, this.#againTimer, this.#repeatTimer]) timer?.cancel();
    this.#mdns.respond(recordsOf(this.#own(), true));
  }

  #repeat(): void {
    this.#repeatTimer = this.#clock.after(ANNOUNCE_EVERY_MS, () => {
      this.#respond();
      this.#repeat();
    });
  }

  #respond(): void {
    this.#mdns.respond(recordsOf(this.#own(), false));
  }

  #isOurs(question: DnsQuestion): boolean {
    const { instance, host } = namesOf(this.#own().node);
    if (question.type === "PTR") return sameName(question.name, SERVICE_TYPE);
    if (question.type === "ANY" && sameName(question.name, SERVICE_TYPE)) return true;
    return sameName(question.name, instance) || sameName(question.name, host);
  }
}
