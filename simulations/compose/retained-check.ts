/** P8 after the run: every node serves the same retained set, and for each topic nothing older than what was acknowledged. */

import type { ContainerMesh } from "../../test/containers/support/mesh.ts";
import type { Household } from "./household.ts";

const SETTLED_WITHIN_MS = 30_000;

interface Retained {
  readonly entries: readonly { readonly topic: string; readonly payload: string }[];
}

export async function retainedCheck(
  mesh: ContainerMesh,
  household: Household,
): Promise<{ readonly topics: number; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  await mesh.sameRetained(SETTLED_WITHIN_MS).catch((error: unknown) => {
    faults.push(`the nodes' retained sets differ: ${error instanceof Error ? error.message : String(error)}`);
  });
  const acknowledged = new Map<string, number>();
  for (const event of household.events) if (event.e === "acked") acknowledged.set(event.c, event.s);
  const kept = household.plans.filter(({ isRetained }) => isRetained);
  for (const node of mesh.nodes) {
    const { entries } = (await node.ask("/api/retained?entries=1")) as Retained;
    const byTopic = new Map(
      entries.map(({ topic, payload }) => [topic, Buffer.from(payload, "base64").toString()]),
    );
    for (const { id } of kept) {
      const wanted = acknowledged.get(id) ?? 0;
      const found = Number(byTopic.get(`sim/kept/${id}`)?.split(" ")[1] ?? 0);
      if (found < wanted) faults.push(`${node.name} has ${id} ${found}, acknowledged was ${wanted}`);
    }
  }
  return { topics: kept.length * mesh.nodes.length, faults };
}
