/**
 * What one connection sends in one turn of the event loop, gathered into one write.
 *
 * Frames are shared with other connections, so a packet identifier is not written into them but remembered beside them
 * and patched into the copy (outbound-batch.ts). A connection with nothing to say holds no buffer.
 */

import type { Stream } from "@skein/kernel";
import type { Frame } from "../codec/packet-writer.ts";
import type { BatchPool, OutboundBatch } from "./outbound-batch.ts";

export class OutboundQueue {
  readonly #pool: BatchPool;
  #batch: OutboundBatch | undefined;

  constructor(pool: BatchPool) {
    this.#pool = pool;
  }

  /** Bytes gathered in this turn. */
  get bytes(): number {
    return this.#batch === undefined ? 0 : this.#batch.bytes;
  }

  /** Appends a frame. `packetId` is 0 where it has none. */
  push(frame: Frame, packetId: number): void {
    this.#batch ??= this.#pool.take();
    this.#batch.push(frame, packetId);
  }

  /** Writes everything. False: the stream asks to wait for `drained`. */
  flush(stream: Pick<Stream, "write" | "bufferedBytes">): boolean {
    const batch = this.#batch;
    if (batch === undefined) return true;
    this.#batch = undefined;
    const hasRoom = batch.flush(stream);
    this.#pool.give(batch);
    return hasRoom;
  }

  /** Forgets what was gathered. */
  clear(): void {
    if (this.#batch !== undefined) this.#pool.give(this.#batch);
    this.#batch = undefined;
  }
}
