/** The page that `skein status` shows. */

import { formatTable } from "../cli/table.ts";
import type { MemberStatus, NodeStatus } from "../node-status.ts";
import { lastedFor } from "./durations.ts";

export function formatStatus(status: NodeStatus): string {
  return [
    summaryOf(status),
    `  ${status.headline}`,
    ...(status.reasons.length > 1 ? status.reasons.map((reason) => `  ! ${reason}`) : []),
    formatMembers(status),
    ...ifFails(status),
    ...status.notes.map((note) => `  note: ${note}`),
  ].join("\n");
}

function formatMembers(status: NodeStatus): string {
  return formatTable(status.members.map((member) => [`  ${member.name}`, ...cellsOf(member, status)]));
}

/** `MESH home   healthy   2/2 nodes   VIP 192.168.1.250 on pi1   clients 31   retained 214 (in sync)`. */
function summaryOf(status: NodeStatus): string {
  const { vip, members } = status;
  const expected = members.filter(({ state }) => state !== "left");
  const alive = expected.filter(({ state }) => state === "alive");
  return [
    `MESH ${status.mesh}`,
    status.health,
    `${alive.length}/${expected.length} nodes`,
    ...(vip.address === null
      ? []
      : [`VIP ${vip.address} on ${nameOf(status, vip.holder)}${since(vip.heldForMs)}`]),
    `clients ${members.reduce((sum, { clients }) => sum + clients, 0)}`,
    `retained ${status.retained} (${status.isInSync ? "in sync" : "not in sync"})`,
  ].join("   ");
}

function cellsOf(member: MemberStatus, status: NodeStatus): readonly string[] {
  const isSelf = member.id === status.node;
  const host = isSelf ? "this node" : hostOf(member.address);
  const network = member.isWired === null ? "" : member.isWired ? "wired" : "Wi-Fi";
  const role = roleOf(member, status);
  if (member.unheardMs !== null && member.state !== "left")
    return [role, host, network, "", "", "", "", "", `last seen ${lastedFor(member.unheardMs)} ago`];
  if (member.state === "left") return [role, host, network, "", "", "", "", "", "stopped"];
  return [
    role,
    host,
    network,
    `${member.clients} clients`,
    unless(member.messagesPerSecond, (rate) => `${rate} msg/s`),
    unless(member.memoryBytes === 0 ? null : member.memoryBytes, (bytes) => `${Math.round(bytes / 1e6)} MB`),
    isSelf ? "" : unless(member.clockOffsetMs, (offset) => `clock ${signed(offset)} s`),
    replica(member),
    links(member, status),
  ];
}

function roleOf(member: MemberStatus, status: NodeStatus): string {
  if (member.state === "dead" || member.state === "left") return member.state;
  if (member.state === "suspect") return "silent";
  if (member.id === status.coordinator) return "coordinator";
  if (!member.hasReplica) return "no replica";
  return member.role === "voter" ? "voter" : "ready";
}

function links({ rttMs, isRelayed, relay }: MemberStatus, status: NodeStatus): string {
  if (isRelayed) return `relayed by ${nameOf(status, relay)}`;
  return rttMs === null ? "" : `rtt ${rttMs.toFixed(1)} ms`;
}

/** Empty: nobody who would know has said. */
function replica({ lagEntries, isDiverged, hasReplica }: MemberStatus): string {
  if (isDiverged) return "data differs";
  if (!hasReplica || lagEntries === null) return "";
  if (lagEntries === 0) return "in sync";
  return lagEntries === 1 ? "1 entry behind" : `${lagEntries} entries behind`;
}

function ifFails({ ifFails }: NodeStatus): readonly string[] {
  if (ifFails.length < 2) return [];
  return ["  If one fails now:", formatTable(ifFails.map(({ name, text }) => [`    ${name}`, text]))];
}

function since(heldForMs: number | null): string {
  return heldForMs === null ? "" : ` for ${lastedFor(heldForMs)}`;
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}

function nameOf(status: NodeStatus, id: string | null): string {
  return status.members.find((member) => member.id === id)?.name ?? "nobody";
}

function unless<Value>(value: Value | null, format: (value: Value) => string): string {
  return value === null ? "" : format(value);
}

function signed(ms: number): string {
  const seconds = (Math.abs(ms) / 1000).toFixed(2);
  return `${ms < 0 && seconds !== "0.00" ? "-" : "+"}${seconds}`;
}
