/**
 * A message that is owed to sessions: kept once, however many queues hold it.
 *
 * All queues together are bounded in bytes, counted once for each message; the last queue that lets go of it gives them back.
 *
 * Source: reference design, section 4.4 (store once).
 */

import { type ApplicationMessage, messageSize } from "@skein/kernel";

/** Most bytes of all messages that are owed. Beyond, a message goes into no queue, and its publisher hears 0x97. */
const OWED_BYTES_MAX = 64 * 1024 * 1024;

export interface StoredMessage {
  readonly message: ApplicationMessage;
  /** What it takes, see {@link messageSize}. */
  readonly bytes: number;
  /** Time of the sessions when it was published, ms (session-time.ts). */
  readonly at: number;
  /** Queue entries that hold it. */
  holders: number;
}

/** `message` owns its bytes. `at`: time of the sessions, ms. */
export function storedMessage(message: ApplicationMessage, at: number): StoredMessage {
  return { message, bytes: messageSize(message), at, holders: 0 };
}

/** What all queues of one replica hold. */
export class OwedBytes {
  #bytes = 0;
  #entries = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Of all queues. */
  get entries(): number {
    return this.#entries;
  }

  /** Whether one more queue may hold it. */
  hasRoomFor({ bytes, holders }: StoredMessage): boolean {
    return holders > 0 || this.#bytes + bytes <= OWED_BYTES_MAX;
  }

  hold(stored: StoredMessage): void {
    this.#entries++;
    if (stored.holders++ === 0) this.#bytes += stored.bytes;
  }

  release(stored: StoredMessage): void {
    this.#entries--;
    if (--stored.holders === 0) this.#bytes -= stored.bytes;
  }
}
