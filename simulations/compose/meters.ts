/** What each node costs over time, read from the kernel every two seconds. */

import { type Usage, usageOf } from "../../test/containers/support/kernel-view.ts";
import type { NodeContainer } from "../../test/containers/support/node-container.ts";

const EVERY_MS = 2000;

/** Of one node over one interval. */
export interface Reading {
  readonly node: string;
  /** End of the interval, ms since 1970. */
  readonly t: number;
  /** Percent of one core. */
  readonly cpu: number;
  readonly rssBytes: number;
  /** Bytes a second through its network interface. */
  readonly sentRate: number;
  readonly receivedRate: number;
}

export class Meters {
  readonly readings: Reading[] = [];
  readonly #nodes: readonly NodeContainer[];
  readonly #last = new Map<string, { readonly pid: number; readonly t: number; readonly usage: Usage }>();
  readonly #timer: NodeJS.Timeout;

  constructor(nodes: readonly NodeContainer[]) {
    this.#nodes = nodes;
    this.#timer = setInterval(() => this.#read(), EVERY_MS);
    this.#read();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #read(): void {
    const t = Date.now();
    for (const { name, pid } of this.#nodes) {
      const usage = pid > 0 ? usageOf(pid) : undefined;
      const last = this.#last.get(name);
      if (usage === undefined) this.#last.delete(name);
      else this.#last.set(name, { pid, t, usage });
      if (usage === undefined || last === undefined || last.pid !== pid) continue;
      const seconds = (t - last.t) / 1000;
      const rate = (now: number, before: number): number => Math.max(0, now - before) / seconds;
      this.readings.push({
        node: name,
        t,
        cpu: rate(usage.cpuMs, last.usage.cpuMs) / 10,
        rssBytes: usage.rssBytes,
        sentRate: rate(usage.sentBytes, last.usage.sentBytes),
        receivedRate: rate(usage.receivedBytes, last.usage.receivedBytes),
      });
    }
  }
}
