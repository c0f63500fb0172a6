/** Does the address answer? A CONNECT five times a second from the host, and the times in which none was answered. */

import { setTimeout as delay } from "node:timers/promises";
import { answersConnect } from "../../test/containers/support/clients.ts";

const EVERY_MS = 200;

export class AddressProbe {
  /** When a CONNECT was answered, ms since 1970. */
  readonly answeredMs: number[] = [];
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(address: string) {
    this.#done = this.#run(address);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  /** How long after `fromMs` the address answered again after the longest silence that began in the next `withinMs`. */
  answeredAfter(fromMs: number, withinMs: number): number {
    const times = [fromMs, ...this.answeredMs.filter((t) => t > fromMs)];
    let best = { silenceMs: 0, endMs: fromMs };
    for (const [at, t] of times.entries()) {
      const next = times[at + 1];
      if (next === undefined || t > fromMs + withinMs) break;
      if (next - t > best.silenceMs) best = { silenceMs: next - t, endMs: next };
    }
    return best.endMs - fromMs;
  }

  async #run(address: string): Promise<void> {
    while (!this.#isStopped) {
      try {
        await answersConnect(address);
        this.answeredMs.push(Date.now());
      } catch {
        // That is what is being looked for.
      }
      await delay(EVERY_MS);
    }
  }
}
