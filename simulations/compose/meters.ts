/** What each node costs over time, read from the kernel every two seconds, and what it has written at the end. */

import { readdirSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Usage, usageOf } from "../../test/containers/support/kernel-view.ts";
import type { NodeContainer } from "../../test/containers/support/node-container.ts";
import type { MeshTraffic } from "./mesh-traffic.ts";

const EVERY_MS = 2000;
const JOURNAL = "/var/lib/skein/journal";
/** Held back for a full disk: not part of the log. */
const RESERVE = "reserve";

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
  /** Of those sent: to other nodes, on links and as mDNS. */
  readonly meshRate: number;
}

/** What one node has written by the end of a run. */
export interface Written {
  /** What it has said on its standard output and error, as `docker logs` shows it. */
  readonly textBytes: number;
  /** The replicated log on its disk: segments and snapshot. */
  readonly journalBytes: number;
}

interface Look {
  readonly pid: number;
  readonly t: number;
  readonly usage: Usage;
  readonly meshBytes: number;
}

export class Meters {
  readonly readings: Reading[] = [];
  readonly #nodes: readonly NodeContainer[];
  readonly #traffic: Pick<MeshTraffic, "sentBytes">;
  readonly #last = new Map<string, Look>();
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor(nodes: readonly NodeContainer[], traffic: Pick<MeshTraffic, "sentBytes">) {
    this.#nodes = nodes;
    this.#traffic = traffic;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#look();
      await delay(EVERY_MS);
    }
  }

  async #look(): Promise<void> {
    const addresses = this.#nodes.map(({ address }) => address);
    // All are sums: a look that fails is left out, and the next one tells of its time, too.
    const sent = await this.#traffic.sentBytes(addresses).catch(() => undefined);
    if (sent === undefined) return;
    const t = Date.now();
    for (const { name, pid, address } of this.#nodes) {
      const usage = pid > 0 ? usageOf(pid) : undefined;
      const last = this.#last.get(name);
      const meshBytes = sent.get(address) ?? 0;
      if (usage === undefined) this.#last.delete(name);
      else this.#last.set(name, { pid, t, usage, meshBytes });
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
        meshRate: rate(meshBytes, last.meshBytes),
      });
    }
  }
}

/** What `node`, which runs, has written. */
export async function writtenBy(node: NodeContainer): Promise<Written> {
  const textBytes = Buffer.byteLength(await node.log());
  const folder = `/proc/${node.pid}/root${JOURNAL}`;
  // A file that its node has removed since is no more.
  const sizes = readdirSync(folder)
    .filter((name) => name !== RESERVE)
    .map((name) => statSync(`${folder}/${name}`, { throwIfNoEntry: false })?.size ?? 0);
  return { textBytes, journalBytes: sizes.reduce((sum, size) => sum + size, 0) };
}
