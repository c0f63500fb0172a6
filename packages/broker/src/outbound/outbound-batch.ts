/**
 * Frames of one turn for one connection, as runs of bytes that lie side by side in one buffer.
 *
 * Messages of a burst that leave as they came lie side by side in the buffer they were read into: thirty-two of them are one run, and a
 * run without packet identifiers is written without a copy. Identifiers are patched into the copy of what has any. Arrays are reused by
 * all connections of a broker: one with nothing to say has none.
 *
 * Source: reference measurements, rules 1, 3, 5 and 6.
 */

import type { Stream } from "@skein/kernel";
import type { Frame } from "../codec/packet-writer.ts";
import { FrameSlab } from "../codec/publish-encoder.ts";

/** Runs of at least this size that need no patch are handed over as they are instead of being copied. */
const LARGE_RUN_BYTES = 32_768;
/** While a socket still holds something, what waits must not keep a buffer alive that is so many times larger. */
const KEPT_ALIVE_MAX = 4;
const RUNS_AT_FIRST = 16;
/** What a pool keeps. More batches are under way at once only in a fan-out to more connections. */
const POOL_MAX = 1024;
/** One that has grown beyond this is left to the garbage collector. */
const RUNS_KEPT_MAX = 4096;

export class OutboundBatch {
  readonly #buffers: (Uint8Array | undefined)[] = [];
  #from = new Uint32Array(RUNS_AT_FIRST);
  #to = new Uint32Array(RUNS_AT_FIRST);
  #runs = 0;
  /** Where in the output a packet identifier stands, and which: two entries each. */
  #patches = new Uint32Array(2 * RUNS_AT_FIRST);
  #patched = 0;
  #bytes = 0;
  readonly #slab: FrameSlab;

  /** @param slab room for what is put together */
  constructor(slab: FrameSlab) {
    this.#slab = slab;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isReusable(): boolean {
    return this.#from.length <= RUNS_KEPT_MAX;
  }

  push({ bytes, at, end, packetIdAt }: Frame, packetId: number): void {
    if (packetId !== 0) {
      if (this.#patched === this.#patches.length) this.#patches = grown(this.#patches);
      this.#patches[this.#patched++] = this.#bytes + packetIdAt - at;
      this.#patches[this.#patched++] = packetId;
    }
    this.#bytes += end - at;
    const last = this.#runs - 1;
    if (last >= 0 && this.#to[last] === at && this.#buffers[last] === bytes) {
      this.#to[last] = end;
      return;
    }
    if (this.#runs === this.#from.length) {
      this.#from = grown(this.#from);
      this.#to = grown(this.#to);
    }
    this.#buffers[this.#runs] = bytes;
    this.#from[this.#runs] = at;
    this.#to[this.#runs++] = end;
  }

  /** Writes everything. False: the stream asks to wait for `drained`. */
  flush(stream: Pick<Stream, "write" | "bufferedBytes">): boolean {
    let hasRoom = true;
    let patch = 0;
    for (let run = 0, outAt = 0; run < this.#runs; ) {
      const end = this.#segmentEnd(run, outAt, patch, stream.bufferedBytes > 0);
      const size = this.#sizeOf(run, end);
      const isPatched = this.#isPatched(patch, outAt + size);
      if (end === run + 1 && !isPatched && this.#isAsIs(run, stream.bufferedBytes > 0)) {
        hasRoom = stream.write(this.#view(run));
      } else {
        const joined = this.#join(run, end, size, stream.bufferedBytes > 0);
        for (; this.#isPatched(patch, outAt + size); patch += 2) {
          const at = (this.#patches[patch] as number) - outAt;
          const packetId = this.#patches[patch + 1] as number;
          joined[at] = packetId >> 8;
          joined[at + 1] = packetId & 0xff;
        }
        hasRoom = stream.write(joined);
      }
      outAt += size;
      run = end;
    }
    return hasRoom;
  }

  /** Lets everything go. */
  clear(): void {
    for (let run = 0; run < this.#runs; run++) this.#buffers[run] = undefined;
    this.#runs = 0;
    this.#patched = 0;
    this.#bytes = 0;
  }

  /** Whether a patch is due before `outEnd`. */
  #isPatched(patch: number, outEnd: number): boolean {
    return patch < this.#patched && (this.#patches[patch] as number) < outEnd;
  }

  /** End of the runs from `run` that go out in one write: a large one without a patch goes alone. */
  #segmentEnd(run: number, outAt: number, patch: number, isWaiting: boolean): number {
    let out = outAt;
    let due = patch;
    for (let end = run; end < this.#runs; end++) {
      out += this.#lengthOf(end);
      const isPatched = this.#isPatched(due, out);
      while (this.#isPatched(due, out)) due += 2;
      const isAlone = !isPatched && this.#lengthOf(end) >= LARGE_RUN_BYTES && this.#isAsIs(end, isWaiting);
      if (isAlone) return end === run ? run + 1 : end;
    }
    return this.#runs;
  }

  #isAsIs(run: number, isWaiting: boolean): boolean {
    return !isWaiting || this.#lengthOf(run) * KEPT_ALIVE_MAX >= (this.#buffers[run] as Uint8Array).length;
  }

  #lengthOf(run: number): number {
    return (this.#to[run] as number) - (this.#from[run] as number);
  }

  #sizeOf(from: number, to: number): number {
    let size = 0;
    for (let run = from; run < to; run++) size += this.#lengthOf(run);
    return size;
  }

  #view(run: number): Uint8Array {
    const buffer = this.#buffers[run] as Uint8Array;
    const [from, to] = [this.#from[run] as number, this.#to[run] as number];
    return from === 0 && to === buffer.length ? buffer : buffer.subarray(from, to);
  }

  /** A copy, side by side with other connections' as long as it will not have to wait. */
  #join(from: number, to: number, size: number, isWaiting: boolean): Uint8Array {
    const { bytes, at } = isWaiting ? { bytes: new Uint8Array(size), at: 0 } : this.#slab.take(size);
    let outAt = at;
    for (let run = from; run < to; run++) {
      bytes.set(this.#view(run), outAt);
      outAt += this.#lengthOf(run);
    }
    return bytes.subarray(at, outAt);
  }
}

/** Batches that nobody uses now. */
export class BatchPool {
  readonly #free: OutboundBatch[] = [];
  readonly #slab = new FrameSlab();

  take(): OutboundBatch {
    return this.#free.pop() ?? new OutboundBatch(this.#slab);
  }

  /** `batch` may hold what has been written. */
  give(batch: OutboundBatch): void {
    batch.clear();
    if (batch.isReusable && this.#free.length < POOL_MAX) this.#free.push(batch);
  }
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}
