/**
 * What happened between two looks at a mesh, as lines for a person.
 *
 * The demo looks at the status of all its nodes twice a second. Two snapshots in, sentences out: joined, coordinates,
 * does not answer, died, left.
 */

import type { NodeStatus } from "../node-status.ts";

/** What the demo knows of the mesh at one moment. */
export interface Snapshot {
  /** Node id of the coordinator most nodes agree on, if any. */
  readonly coordinator: string | undefined;
  readonly term: number;
  /** By node id: its name and the worst state that a node with a quorum reports. */
  readonly members: ReadonlyMap<string, { readonly name: string; readonly state: string }>;
}

export const EMPTY_SNAPSHOT: Snapshot = { coordinator: undefined, term: 0, members: new Map() };

const SEVERITY = ["alive", "suspect", "dead", "left"];

/** Combines what each node says. A node that cannot be asked is simply missing. */
export function snapshotOf(statuses: readonly NodeStatus[]): Snapshot {
  const members = new Map<string, { name: string; state: string }>();
  for (const status of statuses) {
    for (const { id, name, state } of status.members) {
      const known = members.get(id);
      if (known === undefined || SEVERITY.indexOf(state) > SEVERITY.indexOf(known.state))
        members.set(id, { name, state });
    }
  }
  // The highest term wins: an older coordinator does not know yet that it has been replaced.
  const term = Math.max(0, ...statuses.map((status) => status.term));
  const coordinator = statuses.find(
    (status) => status.term === term && status.coordinator !== null,
  )?.coordinator;
  return { coordinator: coordinator ?? undefined, term, members };
}

/** Whether all `count` nodes are in one mesh with one coordinator. */
export function isFormed(statuses: readonly NodeStatus[], count: number): boolean {
  const [first] = statuses;
  if (first === undefined || statuses.length !== count || first.coordinator === null) return false;
  return statuses.every(
    (status) =>
      status.health === "healthy" &&
      status.cluster === first.cluster &&
      status.coordinator === first.coordinator &&
      status.members.filter(({ state }) => state === "alive").length === count,
  );
}

/** One sentence for each difference. */
export function eventsBetween(before: Snapshot, after: Snapshot): readonly string[] {
  const events: string[] = [];
  for (const [id, { name, state }] of after.members) {
    const previous = before.members.get(id);
    if (previous?.state === state) continue;
    if (state === "alive") events.push(previous === undefined ? `${name} joined` : `${name} is back`);
    if (state === "suspect") events.push(`${name} does not answer`);
    if (state === "dead") events.push(`${name} is dead`);
    if (state === "left") events.push(`${name} left`);
  }
  if (
    after.coordinator !== undefined &&
    (after.coordinator !== before.coordinator || after.term !== before.term)
  ) {
    const name = after.members.get(after.coordinator)?.name ?? after.coordinator;
    events.push(`${name} coordinates (term ${after.term})`);
  }
  return events;
}
