/**
 * How much has gone to everybody through the log since a message: a member that has been away gets what it missed with a snapshot only as
 * far as the state still has it (P5).
 */

import type { PublishedPacket } from "../observations.ts";

/** Half of what the state has, because this is how they were sent, not how they stand in the log. */
const COUNT_MAX = 500;
const BYTES_MAX = 512 * 1024;
/** From the sending until its node is back, in ms: its snapshot may be from a while after that. */
const AWAY_MS_MAX = 40_000;

/** The moment in which a message was sent. */
export interface LogMark {
  readonly at: number;
  readonly count: number;
  readonly bytes: number;
}

export class LoggedMessages {
  #count = 0;
  #bytes = 0;

  /** A message that goes to everybody through the log is sent at `at`, in the world's ms. */
  sent({ topic, payloadId, paddingBytes = 0 }: PublishedPacket, at: number): LogMark {
    const mark = { at, count: this.#count, bytes: this.#bytes };
    this.#count++;
    this.#bytes += topic.length + payloadId.length + paddingBytes;
    return mark;
  }

  /** Whether who was out of reach then and is back at `at` may have missed it for good. */
  mayBeGone(mark: LogMark, at: number): boolean {
    const isFollowedByMany = this.#count - mark.count > COUNT_MAX || this.#bytes - mark.bytes > BYTES_MAX;
    return isFollowedByMany || at - mark.at > AWAY_MS_MAX;
  }
}
