/**
 * What a node tells under `$SYS/mesh/`: its mesh as it sees it, for clients that know MQTT and nothing of HTTP.
 *
 * Made from the status document, so that both say the same. Times are in the form of mosquitto's uptime.
 */

import type { MemberStatus, NodeStatus } from "../node-status.ts";

type Visit = (name: string, value: string | number) => void;

export function meshTopics(status: NodeStatus, visit: Visit): void {
  const tell: Visit = (name, value) => visit(`mesh/${name}`, value);
  const { members, vip } = status;
  const levels = levelsOf(members);
  const nameOf = (id: string | null): string => (id === null ? "" : (levels.get(id) ?? id));
  const alive = members.filter(({ state }) => state === "alive");
  tell("name", status.mesh);
  tell("self", nameOf(status.node));
  tell("health", status.health);
  tell("headline", status.headline);
  tell("quorum", String(status.quorum));
  tell("coordinator", nameOf(status.coordinator));
  tell("synced", String(status.isInSync));
  tell("conflicts", status.conflicts);
  tell("conflicts/dropped", status.droppedConflicts);
  if (vip.address !== null) {
    tell("address", vip.address);
    tell("address/holder", nameOf(vip.holder));
  }
  tell("nodes/total", members.length);
  tell("nodes/alive", alive.length);
  tell("clients/connected", sum(alive));
  tell("retained messages/count", status.retained);
  tell("queues/full", status.fullQueues.length);
  tell(
    "queues/passed",
    status.fullQueues.reduce((total, { passed }) => total + passed, 0),
  );
  for (const [part, counters] of Object.entries(status.counters))
    for (const [name, count] of Object.entries(counters)) tell(`counters/${part}/${name}`, count as number);
  for (const member of members) {
    memberTopics(member, (name, value) => tell(`node/${levels.get(member.id) ?? member.id}/${name}`, value));
  }
}

function memberTopics(member: MemberStatus, tell: Visit): void {
  tell("id", member.id);
  tell("state", member.state);
  tell("role", member.role);
  tell("clients/connected", member.clients);
  tell("uptime", `${Math.floor(member.uptimeMs / 1000)} seconds`);
  if (member.version !== null) tell("version", member.version);
  if (member.memoryBytes !== null) tell("heap/current", member.memoryBytes);
}

function sum(members: readonly MemberStatus[]): number {
  return members.reduce((total, { clients }) => total + clients, 0);
}

/** What each node is called in a topic: its name, as far as one level can hold it, with the id behind where two have the same. */
function levelsOf(members: readonly MemberStatus[]): ReadonlyMap<string, string> {
  const plain = members.map(({ id, name }) => ({ id, level: name.replace(/[/+#\p{C}]/gu, "_") }));
  const isShared = (level: string): boolean => plain.filter((other) => other.level === level).length > 1;
  return new Map(plain.map(({ id, level }) => [id, isShared(level) ? `${level}-${id}` : level]));
}
