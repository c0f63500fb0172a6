/**
 * What a follower has heard of its leader: who sent the last message that only a leader sends, and when, which its word about the quorum
 * rests on; and whether it lacks something that was committed while it heard nothing.
 *
 * A SUBACK waits a quarter of a second for a node that is silent (sessions/apply-barrier.ts), so after such a silence the replica may not
 * know what others have subscribed to. The first message after it says how far the leader's log goes.
 *
 * A leader that is cut off with a minority sends heartbeats for an election timeout, and who hears them believes in it for one more. But it
 * says that no quorum answers it (address/entrance.ts), and from then on its heartbeats are no sign of one.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftMessage } from "raft-js";
import { GIVE_UP_MS } from "../address/holding.ts";

const SILENCE_MS = 250;

export class LeaderContact {
  #from: NodeId | undefined;
  #at = 0;
  /** Everything that was committed before the end of the last silence is at or before this log index; undefined: not heard yet. */
  #target: number | undefined;
  /** Since when it has been saying that no quorum answers it; undefined: it does not. */
  #cutOffAt: number | undefined;

  get from(): NodeId | undefined {
    return this.#from;
  }

  /** In ms of the monotonic clock. */
  get at(): number {
    return this.#at;
  }

  /** When the leader had a quorum, as far as is known here, in ms of the monotonic clock. */
  get quorumAt(): number {
    return this.#cutOffAt === undefined ? this.#at : Math.min(this.#at, this.#cutOffAt - GIVE_UP_MS);
  }

  /** What a node says of itself as the leader. */
  toldCutOff(from: NodeId, isCutOff: boolean, now: MonotonicMs): void {
    if (from === this.#from) this.#cutOffAt = isCutOff ? (this.#cutOffAt ?? now) : undefined;
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
    if (from !== this.#from) this.#cutOffAt = undefined;
    this.#from = from;
    this.#at = now;
  }
}
