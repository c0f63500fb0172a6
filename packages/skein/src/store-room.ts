/**
 * How many bytes of messages for clients that are away a node has room for, where the operator has not said it.
 *
 * Of the memory a sixteenth: beside the packed messages there may be the snapshot that is being written and the log behind the last one, and the
 * collector is in no hurry; with 236 MB of messages the process had 1.1 GB at most (decision 0012). Of the disk a quarter of what is free: while a snapshot takes the place of another both are there, which is half.
 */

import { type Room, systemRoom } from "@skein/platform";

const MIB = 1024 * 1024;
const MOST_BYTES = 1024 * MIB;
/** No machine is so small that it does not have these. */
const LEAST_BYTES = 16 * MIB;
const MEMORY_SHARE = 16;
const DISK_SHARE = 4;

export function storeRoom({
  owedBytesMax,
  dataDirectory,
}: {
  readonly owedBytesMax: number | undefined;
  readonly dataDirectory: string;
}): number {
  return owedBytesMax ?? roomIn(systemRoom(dataDirectory));
}

/** In whole MiB: what the mesh is told does not change with every file. */
export function roomIn({ memoryBytes, diskBytes = Number.POSITIVE_INFINITY }: Room): number {
  const bytes = Math.min(MOST_BYTES, memoryBytes / MEMORY_SHARE, diskBytes / DISK_SHARE);
  return Math.max(LEAST_BYTES, Math.floor(bytes / MIB) * MIB);
}
