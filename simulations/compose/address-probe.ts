/** Does the address answer? CONNECTs from the host, one a tenth of a second after the other, and the times in which none was answered. */

import { setTimeout as delay } from "node:timers/promises";
import { answersConnect } from "../../test/containers/support/clients.ts";

const EVERY_MS = 100;

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

  /** The longest time without an answer that was under way at `fromMs`, or began up to `withinMs` later; counted from `fromMs`. */
  longestSilence(fromMs: number, withinMs: number): number {
    return longestSilence(this.answeredMs, fromMs, withinMs);
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

/** See {@link AddressProbe.longestSilence}. `answeredMs` rises. */
export function longestSilence(answeredMs: readonly number[], fromMs: number, withinMs: number): number {
  const times = [fromMs, ...answeredMs.filter((t) => t > fromMs)];
  let longest = 0;
  for (const [at, t] of times.entries()) {
    const next = times[at + 1];
    if (next === undefined || t > fromMs + withinMs) break;
    longest = Math.max(longest, next - t);
  }
  return longest;
}
