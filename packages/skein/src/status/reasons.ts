/** Why a node is not healthy, as sentences for the operator. What is not broken but worth knowing is in notes.ts. */

import { type CoordinatorStatus, explainWait, REPLICAS_MAX } from "@skein/coordinator";
import type { Member } from "@skein/mesh";
import { explainMerge } from "../explain-merge.ts";
import type { StatusInputs } from "../node-status.ts";
import { lastedFor } from "./durations.ts";

export function reasonsOf(inputs: StatusInputs, holder: string | undefined): readonly string[] {
  const { coordinator, floatingAddress } = inputs;
  const merge = explainMerge(coordinator);
  return [
    ...ownState(inputs),
    ...leadership(inputs),
    ...ownReplica(coordinator),
    ...missingReplica(inputs),
    ...inputs.members.flatMap((member) => lostMember(member, inputs)),
    ...(floatingAddress?.warnings ?? []),
    ...(merge === undefined ? [] : [merge]),
    ...(floatingAddress === undefined
      ? []
      : floatingAddress.problem !== undefined
        ? [floatingAddress.problem]
        : holder === undefined
          ? [`No node holds the floating address ${floatingAddress.address}.`]
          : []),
  ];
}

function ownState({ isStopping, isServing, hasParted }: StatusInputs): readonly string[] {
  if (isStopping) return ["The node is stopping."];
  if (hasParted) return ["The node is leaving the mesh; its clients have been sent to the others."];
  return isServing ? [] : ["The node is starting; clients are let in when it is ready."];
}

function leadership({ coordinator, now }: StatusInputs): readonly string[] {
  if (coordinator.electionWait !== undefined) return [explainWait(coordinator.electionWait, now)];
  // Before it belongs to a cluster a node has no quorum to miss.
  if (coordinator.cluster === undefined || coordinator.hasQuorum) return [];
  return ["No coordinator is known: retained messages are read-only until a majority of voters is back."];
}

function ownReplica(coordinator: CoordinatorStatus): readonly string[] {
  const reasons: string[] = [];
  if (coordinator.isDiverged) reasons.push(divergedReplica(coordinator));
  if (coordinator.isDiskFull)
    reasons.push(
      "The disk of this node is full: retained messages with QoS 1 and 2 are refused until there is room. Free space; the node goes on by itself.",
    );
  if (coordinator.isDiskDying) reasons.push(dyingDisk(coordinator));
  if (coordinator.isDiskStalled)
    reasons.push(
      "The disk of this node has not finished a write for seconds: another node coordinates meanwhile, if one can. If it happens again, replace the disk.",
    );
  return reasons;
}

/** A node that no replica is given to is not told: it sees that all of them are taken. */
function missingReplica({ coordinator, members, node }: StatusInputs): readonly string[] {
  if (coordinator.cluster !== undefined) return [];
  const taken = new Map<string, number>();
  for (const { id, cluster } of members)
    if (id !== node && cluster !== undefined) taken.set(cluster, (taken.get(cluster) ?? 0) + 1);
  if (Math.max(0, ...taken.values()) < REPLICAS_MAX) return [];
  return [
    `This node has no replica, because the mesh has ${REPLICAS_MAX} already: its clients get all live messages, but none of the mesh's retained ones, and it cannot vote or coordinate. To give it one, take another node out: skein leave`,
  ];
}

function divergedReplica({ staysDiverged }: CoordinatorStatus): string {
  return staysDiverged
    ? 'The data of this node differs from the others again within an hour (bad memory?). It neither votes nor leads. Stop the node, test its memory, remove the folder "journal" from its data directory, and start it.'
    : "The data of this node differs from the others. It neither votes nor leads until it has taken over the coordinator's.";
}

function dyingDisk({ role }: CoordinatorStatus): string {
  const part =
    role === "learner"
      ? "so it does not vote"
      : "so another node should vote in its place, as soon as one can";
  return `The disk of this node failed twice within an hour, ${part}. Replace the disk, and start the node anew with an empty data directory.`;
}

function lostMember({ id, name, state }: Member, { node, heardAt, now }: StatusInputs): readonly string[] {
  if (id === node || (state !== "dead" && state !== "suspect")) return [];
  const heard = heardAt(id);
  if (heard === undefined) return [`${name} unreachable.`];
  return [`${name} unreachable for ${lastedFor(now - heard)}.`];
}
