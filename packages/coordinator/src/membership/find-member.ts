/** Which node an operator means: by its id, by its name, and of several with one name the one that is gone. */

import type { NodeId } from "@skein/kernel";
import type { CoordinatorStatus, PeerView } from "../options.ts";
import type { KnownNodes } from "./known-nodes.ts";

type FoundMember =
  | { readonly node: NodeId; readonly error?: undefined }
  | { readonly node: undefined; readonly error: string };

export function findMember(
  nameOrId: string,
  { voters, learners, electionWait }: CoordinatorStatus,
  peers: readonly PeerView[],
  known: KnownNodes,
): FoundMember {
  const states = new Map(peers.map(({ id, state }) => [id, state]));
  // Whom this node waits for its log may not name, where it is damaged.
  const awaited = electionWait?.voters.map(({ id }) => id) ?? [];
  const found = [...new Set([...voters, ...learners, ...awaited])].filter(
    (node) => node === nameOrId || known.nameOf(node) === nameOrId,
  );
  const away = found.filter((node) => !["alive", "suspect"].includes(states.get(node) ?? "dead"));
  const [node, another] = away.length > 0 ? away : found;
  if (node === undefined)
    return { node, error: `No member of this mesh has the name or id "${nameOrId}". See: skein members` };
  if (another === undefined) return { node };
  const ids = (away.length > 0 ? away : found).join(" and ");
  return { node: undefined, error: `Several members are named "${nameOrId}". Give the id instead: ${ids}` };
}
