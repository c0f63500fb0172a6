/**
 * What a follower has heard of its leader: who sent the last message that only a leader sends, and when, which its word about the quorum
 * rests on; and whether it lacks something that was committed while it heard nothing.
 *
 * A SUBACK waits a quarter of a second for a node that is silent (sessions/apply-barrier.ts), so after such a silence the replica may not
 * know what others have subscribed to. The first message after it says how far the leader's log goes.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftMessage } from "raft-js";

const SILENCE_MS = 250;

export class LeaderContact {
  #from: NodeId | undefined;
  #at = 0;
  /** Everything that was committed before the end of the last silence is at or before this log index; undefined: not heard yet. */
  #target: number | undefined;

  get from(): NodeId | undefined {
    return this.#from;
  }

  /** In ms of the monotonic clock. */
  get at(): number {
    return this.#at;
  }

  /** A follower whose replica has come to this log index has what was committed before the last silence ended. */
  isCaughtUp(appliedIndex: number): boolean {
    return this.#target !== undefined && appliedIndex >= this.#target;
  }

  /** Call after the message was taken: `now` is when the answer to it left. */
  received(from: NodeId, message: RaftMessage, now: MonotonicMs): void {
    const { kind } = message;
    if (kind !== "heartbeat" && kind !== "appendEntries" && kind !== "installSnapshot") return;
    if (from !== this.#from || now - this.#at > SILENCE_MS) this.#target = undefined;
    if (kind === "heartbeat") this.#target ??= message.lastIndex;
    if (kind === "appendEntries") this.#target ??= message.leaderCommit;
    this.#from = from;
    this.#at = now;
  }
}
