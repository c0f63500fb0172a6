/**
 * Collects the buffers that sockets were read into while they are young.
 *
 * Node reads into a fresh buffer of up to 64 KB each time; most are garbage when the turn is over. V8 collects the young generation
 * when so many bytes of array buffers belong to it. V8 13 (Node 24) waits for 64 MB, but begins to collect the whole heap when some 10 MB
 * have come since it did that last, so that a broker of large messages collects everything many times a second: half of its CPU time.
 * V8 12 and 14 (Node 22 and 26) do not. So V8 13 is told to look after the young ones first.
 *
 * Source: V8, Heap::AllocateExternalBackingStore (twice the default size of a semi-space) and the flag that this size is derived from;
 * measured in docs/performance.md.
 */

import { setFlagsFromString } from "node:v8";

/** Four times as many MB may pile up. With a third of it, what is still in use in a turn of 1 KB messages would grow old. */
const FLAG = "--scavenger-max-new-space-capacity-mb=3";

/** Once, for the whole process. Sizes of the heap's spaces are those that the process was started with. */
export function collectReadBuffersYoung(): void {
  if (process.versions.v8.startsWith("13.")) setFlagsFromString(FLAG);
}
