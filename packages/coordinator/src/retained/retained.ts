/**
 * The retained store of the mesh as the broker of this node sees it: writes are proposed, reads are local.
 *
 * A read waits until this replica holds what was committed anywhere before it, and what was under way (current-reads.ts), and then sees the
 * replica and nothing else: what is committed is not lost (P8). Without a quorum it sees what this node knows: the
 * replica with this node's own uncommitted writes on top (P3). A message that has expired is not seen any more; it goes when
 * the log has come that far. `count`, `digest` and `entries` describe the replica alone, so that nodes can be compared.
 */

import type { Clock, ClusterId, Completion, Incarnation, NodeId } from "@skein/kernel";
import type { ControlFrame } from "../frames.ts";
import { msOfStamp, type Stamp } from "../hybrid-clock.ts";
import type { CoordinatorObserver, PeerView, RetainedMessage } from "../options.ts";
import type { Proposals } from "../proposals/proposals.ts";
import type { Driver } from "../replica/driver.ts";
import type { SessionClock } from "../sessions/session-clock.ts";
import { type Expiring, unexpired } from "../state-machine/expiry.ts";
import type { RetainedState } from "../state-machine/retained-state.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import { CurrentReads } from "./current-reads.ts";
import { PeerWrites, type Proposed } from "./peer-writes.ts";

/** What a reader may see, now and later: it stays as new as it was. */
export interface RetainedView {
  /** Calls `visit` for every retained message that the valid `filter` matches, in no particular order. */
  match(filter: string, visit: (message: RetainedMessage) => void): void;
}

/** Who wants to read. */
export interface RetainedReader {
  /** Called once. It must not write at once. */
  mayRead(view: RetainedView): void;
}

export interface RetainedPorts {
  readonly clock: Clock;
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** The other members of this node's cluster. */
  readonly peers: () => readonly PeerView[];
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  readonly observer?: CoordinatorObserver | undefined;
}

export class Retained {
  /** Who waits to read. */
  readonly reads: CurrentReads<RetainedReader>;
  readonly #incarnation: Incarnation;
  readonly #clock: Clock;
  readonly #replica: RetainedState;
  readonly #proposals: Proposals;
  readonly #peerWrites: PeerWrites;
  /** What is committed. */
  readonly #committed: RetainedView;
  /** What this node knows: its uncommitted writes hide what they replace. */
  readonly #own: RetainedView;

  constructor(
    incarnation: Incarnation,
    { retained: replica, sequencer }: StateMachine,
    proposals: Proposals,
    sessionTime: SessionClock,
    { clock, time, driver, peers, sendMember, observer }: RetainedPorts,
  ) {
    this.#incarnation = incarnation;
    this.#clock = clock;
    this.#replica = replica;
    this.#proposals = proposals;
    this.#peerWrites = new PeerWrites({
      clock,
      peers,
      ask: (to, request) => sendMember(to, (own) => ({ kind: "count", cluster: own, request })),
      isTaken: (node, { incarnation: run, seq }) =>
        sequencer.isFenced(node, run) || sequencer.last(node, run) >= seq,
    });
    this.reads = new CurrentReads(incarnation, {
      clock,
      hasLeader: () => driver()?.leadership.leader !== undefined,
      ask: (request) => {
        driver()?.read(request);
        this.#peerWrites.ask(request);
      },
      heldThrough: () => this.#peerWrites.heldThrough(),
      proposedSeq: () => proposals.proposedSeq,
      settledSeq: () => proposals.settledSeq,
      answer: (reader, isCurrent) => {
        if (!isCurrent) observer?.readUncertain();
        reader.mayRead(isCurrent ? this.#committed : this.#own);
      },
    });
    this.#committed = {
      match: (filter, visit) => replica.match(filter, alive(sessionTime.now, visit)),
    };
    this.#own = {
      match(filter, visit) {
        const visitAlive = alive(sessionTime.now, visit);
        replica.match(filter, (item) => {
          if (!proposals.own.hides(item.message.topic)) visitAlive(item);
        });
        proposals.own.match(filter, alive(msOfStamp(time()), visit));
      },
    };
  }

  /** Retained messages in the replica. */
  get count(): number {
    return this.#replica.count;
  }

  get bytes(): number {
    return this.#replica.bytes;
  }

  /**
   * Sets, or with an empty payload deletes, the retained message of a topic. Returns the parts `done` waits for: 1,
   * settled with 0 when the write is committed and applied here, or with 0x97 when it cannot be taken. Without `done`
   * (QoS 0) returns 0, and a write that cannot be taken is dropped and counted.
   */
  put(message: RetainedMessage, done?: Completion): number {
    return this.#proposals.put(message, done);
  }

  /**
   * Lets `reader` read once this replica holds every write that was acknowledged anywhere before the call, and every
   * write of this node; or, when no quorum answers within a second, or this replica takes longer than a minute to hold what the quorum
   * has answered, what this node knows. At once if no leader is known.
   */
  read(reader: RetainedReader): void {
    this.reads.add(reader);
  }

  /** How far the proposals of this node go, for a reader elsewhere. */
  get proposed(): Proposed {
    return { incarnation: this.#incarnation, seq: this.#proposals.proposedSeq };
  }

  /** How far those of `node` went when it was asked under the number `request`. */
  heardProposed(node: NodeId, request: number, proposed: Proposed): void {
    this.#peerWrites.told(node, request, proposed);
    this.#clock.atTurnEnd(() => this.reads.settle());
  }

  /** 32 hexadecimal digits over the sorted set; equal on equal sets. */
  digest(): string {
    return this.#replica.digest();
  }

  /** The messages, sorted by topic. */
  entries(): Iterable<RetainedMessage> {
    return this.#replica.sorted();
  }
}

/** Passes on to `visit` what has not expired at `now`, with what is left of its lifetime. */
function alive(now: number, visit: (message: RetainedMessage) => void): (item: Expiring) => void {
  return (item) => {
    const message = unexpired(item, now);
    if (message !== undefined) visit(message);
  };
}
