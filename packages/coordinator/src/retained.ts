/**
 * The retained store of the mesh as the broker of this node sees it: writes are proposed, reads are local.
 *
 * A read waits until this replica holds what was committed anywhere before it (current-reads.ts) and then sees the
 * replica and nothing else: what is committed is not lost (P8). Without a quorum it sees what this node knows: the
 * replica with this node's own uncommitted writes on top (P3). A message that has expired is not seen any more; it goes when
 * the log has come that far. `count`, `digest` and `entries` describe the replica alone, so that nodes can be compared.
 */

import type { Completion } from "@skein/kernel";
import type { CurrentReads } from "./current-reads.ts";
import type { Stamp } from "./hybrid-clock.ts";
import type { RetainedMessage } from "./options.ts";
import type { Proposals } from "./proposals.ts";
import { type Stamped, unexpired } from "./state-machine/expiry.ts";
import type { RetainedState } from "./state-machine/retained-state.ts";

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

export class Retained {
  readonly #replica: RetainedState;
  readonly #proposals: Proposals;
  readonly #reads: CurrentReads<RetainedReader>;
  /** What is committed. */
  readonly #committed: RetainedView;
  /** What this node knows: its uncommitted writes hide what they replace. */
  readonly #own: RetainedView;

  /** `reads` answers through {@link answer}; `clock` has the time of the cluster. */
  constructor(
    replica: RetainedState,
    proposals: Proposals,
    reads: CurrentReads<RetainedReader>,
    clock: { readonly time: Stamp },
  ) {
    this.#replica = replica;
    this.#proposals = proposals;
    this.#reads = reads;
    this.#committed = {
      match: (filter, visit) => replica.match(filter, alive(clock.time, visit)),
    };
    this.#own = {
      match(filter, visit) {
        const visitAlive = alive(clock.time, visit);
        replica.match(filter, (item) => {
          if (!proposals.hides(item.message.topic)) visitAlive(item);
        });
        proposals.match(filter, visitAlive);
      },
    };
  }

  /** Retained messages in the replica. */
  get count(): number {
    return this.#replica.count;
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
   * write of this node; or, when no quorum confirms that within a second, what this node knows. At once if no leader
   * is known.
   */
  read(reader: RetainedReader): void {
    this.#reads.add(reader);
  }

  /** It is known how current the replica is. */
  answer(reader: RetainedReader, isCurrent: boolean): void {
    reader.mayRead(isCurrent ? this.#committed : this.#own);
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
function alive(now: Stamp, visit: (message: RetainedMessage) => void): (item: Stamped) => void {
  return (item) => {
    const message = unexpired(item, now);
    if (message !== undefined) visit(message);
  };
}
