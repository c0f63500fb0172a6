/** Who sent the last message that only a leader sends, and when: what a follower's word about the quorum rests on. */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftMessage } from "raft-js";

export class LeaderContact {
  #from: NodeId | undefined;
  #at = 0;

  get from(): NodeId | undefined {
    return this.#from;
  }

  /** In ms of the monotonic clock. */
  get at(): number {
    return this.#at;
  }

  /** Call after the message was taken: `now` is when the answer to it left. */
  received(from: NodeId, { kind }: RaftMessage, now: MonotonicMs): void {
    if (kind !== "heartbeat" && kind !== "appendEntries" && kind !== "installSnapshot") return;
    this.#from = from;
    this.#at = now;
  }
}
