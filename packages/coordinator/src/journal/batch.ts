/**
 * Batches: the records of one append, and the chain of hashes that ties each batch to the one before.
 *
 * A checksum finds a record that was damaged, but not one that was never written while later ones were (a medium that
 * drops or reorders writes, a sector that has gone back to what it held before). So every record names the hash of the
 * batch before its own: a batch that does not continue the chain has lost its predecessor. The same hash tells a torn
 * last batch from rot: what was cut short is of one batch, and nothing of a later one follows it.
 *
 * Behind each batch stands an end mark of four zero bytes, which the next batch writes over. A file without it at its
 * end was cut.
 *
 * Source: reference design 1.10 (`prevBatchHash`); TigerBeetle's hash-chained prepares.
 */

import { ByteWriter, writeU32 } from "@skein/kernel";
import { crc32c } from "./crc32c.ts";
import { encodeRecord, type JournalRecord } from "./record.ts";

/** Zero bytes behind the last batch: no record has a length of zero. */
const END_MARK_BYTES = 4;
/** A batch may hold a megabyte; what a busy node writes again and again is kept. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** The end mark alone, for who cuts a file. */
export const END_MARK = new Uint8Array(END_MARK_BYTES);

/** Hash of a batch so far: a checksum over its records' checksums. */
export class BatchHash {
  readonly #bytes = new Uint8Array(4);
  #hash = 0;

  reset(): void {
    this.#hash = 0;
  }

  add(checksum: number): void {
    writeU32(this.#bytes, 0, checksum);
    this.#hash = crc32c(this.#bytes, this.#hash);
  }

  /** The hash by which the next batch names this one, which names `previous`. Never 0, and never `previous` itself. */
  seal(previous: number): number {
    let hash = this.#hash;
    while (hash === 0 || hash === previous) hash = (hash + 1) >>> 0;
    return hash;
  }
}

/** Gathers the records of one batch. Reused for every batch. */
export class BatchEncoder {
  readonly #out = new ByteWriter(4096, KEPT_BYTES_MAX);
  readonly #hash = new BatchHash();
  #generation = 0;
  #previous = 0;

  /** Begins a batch in segment `generation` behind the batch whose hash is `previous` (0: not known). */
  begin(generation: number, previous: number): void {
    this.#out.reset();
    this.#hash.reset();
    this.#generation = generation;
    this.#previous = previous;
  }

  add(record: JournalRecord): void {
    const stamp = { generation: this.#generation, previous: this.#previous };
    this.#hash.add(encodeRecord(record, this.#out, stamp));
  }

  /** The batch with the end mark behind it, its length without, and the hash by which the next one names it. */
  finish(): { readonly bytes: Uint8Array; readonly length: number; readonly hash: number } {
    const { length } = this.#out;
    const bytes = this.#out.raw(END_MARK).finish();
    return { bytes, length, hash: this.#hash.seal(this.#previous) };
  }
}
