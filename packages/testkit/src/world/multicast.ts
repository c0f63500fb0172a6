/**
 * The multicast DNS of a simulated network: datagrams to everybody, some of which are lost, doubled, late or years old.
 *
 * Stale: a response that somebody sent long ago comes once more, as from a reflector or a cache that never heard the goodbye.
 */

import type { DnsHandler, DnsRecord, MulticastDns, Prng } from "@skein/kernel";
import type { EventQueue } from "./event-queue.ts";
import { chance, pick } from "./random-streams.ts";
import type { SimProcess } from "./sim-process.ts";

export interface MulticastOptions {
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  readonly delaySpreadMs: number;
}

interface Responder {
  readonly process: SimProcess;
  readonly machine: number;
  readonly handler: DnsHandler;
}

const RESPONSES_KEPT = 64;

export class Multicast {
  readonly #events: EventQueue;
  readonly #prng: Prng;
  readonly #options: MulticastOptions;
  readonly #isBlocked: (from: number, to: number) => boolean;
  readonly #responders = new Set<Responder>();
  readonly #past: { readonly records: readonly DnsRecord[]; readonly host: string }[] = [];
  /** Nothing gets through at all: a switch that eats multicast. */
  isSilent = false;

  constructor(
    events: EventQueue,
    prng: Prng,
    options: MulticastOptions,
    isBlocked: (from: number, to: number) => boolean,
  ) {
    this.#events = events;
    this.#prng = prng;
    this.#options = options;
    this.#isBlocked = isBlocked;
  }

  /** The port of `process` on `machine`, whose address is `host`. */
  openFor(process: SimProcess, machine: number, host: string): MulticastDns {
    let own: Responder | undefined;
    return {
      start: (handler) => {
        own = { process, machine, handler };
        this.#responders.add(own);
      },
      query: (questions) => {
        if (process.effect()) this.#toAll(machine, (handler) => handler.queried(questions, host));
      },
      respond: (records) => {
        if (!process.effect()) return;
        if (this.#past.push({ records, host }) > RESPONSES_KEPT) this.#past.shift();
        this.#toAll(machine, (handler) => handler.answered(records, host));
      },
      localAddresses: () => [host],
      hostName: () => `host-${machine}`,
      stop: () => {
        if (own !== undefined) this.#responders.delete(own);
      },
    };
  }

  processGone(process: SimProcess): void {
    for (const responder of [...this.#responders]) {
      if (responder.process === process) this.#responders.delete(responder);
    }
  }

  /** Somebody repeats an old response to everybody. */
  repeatOld(prng: Prng): void {
    if (this.#past.length === 0) return;
    const { records, host } = pick(prng, this.#past);
    for (const responder of this.#responders) {
      responder.process.turn(() => responder.handler.answered(records, host));
    }
  }

  #toAll(from: number, give: (handler: DnsHandler) => void): void {
    const { lossPerMille, duplicatePerMille, delaySpreadMs } = this.#options;
    for (const responder of this.#responders) {
      const isLost = chance(this.#prng, lossPerMille);
      const copies = chance(this.#prng, duplicatePerMille) ? 2 : 1;
      if (this.isSilent || isLost || this.#isBlocked(from, responder.machine)) continue;
      for (let copy = 0; copy < copies; copy++) {
        this.#events.after(1 + this.#prng.below(Math.max(1, delaySpreadMs)), () => {
          if (this.#responders.has(responder)) responder.process.turn(() => give(responder.handler));
        });
      }
    }
  }
}
