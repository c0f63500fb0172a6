/**
 * What a node says about itself and its mesh: one document for `skein status`, /api/status and every dashboard.
 *
 * A pure function of what mesh, coordinator and broker report, so that each judgement (what counts as degraded, who holds
 * the address) stands in one place and can be tested without a node. Reasons are sentences for the operator.
 */

import { type CoordinatorStatus, explainWait } from "@skein/coordinator";
import type { MonotonicMs } from "@skein/kernel";
import type { Member } from "@skein/mesh";
import { addressHolder } from "./address-holder.ts";
import { explainMerge } from "./explain-merge.ts";

export type Health = "healthy" | "degraded" | "down";

export interface MemberStatus {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly role: "leader" | "voter" | "learner";
  /** MQTT clients connected to it. */
  readonly clients: number;
  /** `host:port` of its link listener; empty for the node itself. */
  readonly address: string;
}

export interface NodeStatus {
  readonly mesh: string;
  /** UUID of the cluster; null until this node has founded or joined one. */
  readonly cluster: string | null;
  readonly node: string;
  readonly name: string;
  /** Node id of the coordinator, null while none is known. */
  readonly coordinator: string | null;
  readonly term: number;
  readonly quorum: boolean;
  /** Voters without which there can be no coordinator now (after a power cut of all), by node id; empty otherwise. */
  readonly waitsFor: readonly { readonly id: string; readonly name: string | null }[];
  readonly health: Health;
  /** The other cluster of this mesh that is in sight or is being merged, and how that stands; null: none. */
  readonly merge: { readonly other: string; readonly state: string; readonly topics: number | null } | null;
  /** Retained values that lost in a merge and wait in `skein conflicts`. */
  readonly conflicts: number;
  /** Why the node is not healthy. Empty when it is. */
  readonly reasons: readonly string[];
  /** `address` is null without a floating address, `holder` (a node id) while nobody is known to hold it. */
  readonly vip: { readonly address: string | null; readonly holder: string | null };
  /** All nodes, this one included, by name. */
  readonly members: readonly MemberStatus[];
  /** MQTT clients connected to this node. */
  readonly clients: number;
  /** Retained messages in this node's replica. */
  readonly retained: number;
}

/** What {@link nodeStatus} is made from. */
export interface StatusInputs {
  readonly mesh: string;
  readonly node: string;
  readonly name: string;
  readonly isServing: boolean;
  readonly isStopping: boolean;
  readonly coordinator: CoordinatorStatus;
  /** Clock.monotonicMs. */
  readonly now: MonotonicMs;
  readonly members: readonly Member[];
  readonly floatingAddress:
    | {
        readonly address: string;
        readonly isHeld: boolean;
        readonly problem: string | undefined;
        readonly warnings: readonly string[];
      }
    | undefined;
  readonly clients: number;
  readonly retained: number;
}

/** Builds the status document. */
export function nodeStatus(inputs: StatusInputs): NodeStatus {
  const { coordinator } = inputs;
  const reasons = reasonsOf(inputs);
  return {
    mesh: inputs.mesh,
    cluster: coordinator.cluster ?? null,
    node: inputs.node,
    name: inputs.name,
    coordinator: coordinator.coordinator ?? null,
    term: coordinator.term,
    quorum: coordinator.hasQuorum,
    waitsFor: (coordinator.electionWait?.voters ?? []).map(({ id, name }) => ({ id, name: name ?? null })),
    merge: mergeOf(coordinator),
    conflicts: coordinator.conflicts,
    health: !inputs.isServing || inputs.isStopping ? "down" : reasons.length > 0 ? "degraded" : "healthy",
    reasons,
    vip: { address: inputs.floatingAddress?.address ?? null, holder: holderOf(inputs) },
    members: membersOf(inputs),
    clients: inputs.clients,
    retained: inputs.retained,
  };
}

function reasonsOf(inputs: StatusInputs): readonly string[] {
  const { coordinator, floatingAddress } = inputs;
  const reasons: string[] = [];
  if (inputs.isStopping) reasons.push("The node is stopping.");
  else if (!inputs.isServing) reasons.push("The node is starting; clients are let in when it is ready.");
  // Before it belongs to a cluster a node has no quorum to miss.
  if (coordinator.electionWait !== undefined) reasons.push(explainWait(coordinator.electionWait, inputs.now));
  else if (coordinator.cluster !== undefined && !coordinator.hasQuorum)
    reasons.push(
      "No coordinator is known: retained messages are read-only until a majority of voters is back.",
    );
  if (coordinator.isDiverged) reasons.push(divergedReplica(coordinator));
  if (coordinator.isDiskFull)
    reasons.push(
      "The disk of this node is full: retained messages with QoS 1 and 2 are refused until there is room. Free space; the node goes on by itself.",
    );
  if (coordinator.isDiskDying) reasons.push(dyingDisk(coordinator));
  for (const member of [...inputs.members].sort(byName)) {
    if (member.id === inputs.node) continue;
    if (member.state === "dead") reasons.push(`${member.name} is dead.`);
    if (member.state === "suspect") reasons.push(`${member.name} does not answer.`);
  }
  reasons.push(...(floatingAddress?.warnings ?? []));
  if (coordinator.isDiskStalled)
    reasons.push(
      "The disk of this node has not finished a write for seconds: another node coordinates meanwhile, if one can. If it happens again, replace the disk.",
    );
  const merge = explainMerge(coordinator);
  if (merge !== undefined) reasons.push(merge);
  if (floatingAddress?.problem !== undefined) reasons.push(floatingAddress.problem);
  else if (floatingAddress !== undefined && holderOf(inputs) === null)
    reasons.push(`No node holds the floating address ${floatingAddress.address}.`);
  return reasons;
}

function mergeOf({ merge, foreignCluster }: CoordinatorStatus): NodeStatus["merge"] {
  if (merge === undefined)
    return foreignCluster === undefined ? null : { other: foreignCluster, state: "comparing", topics: null };
  return { other: merge.other, state: merge.kind, topics: merge.kind === "taking" ? merge.topics : null };
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

function holderOf({ floatingAddress, coordinator, members, node }: StatusInputs): string | null {
  if (floatingAddress === undefined) return null;
  const { isHeld } = floatingAddress;
  return addressHolder({ node, isHeld, coordinator: coordinator.coordinator, members }) ?? null;
}

function membersOf(inputs: StatusInputs): readonly MemberStatus[] {
  return [...inputs.members].sort(byName).map((member) => {
    const isSelf = member.id === inputs.node;
    return {
      id: member.id,
      name: member.name,
      state: member.state,
      role: isSelf ? inputs.coordinator.role : roleOf(member, inputs.coordinator),
      clients: isSelf ? inputs.clients : clientsOf(member),
      address: member.address,
    };
  });
}

/** The log knows who votes and who leads; gossip only repeats it, and a dead node's last word may be out of date. */
function roleOf(member: Member, coordinator: CoordinatorStatus): MemberStatus["role"] {
  if (member.id === coordinator.coordinator) return "leader";
  if (coordinator.voters.includes(member.id)) return "voter";
  if (coordinator.learners.includes(member.id)) return "learner";
  return member.role === "leader" ? "voter" : member.role;
}

/** The last word of a node that is gone still counts its clients, but they went with it. */
function clientsOf({ state, clients }: Member): number {
  return state === "dead" || state === "left" ? 0 : clients;
}

function byName(a: Member, b: Member): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
