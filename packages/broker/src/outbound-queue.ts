/**
 * Everything one connection sends in one turn of the event loop, gathered into one write.
 *
 * Frames are shared with other connections, so a packet identifier is not written into them but remembered beside them
 * and patched into the copy. A single shared frame goes out as it is, without a copy. A connection with nothing to say
 * holds no buffer. Source: reference measurements, rules 1, 3 and 6.
 */

import type { Stream } from "@skein/kernel";
import type { Frame } from "./codec/packet-writer.ts";

/** Frames of at least this size that need no patch are handed over as they are instead of being copied. */
const LARGE_FRAME_BYTES = 32_768;

export class OutboundQueue {
  #frames: Frame[] = [];
  /** Packet identifier of the frame at the same place; 0: none. */
  #packetIds: number[] = [];
  #bytes = 0;

  /** Bytes gathered in this turn. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends a frame. `packetId` is 0 where it has none. */
  push(frame: Frame, packetId: number): void {
    this.#frames.push(frame);
    this.#packetIds.push(packetId);
    this.#bytes += frame.bytes.length;
  }

  /** Writes everything. False: the stream asks to wait for `drained`. */
  flush(stream: Pick<Stream, "write">): boolean {
    const frames = this.#frames;
    const packetIds = this.#packetIds;
    if (frames.length === 0) return true;
    this.#frames = [];
    this.#packetIds = [];
    this.#bytes = 0;
    let hasRoom = true;
    for (let from = 0; from < frames.length; ) {
      const to = runEnd(frames, packetIds, from);
      hasRoom = stream.write(join(frames, packetIds, from, to));
      from = to;
    }
    return hasRoom;
  }

  /** Forgets what was gathered. */
  clear(): void {
    this.#frames = [];
    this.#packetIds = [];
    this.#bytes = 0;
  }
}

function isAsIs(frame: Frame, packetId: number): boolean {
  return packetId === 0 && frame.bytes.length >= LARGE_FRAME_BYTES;
}

/** End of the run of frames from `from` that go out in one write. */
function runEnd(frames: readonly Frame[], packetIds: readonly number[], from: number): number {
  let to = from + 1;
  if (isAsIs(frames[from] as Frame, packetIds[from] as number)) return to;
  while (to < frames.length && !isAsIs(frames[to] as Frame, packetIds[to] as number)) to++;
  return to;
}

function join(frames: readonly Frame[], packetIds: readonly number[], from: number, to: number): Uint8Array {
  const first = frames[from] as Frame;
  if (to === from + 1 && packetIds[from] === 0) return first.bytes;
  let size = 0;
  for (let i = from; i < to; i++) size += (frames[i] as Frame).bytes.length;
  const joined = new Uint8Array(size);
  let at = 0;
  for (let i = from; i < to; i++) {
    const frame = frames[i] as Frame;
    const packetId = packetIds[i] as number;
    joined.set(frame.bytes, at);
    if (packetId !== 0) {
      joined[at + frame.packetIdAt] = packetId >> 8;
      joined[at + frame.packetIdAt + 1] = packetId & 0xff;
    }
    at += frame.bytes.length;
  }
  return joined;
}
