/**
 * The retained store of the mesh as the broker of this node sees it: writes are proposed, reads are local.
 *
 * `match` shows this node's replica with its own uncommitted writes on top (proposals.ts). A write committed elsewhere a
 * moment ago may not have reached this replica yet; a reader that must see it waits with `whenCurrent` first. `count`,
 * `digest` and `entries` describe the replica alone, so that nodes can be compared.
 */

import type { Completion } from "@skein/kernel";
import type { CurrentReads, WhenCurrent } from "./current-reads.ts";
import type { RetainedMessage } from "./options.ts";
import type { Proposals } from "./proposals.ts";
import type { RetainedState } from "./state-machine/retained-state.ts";

export class Retained {
  readonly #replica: RetainedState;
  readonly #proposals: Proposals;
  readonly #reads: CurrentReads;

  constructor(replica: RetainedState, proposals: Proposals, reads: CurrentReads) {
    this.#replica = replica;
    this.#proposals = proposals;
    this.#reads = reads;
  }

  /**
   * Calls `done(true)` once this replica holds every write that was acknowledged anywhere before the call, or
   * `done(false)` if no quorum confirms that within an election timeout: then it is this node's own last state.
   */
  whenCurrent(done: WhenCurrent): void {
    this.#reads.add(done);
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

  /** Calls `visit` for every retained message that the valid `filter` matches, in no particular order. */
  match(filter: string, visit: (message: RetainedMessage) => void): void {
    const proposals = this.#proposals;
    if (proposals.count === 0) {
      this.#replica.match(filter, visit);
      return;
    }
    this.#replica.match(filter, (message) => {
      if (!proposals.hides(message.topic)) visit(message);
    });
    proposals.match(filter, visit);
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
