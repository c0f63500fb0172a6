/**
 * Waits until every node in reach has applied what this one has: a SUBACK of a kept session means that whoever publishes
 * anywhere finds the subscription in its replica (P4).
 *
 * Asks each peer to say when it has come to a log index; of all that are asked in one turn only the highest matters. A peer that
 * is suspected is waited for 250 ms, one that is gone not at all. One that is there and lags gets what it lacks from the next leader at the
 * latest, so it is waited for until an election is over: meanwhile it acknowledges what its replica says that nobody wants. If that was in vain (its disk
 * is full), it is waited for no longer than a suspect until it has come there. The late ones are counted.
 *
 * Source: architecture.md section 4 (SUBACK barrier).
 */

import type { Clock, MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";

const SUSPECT_WAIT_MS = 250;
/** A question may be lost with a link or a process. */
const ASK_AGAIN_MS = 1000;
/** An election takes 4.8 s at most (timing.ts). */
const WAIT_MAX_MS = 6000;

export interface ApplyBarrierPorts {
  readonly clock: Clock;
  /** Those with a replica of this cluster, this node itself not among them. */
  readonly peers: () => readonly PeerView[];
  /** Asks `to` to answer when it has applied the entry `index`. */
  readonly ask: (to: NodeId, index: number) => void;
  readonly answer: (to: NodeId, index: number) => void;
  readonly appliedIndex: () => number;
}

type PeerState = "alive" | "suspect" | "gone";

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
  /** Peers that were there and waited for in vain, and where they had to come. */
  readonly #behind = new Map<NodeId, number>();
  #late = 0;
  #askedAt = 0;

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
    if (index >= (this.#behind.get(from) ?? 0)) this.#behind.delete(from);
    for (const wait of this.#waits) if (wait.index <= index) wait.open.delete(from);
    this.#settle();
  }

  /** `from` wants to know when this node has applied the entry `index`. */
  asked(from: NodeId, index: number): void {
    if (this.#ports.appliedIndex() >= index) this.#ports.answer(from, index);
    else if (!this.#asked.some((each) => each.from === from && each.index === index))
      this.#asked.push({ from, index });
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
    for (const { index, since, open } of this.#waits) {
      for (const peer of open) {
        const state = states.get(peer) ?? "gone";
        if (now - since < this.#patienceMs(peer, state)) continue;
        open.delete(peer);
        if (state === "gone") continue;
        this.#late++;
        if (state === "alive") this.#behind.set(peer, Math.max(index, this.#behind.get(peer) ?? 0));
      }
    }
    this.#settle();
    if (now - this.#askedAt >= ASK_AGAIN_MS) this.#askAgain(now);
  }

  /** For the newest of all, and for the oldest, which may be over sooner. */
  #askAgain(now: MonotonicMs): void {
    this.#askedAt = now;
    const [oldest, newest] = [this.#waits.at(0), this.#waits.at(-1)];
    for (const wait of new Set([oldest, newest]))
      for (const peer of wait?.open ?? []) this.#ports.ask(peer, wait?.index ?? 0);
  }

  #patienceMs(peer: NodeId, state: PeerState): number {
    if (state === "gone") return 0;
    return state === "suspect" || this.#behind.has(peer) ? SUSPECT_WAIT_MS : WAIT_MAX_MS;
  }

  #ask(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    const peers = this.#ports.peers().filter((peer) => stateOf(peer) !== "gone");
    const highest = Math.max(...fresh.map(({ index }) => index));
    for (const { open } of fresh) for (const { id } of peers) open.add(id);
    this.#waits.push(...fresh);
    this.#askedAt = this.#ports.clock.monotonicMs();
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

function stateOf({ state, isLinked }: PeerView): PeerState {
  if (state === "suspect") return "suspect";
  return state === "alive" && isLinked ? "alive" : "gone";
}
