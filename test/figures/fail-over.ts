/**
 * How soon the address is back, and idle clients with it, after what can happen to its holder.
 *
 * One mesh for all runs of a figure; each run begins when all its nodes are healthy again and a restarted voter may
 * vote. The kernels of all nodes are watched all the time for a second holder.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { answersSoon } from "../containers/support/clients.ts";
import { HolderWatch, type Holding, longestOverlapMs } from "../containers/support/holder-watch.ts";
import { back, idleClients } from "../containers/support/idle-clients.ts";
import type { ContainerMesh } from "../containers/support/mesh.ts";
import type { NodeContainer } from "../containers/support/node-container.ts";
import type { Measured } from "./figures.ts";
import type { Laboratory, Profile } from "./laboratory.ts";

const PATIENCE_MS = 120_000;
/** Longest election timeout: a restarted voter grants no vote for as long. */
const EMBARGO_MS = 5000;
const TWO_HOLDERS_MS = 2600;

const FAULTS = {
  powercut: {
    title: "power cut of the holder",
    begin: (node: NodeContainer) => node.unplug(),
    end: (node: NodeContainer) => node.plugIn(),
    address: { lan: { median: 4500, worst: 6000 }, wired: { median: 2500, worst: 3500 } },
    clients: { lan: 10_000, wired: 6000 },
  },
  kill: {
    title: "kill -9 of the holder",
    begin: (node: NodeContainer) => node.kill(),
    end: (node: NodeContainer) => node.start(),
    address: { lan: { median: 4500, worst: 6000 }, wired: { median: 2500, worst: 3500 } },
    clients: { lan: 10_000, wired: 6000 },
  },
  planned: {
    title: "orderly stop of the holder",
    begin: (node: NodeContainer) => node.stop(),
    end: (node: NodeContainer) => node.start(),
    address: { lan: { worst: 500 }, wired: { worst: 500 } },
    clients: { lan: 6000, wired: 6000 },
  },
} as const;

export async function failOver(
  lab: Laboratory,
  fault: keyof typeof FAULTS,
  profile: Profile,
  count = 3,
): Promise<readonly Measured[]> {
  const { title: what, begin, end, address: asked, clients: clientsWorst } = FAULTS[fault];
  const title = count === 3 ? what : `${what}, ${count} nodes`;
  const mesh = await lab.mesh(count, profile);
  await mesh.start();
  const addressMs: number[] = [];
  const clientsMs: number[] = [];
  const overlapMs: number[] = [];
  for (let run = 1; run <= lab.runs; run += 1) {
    await mesh.healthy(PATIENCE_MS);
    const clients = await idleClients(mesh.vip, "idle");
    try {
      await delay(1500);
      const holder = mesh.holder();
      const watch = new HolderWatch(mesh.nodes, mesh.vip);
      const start = performance.now();
      const isBegun = begin(holder);
      // An orderly stop is long over for the clients when the engine says so; a cut is not there before it does.
      if (fault !== "planned") await isBegun;
      const answeredMs = await answered(mesh, holder, watch, fault === "planned" ? undefined : start);
      addressMs.push(answeredMs);
      if (answeredMs > asked[profile].worst) await tellLogs(lab, mesh);
      const backMs = await back(clients, start, PATIENCE_MS);
      clientsMs.push(Math.max(...backMs.values()));
      await isBegun;
      await end(holder);
      await mesh.healthy(PATIENCE_MS);
      watch.stop();
      overlapMs.push(Math.round(longestOverlapMs(watch.changes, performance.now())));
      const who = [...backMs].map(([name, ms]) => `${name} ${ms}`).join(", ");
      lab.say(
        `${title}, ${profile}, run ${run}: address ${answeredMs} ms; ${who} ms; overlap ${overlapMs.at(-1)} ms`,
      );
      await delay(EMBARGO_MS);
    } catch (error) {
      lab.say(
        `holders: ${mesh
          .holders()
          .map(({ name }) => name)
          .join(", ")}`,
      );
      await tellLogs(lab, mesh);
      throw error;
    } finally {
      for (const client of clients) client.stop();
    }
  }
  await lab.remove(mesh);
  return [
    {
      title: `${title}, ${profile}: the address answers${fault === "planned" ? ", from when it let go" : ""}`,
      unit: "ms",
      asked: asked[profile],
      samples: addressMs,
    },
    {
      title: `${title}, ${profile}: the last of three idle clients with keepalive 60 is back`,
      unit: "ms",
      asked: { worst: clientsWorst[profile] },
      samples: clientsMs,
    },
    {
      title: `${title}, ${profile}: longest time with two holders`,
      unit: "ms",
      asked: { worst: TWO_HOLDERS_MS },
      samples: overlapMs,
    },
  ];
}

async function tellLogs(lab: Laboratory, mesh: ContainerMesh): Promise<void> {
  for (const node of mesh.nodes) lab.say(`${node.name}:\n${await node.logTail(60)}`);
}

/** From `start`, or from when `holder` let go of the address, until a CONNECT is answered that began without it. In ms. */
async function answered(
  mesh: ContainerMesh,
  holder: NodeContainer,
  watch: HolderWatch,
  start: number | undefined,
): Promise<number> {
  const letGo = (): Holding | undefined =>
    watch.changes.find(({ holders }) => !holders.includes(holder.name));
  while (start === undefined && letGo() === undefined) await delay(5);
  await answersSoon(mesh.vip, PATIENCE_MS);
  return Math.round(performance.now() - (start ?? letGo()?.fromMs ?? 0));
}
