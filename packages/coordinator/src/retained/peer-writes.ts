/**
 * What other nodes had proposed when a reader of the retained store came.
 *
 * A retained message that another node takes in the milliseconds before a SUBSCRIBE has not been committed yet, and has passed
 * the subscriber already, or went out before that node knew of it: the subscriber would get neither it nor anything newer, and keep an
 * old value until the next. So the question that goes to the leader (current-reads.ts) goes to every linked member as well: how far do
 * your own proposals go? What came here before the question was proposed before the answer, and what comes after it is live; so the
 * reader waits until the replica has taken as much of each.
 *
 * It is waited for a quarter of a second at most, however a node does that has not answered or cannot get its proposals into the log. A
 * reader that goes on without is current all the same: what was acknowledged is in the replica (P8).
 */

import type { Clock, Incarnation, NodeId } from "@skein/kernel";
import type { PeerView } from "../options.ts";
import { liveIn } from "../peer-list.ts";

const PATIENCE_MS = 250;

/** How far the proposals of a node went. */
export interface Proposed {
  readonly incarnation: Incarnation;
  readonly seq: number;
}

export interface PeerWritesPorts {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** The other members of this node's cluster. */
  readonly peers: () => readonly PeerView[];
  readonly ask: (to: NodeId, request: number) => void;
  /** The replica has taken that much of what `node` proposed, or will never take it. */
  readonly isTaken: (node: NodeId, proposed: Proposed) => boolean;
}

/** One question to all of them. */
interface Round {
  readonly request: number;
  readonly giveUpAt: number;
  /** Those that are still waited for: their answer, or undefined until it comes. */
  readonly awaited: Map<NodeId, Proposed | undefined>;
}

export class PeerWrites {
  readonly #ports: PeerWritesPorts;
  /** Those that are not over, in the order in which they were asked. */
  #rounds: Round[] = [];

  constructor(ports: PeerWritesPorts) {
    this.#ports = ports;
  }

  /** Asks all under the number `request`, which only grows. */
  ask(request: number): void {
    const { clock, peers, ask } = this.#ports;
    const asked = [...liveIn(peers())];
    if (asked.length === 0) return;
    const awaited = new Map(asked.map((node) => [node, undefined]));
    this.#rounds.push({ request, giveUpAt: clock.monotonicMs() + PATIENCE_MS, awaited });
    for (const node of asked) ask(node, request);
  }

  /** The answer of `node`. */
  told(node: NodeId, request: number, proposed: Proposed): void {
    const round = this.#rounds.find((asked) => asked.request === request);
    if (round?.awaited.has(node) === true) round.awaited.set(node, proposed);
  }

  /** The newest request for which, and for all before it, the replica holds what was proposed before the answers. */
  heldThrough(): number {
    const now = this.#ports.clock.monotonicMs();
    this.#rounds = this.#rounds.filter((round) => !this.#isOver(round, now));
    return (this.#rounds[0]?.request ?? Number.POSITIVE_INFINITY) - 1;
  }

  #isOver({ giveUpAt, awaited }: Round, now: number): boolean {
    for (const [node, proposed] of awaited)
      if (proposed !== undefined && this.#ports.isTaken(node, proposed)) awaited.delete(node);
    return awaited.size === 0 || now >= giveUpAt;
  }
}
