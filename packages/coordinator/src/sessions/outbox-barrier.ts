/**
 * Waits until what other nodes have acknowledged on their own is in the log: a client that comes from a node without a quorum to one with a
 * quorum must not be given what it has, nor the newer before the older.
 *
 * Another node can have something in its outbox only where this one has not heard of it for a while: a link to it is new, this node has got
 * its quorum back, or this process has stood still. Then every peer that may have is asked at once, and answers when all that it had
 * proposed by then has come back through the log, and what followed from that: a message that a client has had early gets its place in the queue from
 * the log, and only then can be acknowledged there. A claim that is made after that comes behind it in the log, so what that node's clients
 * have acknowledged to it counts, and so do its own claims, which are older. A node without a quorum that finds a link waits for the quorum as well,
 * which the link most likely brings. Nobody waits longer than a second, and nobody where nothing has happened.
 *
 * Source: architecture.md section 5 (without quorum).
 */

import type { Clock, MonotonicMs, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";

/** With the tick of the coordinator, which looks four times a second, nobody waits longer than a second. */
const PATIENCE_MS = 750;
/** A gap from which on this process must have stood still, and others may have taken it for gone. A node goes on by itself after five seconds. */
const STALL_MS = 2000;

export interface OutboxBarrierPorts {
  readonly clock: Clock;
  /** Those with a replica of this cluster, this node itself not among them. */
  readonly peers: () => readonly PeerView[];
  readonly hasQuorum: () => boolean;
  /** Asks `to` to answer when its outbox is in the log. */
  readonly ask: (to: NodeId, request: number) => void;
  readonly answer: (to: NodeId, request: number) => void;
  /** Number of this node's newest command, what its clients have acknowledged included. */
  readonly proposedSeq: () => number;
  /** Whether all up to that number is in the log, and all that earlier runs of this node have left. */
  readonly isWritten: (seq: number) => boolean;
}

interface Wait {
  readonly until: MonotonicMs;
  readonly then: () => void;
}

interface Asked {
  readonly request: number;
  readonly seq: number;
  /** What was proposed first is in the log; `seq` is what has followed from it. */
  readonly isLast: boolean;
}

export class OutboxBarrier {
  readonly #ports: OutboxBarrierPorts;
  /** In the order in which they came. */
  #waits: Wait[] = [];
  /** The peers that were in reach at the last look. */
  #inReach: ReadonlySet<NodeId> = new Set();
  #hadQuorum = false;
  #lookedAt: MonotonicMs;
  /** Those that have not answered. */
  readonly #open = new Set<NodeId>();
  #request = 0;
  /** Until then they are waited for. */
  #until = 0 as MonotonicMs;
  /** The newest question of each peer that waits for an answer. */
  readonly #asked = new Map<NodeId, Asked>();

  constructor(ports: OutboxBarrierPorts) {
    this.#ports = ports;
    this.#lookedAt = ports.clock.monotonicMs();
  }

  /** Calls `then` when the outboxes of all in reach are in the log, most of the time before this returns. */
  wait(then: () => void): void {
    const now = this.#ports.clock.monotonicMs();
    this.#look(now);
    if (this.#until <= now || this.#isWritten) then();
    else this.#waits.push({ until: this.#until, then });
  }

  /** `from` wants to know when this node's outbox is in the log. */
  asked(from: NodeId, request: number): void {
    this.#asked.set(from, { request, seq: this.#ports.proposedSeq(), isLast: false });
    this.applied();
  }

  /** The outbox of `from` is in the log. */
  written(from: NodeId, request: number): void {
    if (request !== this.#request) return;
    this.#open.delete(from);
    this.#settle(this.#ports.clock.monotonicMs());
  }

  /** Entries have been applied here. */
  applied(): void {
    if (this.#asked.size === 0) return;
    const { isWritten, proposedSeq, answer } = this.#ports;
    for (const [from, { request, seq, isLast }] of this.#asked) {
      if (!isWritten(seq)) continue;
      const followed = isLast ? seq : proposedSeq();
      if (isWritten(followed)) {
        this.#asked.delete(from);
        answer(from, request);
      } else this.#asked.set(from, { request, seq: followed, isLast: true });
    }
  }

  /** Who is there has changed, or time has passed. */
  tick(now: MonotonicMs): void {
    this.#look(now);
    this.applied();
    this.#settle(now);
  }

  get #isWritten(): boolean {
    return this.#open.size === 0 && this.#ports.hasQuorum();
  }

  /** Whether anything has happened since the last look. */
  #look(now: MonotonicMs): void {
    const { peers, hasQuorum } = this.#ports;
    const inReach = new Set<NodeId>();
    for (const { id, state, isLinked } of peers()) if (state === "alive" && isLinked) inReach.add(id);
    const isEverybodySuspect = now - this.#lookedAt >= STALL_MS || (hasQuorum() && !this.#hadQuorum);
    const suspects = [...inReach].filter((id) => isEverybodySuspect || !this.#inReach.has(id));
    for (const id of this.#open) if (!inReach.has(id)) this.#open.delete(id);
    this.#inReach = inReach;
    this.#hadQuorum = hasQuorum();
    this.#lookedAt = now;
    if (suspects.length > 0) this.#suspect(suspects, now);
  }

  /** Those that have not answered an earlier question are asked again, so that one number stands for all. */
  #suspect(suspects: readonly NodeId[], now: MonotonicMs): void {
    if (this.#until <= now) this.#open.clear();
    for (const id of suspects) this.#open.add(id);
    this.#until = (now + PATIENCE_MS) as MonotonicMs;
    this.#request++;
    for (const id of this.#open) this.#ports.ask(id, this.#request);
  }

  #settle(now: MonotonicMs): void {
    if (this.#waits.length === 0) return;
    const isWritten = this.#isWritten;
    const over = this.#waits.filter(({ until }) => isWritten || until <= now);
    if (over.length === 0) return;
    this.#waits = this.#waits.filter(({ until }) => !isWritten && until > now);
    for (const { then } of over) then();
  }
}
