/**
 * Nodes that are not what they were: another name, another address, or back without their data.
 *
 * The mesh goes by identities, so none of this disturbs it. It disturbs people: a client configured with an address that moved, a
 * command that names a node by its old name, and a member that will never come back because its directory was wiped and its
 * machine is another node now. That one still counts where votes are counted, so it must be forgotten.
 *
 * Source: reference/users.md 5.5; reference/design.md 1.3 (an identity is bound to its data directory).
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { Member } from "@skein/mesh";
import type { Note } from "./note.ts";

/** A change is news for so long. */
const NEWS_MS = 3_600_000;
/** Addresses kept of each node: one with cable and Wi-Fi, IPv4 and IPv6 has four. */
const HOSTS_MAX = 8;
/** Starts and last words are known to about a second. */
const SAME_MOMENT_MS = 2000;

export interface NodesView {
  readonly self: NodeId;
  readonly members: readonly Member[];
  /** Members of the cluster, as the log says. */
  readonly configured: readonly NodeId[];
  readonly now: MonotonicMs;
  readonly heardAt: (node: NodeId) => MonotonicMs | undefined;
  /** The name that a node had last, also before this node started. */
  readonly nameOf: (node: NodeId) => string | undefined;
  /** The one before that, and since when it has another. */
  readonly renamed: (node: NodeId) => { readonly from: string; readonly at: MonotonicMs } | undefined;
  /** Who came back as whom, as other nodes see it. */
  readonly told: readonly Readonly<Record<string, string>>[];
}

interface Move {
  readonly from: string;
  readonly to: string;
  readonly at: MonotonicMs;
}

export class ChangedNodes {
  /** `host:port` that the operator told this node to dial. */
  readonly #peers: readonly string[];
  /** Where each node was seen, the newest last. */
  readonly #addresses = new Map<NodeId, string[]>();
  readonly #moves = new Map<NodeId, Move>();

  constructor(peers: readonly string[]) {
    this.#peers = peers;
  }

  /** The member list may have changed. */
  observe(members: readonly Member[], now: MonotonicMs): void {
    for (const { id, address } of members) {
      if (address === "") continue;
      const known = this.#addresses.get(id) ?? [];
      const from = known.at(-1);
      if (from === address) continue;
      const isNew = !known.some((one) => hostOf(one) === hostOf(address));
      this.#addresses.set(id, [...known.filter((one) => one !== address), address].slice(-HOSTS_MAX));
      if (from !== undefined && isNew) this.#moves.set(id, { from, to: address, at: now });
    }
    const listed = new Set(members.map(({ id }) => id));
    for (const id of this.#addresses.keys()) if (!listed.has(id)) this.#addresses.delete(id);
    for (const [id, { at }] of this.#moves) if (now - at >= NEWS_MS) this.#moves.delete(id);
  }

  notes(view: NodesView): readonly Note[] {
    return [
      ...returnedNotes(view),
      ...view.members.flatMap((member) => [...renamedNotes(member, view), ...this.#movedNotes(member)]),
    ];
  }

  #movedNotes({ id, name, state }: Member): readonly Note[] {
    const move = this.#moves.get(id);
    if (move === undefined || state !== "alive") return [];
    const { from, to } = move;
    const isConfigured = this.#peers.includes(from);
    const next = isConfigured
      ? `Change --peer ${from} of this node to ${to}.`
      : "Clients that use its old address need the new one, or the floating address. A fixed address in the router prevents this.";
    const text = `${name} has another address: ${hostOf(to)}, was ${hostOf(from)}. The mesh follows by itself. ${next}`;
    return [{ subject: `moved ${id} ${to}`, text }];
  }
}

/** By the id of the one that is gone: who is in its place. */
export function successorsIn(view: NodesView): ReadonlyMap<NodeId, Member> {
  const { members, configured, now, heardAt, nameOf } = view;
  const found = new Map<NodeId, Member>();
  for (const id of configured) {
    const old = members.find((member) => member.id === id);
    const name = old?.name ?? nameOf(id);
    if (name === undefined || id === view.self || isThere(old)) continue;
    const goneMs = now - (heardAt(id) ?? Number.NEGATIVE_INFINITY);
    const successor = members.find((member) => {
      // Two of one name at the same time were two nodes from the beginning.
      const isLater = member.uptimeMs <= goneMs + SAME_MOMENT_MS;
      return member.id !== id && member.name === name && isThere(member) && isLater;
    });
    if (successor !== undefined) found.set(id, successor);
  }
  return found;
}

function returnedNotes(view: NodesView): readonly Note[] {
  const { self, configured, members, told } = view;
  const isStill = (id: string): boolean => configured.some((one) => one === id);
  const own = told.flatMap((returned) =>
    Object.entries(returned).flatMap(([old, successor]) => (successor === self && isStill(old) ? [old] : [])),
  );
  const ownNotes = [...new Set(own)].map((old) => ({
    subject: `returned ${old}`,
    text: `This node came back without its data and is a new node now (wiped data directory, or a new SD card?). ${entryOf(old)}`,
  }));
  const others = [...successorsIn(view)].map(([old, { name, machine }]) => {
    const before = members.find(({ id }) => id === old)?.machine ?? "";
    const isOther = before !== "" && machine !== "" && before !== machine;
    const what = isOther
      ? `Another machine is called ${name} now, and is a new node.`
      : `${name} came back without its data and is a new node now (wiped data directory, or a new SD card?).`;
    return { subject: `returned ${old}`, text: `${what} ${entryOf(old)}` };
  });
  return [...ownNotes, ...others];
}

function entryOf(old: string): string {
  return `Its old entry still counts as a member that is away: skein forget ${old}`;
}

function renamedNotes({ id, name }: Member, { self, now, renamed }: NodesView): readonly Note[] {
  const change = renamed(id);
  if (change === undefined || now - change.at >= NEWS_MS) return [];
  const { from } = change;
  const text =
    id === self
      ? `This node is called ${name} now, was ${from} (renamed host?). It is the same node for the mesh. To keep the old name: --name ${from}`
      : `${name} was called ${from} before. It is the same node for the mesh; commands and --peer that name ${from} want the new name. To keep the old one: --name ${from} on ${name}`;
  return [{ subject: `renamed ${id} ${name}`, text }];
}

function isThere(member: Member | undefined): boolean {
  return member?.state === "alive" || member?.state === "suspect";
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "");
}
