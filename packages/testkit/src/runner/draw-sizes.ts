/** How much the nodes of a run do at a time (ReplicaSizes): small sizes make what is rare in a house happen all the time. */

import type { ReplicaSizes } from "@skein/coordinator";
import type { Prng } from "@skein/kernel";
import { chance, pick, randomStream } from "../world/random-streams.ts";
import type { WorldOptions } from "../world/world.ts";

/** Bytes in a message and messages under way: small, but enough to catch up with a few minutes' writes in seconds. */
const WINDOWS = [
  [1, 16],
  [1000, 1],
  [300, 3],
  [256 * 1024, 1],
  [256 * 1024, 16],
] as const;

/** States that owe anything much are saved in parts. */
const PARTED: Partial<ReplicaSizes> = { partedBytes: 500, slabBytes: 512 };

/** Small ones in half of the seeds: snapshots, full windows, new segments, batches in pieces. */
export function drawSizes(prng: Prng, isSlow: boolean): Partial<ReplicaSizes> {
  const [appendBytesMax, inflightMax] = pick(prng, isSlow ? WINDOWS.slice(3) : WINDOWS);
  // One entry at a time is too slow for a long log: who was away gets a snapshot.
  const isNarrow = appendBytesMax === 1;
  const sizes: Partial<ReplicaSizes> = {
    appendBytesMax,
    inflightMax,
    snapshotEntries: pick(prng, isNarrow ? [20, 50, 150] : [20, 150, 10_000]),
    entriesKept: pick(prng, isNarrow ? [0, 10, 50, 100] : [0, 10, 100, 10_000]),
    // A state of all topics and what gave way in them has 10 KB, and each piece waits for the answer to the one before.
    snapshotChunkBytes: pick(prng, [isSlow ? 1000 : 100, 2000, 256 * 1024]),
    segmentBytes: pick(prng, [2000, 30_000, 16 * 1024 * 1024]),
  };
  if (!chance(prng, 500)) return {};
  // Not drawn, because a new draw would move all others.
  return sizes.segmentBytes === 2000 ? { ...sizes, ...PARTED } : sizes;
}

/** Bytes of a snapshot that are decoded in a turn, and ms between two: a state of 10 KB takes from no time to a second. */
const DECODING = [
  [100, 0],
  [500, 10],
  [2000, 100],
  [10_000, 1000],
] as const;

/** Where snapshots go out in small pieces, or all the time, they are decoded in pieces, too: what else happens gets in between. */
export function decodedInPieces(world: WorldOptions): WorldOptions {
  const { snapshotChunkBytes = Number.POSITIVE_INFINITY } = world.sizes;
  if (world.isLogShort !== true && snapshotChunkBytes > 1000) return world;
  const [decodeBytes, decodePauseMs] = pick(randomStream(world.seed, "decoding"), DECODING);
  return { ...world, sizes: { ...world.sizes, decodeBytes, decodePauseMs } };
}
