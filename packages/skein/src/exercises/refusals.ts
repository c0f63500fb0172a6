/**
 * When an exercise would not show anything, or would stop the mesh: why, as one sentence with what to do.
 *
 * Pure functions of the status that a node shows, so that every sentence can be tested without a mesh.
 */

import type { NodeStatus } from "../node-status.ts";
import type { Drill } from "./node-requests.ts";

/** Why the floating address cannot be moved now; undefined: it can. */
export function moveRefusal({ vip, members, coordinator, quorum }: NodeStatus): string | undefined {
  if (vip.address === null)
    return "This mesh has no floating address to move. Start its nodes with --vip ADDRESS%INTERFACE";
  const alive = members.filter(({ state }) => state === "alive");
  if (alive.length < 2)
    return "This is the only node that is up, so there is nowhere to move the address to. Start another one with: skein up";
  if (coordinator === null || !quorum)
    return "The mesh has no coordinator now, so nobody can hand the address over. See: skein status";
  if (vip.holder === null)
    return `No node holds the address ${vip.address} now, so it cannot be moved. See: skein status`;
  return undefined;
}

/** Why `node` (an id) must not fail now; undefined: it may. `isForced`: also if that stops the mesh. */
export function drillRefusal(
  status: NodeStatus,
  node: string,
  drill: Drill,
  isForced: boolean,
): string | undefined {
  const patient = status.members.find(({ id }) => id === node);
  if (patient === undefined) return `There is no node ${node} in this mesh. See: skein members`;
  if (patient.id === status.node)
    return `${patient.name} is the node that you asked; nobody would be left to watch. Run the command on another node, or name one with --http HOST:PORT`;
  if (patient.state !== "alive") return `${patient.name} is ${patient.state} already. See: skein status`;
  if (isForced) return undefined;
  const others = status.members.filter(({ id, state }) => id !== node && state === "alive");
  const voters = status.members.filter(({ role, state }) => role !== "learner" && state !== "left");
  const voting = voters.filter(({ id, state }) => id !== node && state === "alive");
  const majority = Math.floor(voters.length / 2) + 1;
  // Of two nodes one votes: without it the other one serves on alone, as it is meant to.
  const losesQuorum = voters.length > 1 && voting.length < majority;
  if (!losesQuorum) return undefined;
  const left = others.map(({ name }) => name).join(", ");
  return `A ${drill} of ${patient.name} would stop the mesh: only ${left} would be left, and that is no majority of its ${voters.length} voters. Bring the others back first, or add --force`;
}
