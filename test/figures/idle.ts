/** What a mesh of twenty costs while nobody does anything: processor, memory, and bytes on the wire, per node. */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { type Usage, usageOf } from "../containers/support/kernel-view.ts";
import type { Measured } from "./figures.ts";
import type { Laboratory } from "./laboratory.ts";

const PATIENCE_MS = 180_000;
/**
 * The code is compiled and the heap has found its size by then. What an idle node does is done so seldom that V8 takes minutes to find out what of it is
 * worth compiling: in the fourth one that is still 8 % of the processor time.
 */
const SETTLE_MS = 600_000;
const MEASURE_MS = 60_000;

export async function idle(lab: Laboratory, count: number): Promise<readonly Measured[]> {
  const mesh = await lab.mesh(count);
  await mesh.start();
  await mesh.healthy(PATIENCE_MS);
  lab.say(`idle mesh of ${count}: settling for ${SETTLE_MS / 1000} s`);
  await delay(SETTLE_MS);
  const before = mesh.nodes.map(({ pid }) => usageOf(pid));
  const start = performance.now();
  await delay(MEASURE_MS);
  const after = mesh.nodes.map(({ pid }) => usageOf(pid));
  const seconds = (performance.now() - start) / 1000;
  const holder = mesh.holder();
  const rates = mesh.nodes.map((node, at) => rateOf(before[at], after[at], seconds, node === holder));
  await lab.remove(mesh);
  const followers = rates.filter(({ isHolder }) => !isHolder);
  const [leader] = rates.filter(({ isHolder }) => isHolder);
  lab.say(`coordinator: ${JSON.stringify(leader)}`);
  const row = (
    title: string,
    unit: Measured["unit"],
    worst: number,
    of: (rate: Rate) => number,
  ): Measured[] => [
    { title: `idle mesh of ${count}: ${title}`, unit, asked: { worst }, samples: followers.map(of) },
    {
      title: `the same of its coordinator`,
      unit,
      asked: { worst },
      samples: leader === undefined ? [] : [of(leader)],
    },
  ];
  return [
    ...row("processor per node, of one core", "%", 1, ({ cpu }) => cpu),
    ...row("resident memory per node", "MB", 90, ({ rss }) => rss),
    ...row("sent per node, with all headers", "kB/s", 5, ({ sent }) => sent),
    ...row("received per node, multicast included", "kB/s", 5, ({ received }) => received),
  ];
}

interface Rate {
  readonly isHolder: boolean;
  readonly cpu: number;
  readonly rss: number;
  readonly sent: number;
  readonly received: number;
}

function rateOf(
  before: Usage | undefined,
  after: Usage | undefined,
  seconds: number,
  isHolder: boolean,
): Rate {
  if (before === undefined || after === undefined) throw new Error("A node ended while it was idle");
  return {
    isHolder,
    cpu: (after.cpuMs - before.cpuMs) / seconds / 10,
    rss: after.rssBytes / 2 ** 20,
    sent: (after.sentBytes - before.sentBytes) / seconds / 1000,
    received: (after.receivedBytes - before.receivedBytes) / seconds / 1000,
  };
}
