/**
 * Waits until every node in reach has applied what this one has: a SUBACK of a kept session means that whoever publishes
 * anywhere finds the subscription in its replica (P4).
 *
 * Asks each peer to say when it has come to a log index; of all that are asked in one turn only the highest matters. A peer that
 * is suspected is waited for 250 ms, one that is gone not at all, and no peer longer than 2 s: the late ones are counted.
 *
 * Source: architecture.md section 4 (SUBACK barrier).
 */

import type { Clock, MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";

const SUSPECT_WAIT_MS = 250;
const WAIT_MAX_MS = 2000;

export interface ApplyBarrierPorts {
  readonly clock: Clock;
  /** Those with a replica of this cluster, this node itself not among them. */
  readonly peers: () => readonly PeerView[];
  /** Asks `to` to answer when it has applied the entry `index`. */
  readonly ask: (to: NodeId, index: number) => void;
  readonly answer: (to: NodeId, index: number) => void;
  readonly appliedIndex: () => number;
}

interface Wait {
  readonly index: number;
  readonly since: MonotonicMs;
  readonly then: () => void;
  readonly open: Set<NodeId>;
}

export class ApplyBarrier {
  readonly #ports: ApplyBarrierPorts;
  /** Of the turn under way: nobody has been asked yet. */
  #fresh: Wait[] = [];
  #waits: Wait[] = [];
  /** What peers wait for. */
  #asked: { readonly from: NodeId; readonly index: number }[] = [];
  #late = 0;

  constructor(ports: ApplyBarrierPorts) {
    this.#ports = ports;
  }

  /** Waits that were given up. */
  get late(): number {
    return this.#late;
  }

  /** Calls `then` when all have applied what is applied here now; never before this returns. */
  wait(then: () => void): void {
    const { clock, appliedIndex } = this.#ports;
    this.#fresh.push({ index: appliedIndex(), since: clock.monotonicMs(), then, open: new Set() });
    if (this.#fresh.length === 1) clock.atTurnEnd(() => this.#ask());
  }

  /** `from` has applied everything up to `index`. */
  reached(from: NodeId, index: number): void {
    for (const wait of this.#waits) if (wait.index <= index) wait.open.delete(from);
    this.#settle();
  }

  /** `from` wants to know when this node has applied the entry `index`. */
  asked(from: NodeId, index: number): void {
    if (this.#ports.appliedIndex() >= index) this.#ports.answer(from, index);
    else this.#asked.push({ from, index });
  }

  /** Entries have been applied here. */
  applied(): void {
    if (this.#asked.length === 0) return;
    const applied = this.#ports.appliedIndex();
    const due = this.#asked.filter(({ index }) => index <= applied);
    this.#asked = this.#asked.filter(({ index }) => index > applied);
    for (const { from, index } of due) this.#ports.answer(from, index);
  }

  /** Who is there has changed, or time has passed. */
  tick(now: MonotonicMs): void {
    if (this.#waits.length === 0) return;
    const states = new Map(this.#ports.peers().map((peer) => [peer.id, stateOf(peer)]));
    for (const { since, open } of this.#waits) {
      for (const peer of open) {
        const state = states.get(peer);
        const patience = state === "alive" ? WAIT_MAX_MS : state === "suspect" ? SUSPECT_WAIT_MS : 0;
        if (now - since < patience) continue;
        open.delete(peer);
        if (patience > 0) this.#late++;
      }
    }
    this.#settle();
  }

  #ask(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    const peers = this.#ports.peers().filter((peer) => stateOf(peer) !== "gone");
    const highest = Math.max(...fresh.map(({ index }) => index));
    for (const { open } of fresh) for (const { id } of peers) open.add(id);
    this.#waits.push(...fresh);
    for (const { id } of peers) this.#ports.ask(id, highest);
    this.#settle();
  }

  #settle(): void {
    const over = this.#waits.filter(({ open }) => open.size === 0);
    if (over.length === 0) return;
    this.#waits = this.#waits.filter(({ open }) => open.size > 0);
    for (const { then } of over) then();
  }
}

function stateOf({ state, isLinked }: PeerView): "alive" | "suspect" | "gone" {
  if (state === "suspect") return "suspect";
  return state === "alive" && isLinked ? "alive" : "gone";
}
