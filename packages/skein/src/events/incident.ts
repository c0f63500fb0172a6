/**
 * One outage while it goes on: who is gone, who took over, which of the clients are back.
 *
 * What it is called follows from what it has become: the election of the wired profile is over before the silent coordinator
 * counts as suspect, so an election may turn out to be a fail-over. It starts when the lost node was heard last; where its
 * connections closed, at that moment.
 *
 * Clients are counted over the whole mesh (also those that come back to another node): how many more the remaining
 * nodes have than at the start, up to the number that the lost ones had.
 */

import type { EventCause, EventKind, EventNode } from "./mesh-event.ts";
import type { MeshView, ViewedMember } from "./mesh-view.ts";

/** Clients with a keep-alive of 60 s notice within 90 s; then nobody else is expected. */
const CLIENTS_AWAITED_MS = 120_000;
/** A gap without coordinator that a hand-over in order does not exceed. */
const HANDOVER_GAP_MS = 1000;
/** Clients are reset within this time of a move in order. */
const MOVE_MS = 2000;

/** Who served how many clients at the start: a moment before, and at most in the seconds before. */
export type ClientCounts = ReadonlyMap<string, { readonly last: number; readonly peak: number }>;

const NO_CLIENTS = { last: 0, peak: 0 };

interface LostNode extends EventNode {
  readonly how: "silent" | "ended" | "stopped";
  isBack: boolean;
}

export class Incident {
  readonly id: string;
  startedAt: number;
  /** When the loss of a node was noticed last. */
  lastLossAt = Number.NEGATIVE_INFINITY;
  /** Started by the loss of a node or by a change of coordinator; either is found out later too. */
  readonly lost = new Map<string, LostNode>();
  readonly coordinatorBefore: EventNode | undefined;
  readonly holderBefore: EventNode | undefined;
  coordinator: EventNode | undefined;
  holder: EventNode | undefined;
  coordinatorAfterMs: number | null = null;
  addressAfterMs: number | null = null;
  clientsBefore = 0;
  clientsBack = 0;
  firstClientAfterMs: number | null = null;
  clients95AfterMs: number | null = null;
  lastClientAfterMs: number | null = null;
  returnedAfterMs: number | null = null;
  isOver = false;
  readonly #clients: ClientCounts;
  #quorumLostAt: number | undefined;
  #gapMs = 0;
  #hasLostHolder = false;
  #isConfirmed = false;

  constructor(id: string, before: MeshView, clients: ClientCounts, now: number) {
    this.id = id;
    this.startedAt = now;
    this.#clients = clients;
    this.coordinatorBefore = nodeOf(before, before.coordinator);
    this.holderBefore = nodeOf(before, before.holder);
  }

  /** It was no blip: a node is really gone, or somebody else took over, or nobody can. */
  get isConfirmed(): boolean {
    return this.#isConfirmed;
  }

  get isPlanned(): boolean {
    return [...this.lost.values()].every(({ how }) => how === "stopped");
  }

  get kind(): EventKind {
    const { size } = this.lost;
    const isCentral = this.#lostIs(this.coordinatorBefore) || this.#lostIs(this.holderBefore);
    if (size === 0) return this.#gapMs > HANDOVER_GAP_MS ? "election" : "handover";
    if (this.isPlanned) return isCentral ? "handover" : "leave";
    if (size > 1) return "partition";
    return isCentral ? "failover" : "loss";
  }

  get cause(): EventCause {
    if (this.lost.size === 0) return this.kind === "handover" ? "moved" : "unheard";
    const hows = new Set([...this.lost.values()].map(({ how }) => how));
    return hows.has("silent") ? "silent" : hows.has("ended") ? "ended" : "stopped";
  }

  /** `member` is gone, or its silence is noticed. */
  lose(member: ViewedMember, now: number): void {
    const how = member.state === "left" ? "stopped" : member.isLinked ? "silent" : "ended";
    const { id, name, heardAt } = member;
    this.lastLossAt = now;
    this.lost.set(id, { id, name, how, isBack: false });
    const at = how === "silent" && heardAt !== undefined ? Math.min(heardAt, now) : now;
    // What was taken for the start (the election) was only what followed from this.
    if (at < this.startedAt) this.#startAt(at);
  }

  /** Looks at the mesh again. */
  observe(view: MeshView, now: number): void {
    this.#observeQuorum(view, now);
    this.#observeCoordinator(view, now);
    this.#observeHolder(view, now);
    this.#observeMembers(view, now);
    if (!this.isOver) this.#observeClients(view, now);
    if (!this.isOver && this.#isSettled(view, now)) this.isOver = true;
  }

  #startAt(at: number): void {
    const earlier = this.startedAt - at;
    this.startedAt = at;
    for (const time of TIMES) {
      const value = this[time];
      if (value !== null) this[time] = value + earlier;
    }
  }

  #observeQuorum(view: MeshView, now: number): void {
    if (!view.hasQuorum) this.#quorumLostAt ??= now;
    else if (this.#quorumLostAt !== undefined) {
      this.#gapMs = Math.max(this.#gapMs, now - this.#quorumLostAt);
      this.#quorumLostAt = undefined;
    }
    const gapMs = this.#quorumLostAt === undefined ? 0 : now - this.#quorumLostAt;
    if (gapMs > HANDOVER_GAP_MS) {
      this.#gapMs = Math.max(this.#gapMs, gapMs);
      this.#isConfirmed = true;
    }
  }

  #observeCoordinator(view: MeshView, now: number): void {
    if (this.coordinatorAfterMs !== null || !view.hasQuorum || view.coordinator === undefined) return;
    const isSame = view.coordinator === this.coordinatorBefore?.id;
    // The former one counts as found again only after it was missed.
    if (isSame && (this.#gapMs === 0 || this.lost.has(view.coordinator))) return;
    this.coordinator = nodeOf(view, view.coordinator);
    this.coordinatorAfterMs = now - this.startedAt;
    this.#isConfirmed = true;
  }

  #observeHolder(view: MeshView, now: number): void {
    if (!view.hasAddress || this.holderBefore === undefined) return;
    const { holder } = view;
    if (holder !== this.holderBefore.id) this.#hasLostHolder = true;
    if (this.addressAfterMs !== null || holder === undefined || !this.#hasLostHolder) return;
    this.holder = nodeOf(view, holder);
    this.addressAfterMs = now - this.startedAt;
    this.#isConfirmed = true;
  }

  #observeMembers(view: MeshView, now: number): void {
    for (const { id, state } of view.members) {
      const lost = this.lost.get(id);
      if (lost === undefined) continue;
      lost.isBack = state === "alive";
      if (state === "dead" || state === "left") this.#isConfirmed = true;
    }
    const areBack = this.lost.size > 0 && [...this.lost.values()].every(({ isBack }) => isBack);
    if (areBack && this.#isConfirmed) this.returnedAfterMs ??= now - this.startedAt;
  }

  #observeClients(view: MeshView, now: number): void {
    const { from } = this;
    const isMove = from !== undefined && this.lost.size === 0;
    let back = 0;
    let before = 0;
    for (const { id, clients, state } of view.members) {
      const { last, peak } = this.#clients.get(id) ?? NO_CLIENTS;
      const lost = this.lost.get(id);
      // Only who stops in order resets its clients before its last word; whoever went earlier left for another reason.
      if (lost !== undefined) before += lost.how === "stopped" ? peak : last;
      else if (isMove && id === from.id) before += Math.max(0, peak - clients);
      else if (state === "alive") back += clients - last;
    }
    // Whoever was moved while its node goes on is known once the node has reset them. What was taken for a move may turn out to be
    // a loss: who was counted as back stays counted.
    if (!isMove) this.clientsBefore = Math.max(before, this.clientsBack);
    else if (now - this.startedAt < MOVE_MS) this.clientsBefore = Math.max(this.clientsBefore, before);
    this.#clientsAreBack(Math.min(back, this.clientsBefore), now - this.startedAt);
  }

  #clientsAreBack(back: number, afterMs: number): void {
    if (back <= this.clientsBack) return;
    this.clientsBack = back;
    this.firstClientAfterMs ??= afterMs;
    this.lastClientAfterMs = afterMs;
    if (back >= Math.ceil(this.clientsBefore * 0.95)) this.clients95AfterMs ??= afterMs;
  }

  #isSettled(view: MeshView, now: number): boolean {
    if (!view.hasQuorum) return false;
    const age = now - this.startedAt;
    if (age >= CLIENTS_AWAITED_MS) return true;
    const isCentral = ["failover", "handover", "election", "partition"].includes(this.kind);
    if (isCentral && view.hasAddress && this.#hasLostHolder && this.addressAfterMs === null) return false;
    if (this.kind === "failover" && this.coordinatorAfterMs === null) return false;
    if (age < MOVE_MS) return false;
    return this.#isConfirmed && this.clientsBack >= this.clientsBefore;
  }

  get from(): EventNode | undefined {
    return this.holderBefore ?? this.coordinatorBefore;
  }

  get to(): EventNode | undefined {
    return this.holder ?? this.coordinator;
  }

  #lostIs(node: EventNode | undefined): boolean {
    return node !== undefined && this.lost.has(node.id);
  }
}

const TIMES = [
  "coordinatorAfterMs",
  "addressAfterMs",
  "firstClientAfterMs",
  "clients95AfterMs",
  "lastClientAfterMs",
  "returnedAfterMs",
] as const;

export function nodeOf(view: MeshView, id: string | undefined): EventNode | undefined {
  if (id === undefined) return undefined;
  return { id, name: view.members.find((member) => member.id === id)?.name ?? id };
}
