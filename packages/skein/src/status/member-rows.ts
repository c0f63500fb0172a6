/** The rows of the member list in the status: what gossip, log and reports say about each node, brought together. */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import type { Member } from "@skein/mesh";
import type { MemberStatus, StatusInputs } from "../node-status.ts";
import type { NodeReport } from "../reports/node-report.ts";
import type { ReceivedReport } from "../reports/report-exchange.ts";

/** By name. */
export function membersOf(inputs: StatusInputs, holder: string | undefined): readonly MemberStatus[] {
  return [...inputs.members].sort(byName).map((member) => rowOf(member, inputs, holder));
}

function rowOf(member: Member, inputs: StatusInputs, holder: string | undefined): MemberStatus {
  const { node, coordinator, now, heardAt } = inputs;
  const isSelf = member.id === node;
  const isGone = member.state === "dead" || member.state === "left";
  const heard = isSelf || member.state === "alive" ? undefined : heardAt(member.id);
  const report = isGone ? undefined : isSelf ? inputs.ownReport : inputs.reportOf(member.id);
  // The last word of a node that is gone still counts its clients, but they went with it.
  const clients = isSelf ? inputs.clients : isGone ? 0 : member.clients;
  return {
    id: member.id,
    name: member.name,
    state: member.state,
    role: isSelf ? coordinator.role : roleOf(member, coordinator),
    hasReplica: isSelf ? coordinator.cluster !== undefined : hasReplica(member, coordinator),
    clients,
    address: member.address,
    holdsAddress: member.id === holder,
    isWired: member.isWired ?? null,
    isRelayed: member.isRelayed,
    relay: member.relay ?? null,
    rttMs: member.rttMs === undefined ? null : Math.round(member.rttMs * 10) / 10,
    unheardMs: heard === undefined ? null : Math.round(now - heard),
    uptimeMs: member.uptimeMs,
    version: report?.version ?? null,
    memoryBytes: report?.memoryBytes ?? null,
    messagesPerSecond: report?.messagesPerSecond ?? null,
    clockOffsetMs: isSelf ? 0 : ((report as ReceivedReport | undefined)?.clockOffsetMs ?? null),
    lagEntries: isGone ? null : lagOf(member.id, inputs),
    isDiverged: isSelf ? coordinator.isDiverged : (report?.isDiverged ?? false),
    addressProblem: problemOf(member.id, report, inputs),
  };
}

/**
 * The log knows who votes and who leads. What gossip says of a node is about the cluster that it belongs to, which may be another
 * one, or about the one that it has left; it counts only as long as this node has no log.
 */
function roleOf(member: Member, coordinator: CoordinatorStatus): MemberStatus["role"] {
  if (member.id === coordinator.coordinator) return "leader";
  if (coordinator.voters.includes(member.id)) return "voter";
  if (coordinator.learners.includes(member.id)) return "learner";
  if (coordinator.voters.length > 0) return "learner";
  return member.role === "leader" ? "voter" : member.role;
}

/** It says so, or the log does before it knows. */
function hasReplica({ id, cluster }: Member, { voters, learners }: CoordinatorStatus): boolean {
  return cluster !== undefined || voters.includes(id) || learners.includes(id);
}

/** What the coordinator says: itself now, or in its last report. It lacks nothing. */
function lagOf(id: NodeId, { node, coordinator, lags, reportOf }: StatusInputs): number | null {
  const leader = coordinator.coordinator;
  if (leader === undefined) return null;
  if (id === leader) return 0;
  if (leader === node) return lags.get(id) ?? null;
  const reported = reportOf(leader)?.lags;
  const isReplica = coordinator.voters.includes(id) || coordinator.learners.includes(id);
  return reported === undefined || !isReplica ? null : (reported[id] ?? 0);
}

function problemOf(
  id: NodeId,
  report: NodeReport | undefined,
  { node, floatingAddress }: StatusInputs,
): string | null {
  if (id === node) return floatingAddress?.problem ?? null;
  return report === undefined || report.addressProblem === "" ? null : report.addressProblem;
}

function byName(a: Member, b: Member): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
