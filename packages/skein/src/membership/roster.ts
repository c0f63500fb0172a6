/**
 * Who belongs to the mesh, what part each node has, and what to do about those that are gone: `skein members`.
 *
 * Two lists meet here. The configuration in the log says who is a member; the member list says who is alive. A member that is
 * not alive still counts until it leaves or is forgotten, so each of those rows comes with the command that helps. Who left or
 * was forgotten is in neither.
 */

import type { CoordinatorStatus } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import type { Member } from "@skein/mesh";

export interface RosterRow {
  readonly id: string;
  readonly name: string;
  readonly role: "coordinator" | "voter" | "learner" | "joining";
  /** `unseen`: this node has not heard of it since it started. */
  readonly state: "alive" | "suspect" | "dead" | "left" | "unseen";
  readonly isThisNode: boolean;
  /** Nodes with the same text share a machine; empty: unknown. */
  readonly machine: string;
  /** Null: unknown. */
  readonly isWired: boolean | null;
  /** How long its process has been running; null: it is not, or that is unknown. */
  readonly upForMs: number | null;
  /** The command that helps; null: all is well. */
  readonly next: string | null;
}

export function rosterOf(
  self: string,
  { coordinator, voters, learners, hasQuorum }: CoordinatorStatus,
  members: readonly Member[],
  nameOf: (node: NodeId) => string | undefined,
): readonly RosterRow[] {
  const configured = new Set<NodeId>([...voters, ...learners]);
  const byId = new Map(members.map((member) => [member.id, member]));
  const joining = members.filter(
    ({ id, state }) => !configured.has(id) && state !== "dead" && state !== "left",
  );
  const rows = [...configured, ...joining.map(({ id }) => id)].map((id): RosterRow => {
    const member = byId.get(id);
    const name = member?.name ?? nameOf(id) ?? `node ${id}`;
    const state = member?.state ?? "unseen";
    const isUp = state === "alive" || state === "suspect";
    const role = id === coordinator ? "coordinator" : voters.includes(id) ? "voter" : "learner";
    return {
      id,
      name,
      role: configured.has(id) ? role : "joining",
      state,
      isThisNode: id === self,
      machine: member?.machine ?? "",
      isWired: member?.isWired ?? null,
      upForMs: isUp && member !== undefined && member.uptimeMs > 0 ? Math.round(member.uptimeMs) : null,
      next: isUp || !configured.has(id) ? null : nextFor(name, id, members, role === "voter" && !hasQuorum),
    };
  });
  return rows.sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1));
}

function nextFor(name: string, id: string, members: readonly Member[], isNeeded: boolean): string {
  const isAmbiguous = members.filter((member) => member.name === name && member.id !== id).length > 0;
  const command = `skein forget ${isAmbiguous || name.includes(" ") ? id : name}`;
  return isNeeded
    ? `the mesh waits for it; if it never comes back: ${command}`
    : `if it never comes back: ${command}`;
}
