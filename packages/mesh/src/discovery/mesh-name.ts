/**
 * The mesh by name, for clients: `<mesh>.local` and one service instance of `_mqtt._tcp`, both published by whoever is the way
 * in now and withdrawn when it is not any more.
 *
 * The address records live 10 s only (RFC 6762 advises 120 s for hosts): where there is no floating address they move from node to node.
 * Announced twice with the cache-flush bit, a second apart; goodbye with a lifetime of 0. Who was the way in before may withdraw the name
 * only now, because it stood still; its records are nearly the same, and who keeps them drops them a second after that, unless they
 * are said again. The name of this machine itself belongs to whoever answers for it: a mesh called like its host is not published there.
 *
 * Source: RFC 6762 sections 6, 8.3, 10.1 (also: rescued records), 10.2; RFC 6763; reference design, section 2.6.
 */

import type { Clock, DnsQuestion, DnsRecord, MulticastDns, Prng, Timer } from "@skein/kernel";
import { sameName } from "./service-instance.ts";

/** Where clients get in. */
export interface ClientEntry {
  /** IP addresses, best first. */
  readonly addresses: readonly string[];
  /** Of the MQTT listener; 0: none is open to other machines. */
  readonly port: number;
}

const MQTT_TYPE = "_mqtt._tcp.local";
const SERVICE_TTL_SECONDS = 120;
const ADDRESS_TTL_SECONDS = 10;
const ANNOUNCE_AGAIN_MS = 1000;
const ANSWER_DELAY_MIN_MS = 20;
const ANSWER_DELAY_SPREAD_MS = 100;
const ADDRESSES_MAX = 8;
const LABEL_BYTES_MAX = 63;

/** The name of a mesh as one DNS label: what no host name may have becomes a dash. */
export function meshLabel(mesh: string): string {
  const label = mesh
    .toLowerCase()
    .replace(/[^a-z\d]+/g, "-")
    .slice(0, LABEL_BYTES_MAX)
    .replace(/^-+|-+$/g, "");
  return label === "" ? "skein" : label;
}

export class MeshName {
  readonly #host: string;
  readonly #instance: string;
  readonly #mdns: MulticastDns;
  readonly #clock: Clock;
  readonly #prng: Prng;
  #entry: ClientEntry | undefined;
  #againTimer: Timer | undefined;
  #answerTimer: Timer | undefined;

  constructor(mesh: string, mdns: MulticastDns, clock: Clock, prng: Prng) {
    const label = meshLabel(mesh);
    this.#host = `${label}.local`;
    this.#instance = `${label}.${MQTT_TYPE}`;
    this.#mdns = mdns;
    this.#clock = clock;
    this.#prng = prng;
  }

  /** Clients get in there from now on; undefined: not by this node. */
  publish(entry: ClientEntry | undefined): void {
    if (isSame(this.#entry, entry)) return;
    const before = this.#entry;
    this.#entry = entry;
    this.#againTimer?.cancel();
    this.#againTimer = undefined;
    if (entry === undefined) {
      if (before !== undefined) this.#mdns.respond(this.#records(before, true));
      return;
    }
    this.#respond();
    this.#againTimer = this.#clock.after(ANNOUNCE_AGAIN_MS, () => this.#respond());
  }

  queried(questions: readonly DnsQuestion[]): void {
    if (this.#mayAnswer && questions.some((one) => this.#isOurs(one)))
      this.#answerAfter(ANSWER_DELAY_MIN_MS + this.#prng.below(ANSWER_DELAY_SPREAD_MS));
  }

  /** What any node said, this one included: a goodbye to the name is contradicted. */
  answered(records: readonly DnsRecord[]): void {
    if (this.#mayAnswer && records.some((one) => one.ttlSeconds === 0 && this.#isOurName(one.name)))
      this.#answerAfter(ANSWER_DELAY_MIN_MS);
  }

  /** Says goodbye. */
  stop(): void {
    this.publish(undefined);
    this.#answerTimer?.cancel();
  }

  /** There is something to say, and it is not about to be said. */
  get #mayAnswer(): boolean {
    return this.#entry !== undefined && this.#answerTimer === undefined;
  }

  #answerAfter(delayMs: number): void {
    this.#answerTimer = this.#clock.after(delayMs, () => {
      this.#answerTimer = undefined;
      this.#respond();
    });
  }

  #respond(): void {
    if (this.#entry !== undefined) this.#mdns.respond(this.#records(this.#entry, false));
  }

  #records({ addresses, port }: ClientEntry, isGoodbye: boolean): DnsRecord[] {
    const ttl = (seconds: number): number => (isGoodbye ? 0 : seconds);
    const ttlSeconds = ttl(SERVICE_TTL_SECONDS);
    const service: DnsRecord[] = [
      { type: "PTR", name: MQTT_TYPE, ttlSeconds, target: this.#instance },
      { type: "SRV", name: this.#instance, ttlSeconds, target: this.#host, port },
      { type: "TXT", name: this.#instance, ttlSeconds, strings: [] },
    ];
    const hosts = addresses.slice(0, ADDRESSES_MAX).map((address): DnsRecord => {
      const type = address.includes(":") ? "AAAA" : "A";
      return { type, name: this.#host, ttlSeconds: ttl(ADDRESS_TTL_SECONDS), address };
    });
    return port === 0 ? hosts : [...service, ...hosts];
  }

  #isOurs({ type, name }: DnsQuestion): boolean {
    if (type === "PTR") return sameName(name, MQTT_TYPE);
    return this.#isOurName(name);
  }

  #isOurName(name: string): boolean {
    return sameName(name, this.#host) || sameName(name, this.#instance);
  }
}

function isSame(a: ClientEntry | undefined, b: ClientEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.port === b.port && a.addresses.join() === b.addresses.join();
}
