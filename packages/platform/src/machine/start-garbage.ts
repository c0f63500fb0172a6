/**
 * Gives back what the start of the program has left in V8's heap.
 *
 * What is needed only once (the command line and the settings as they were parsed, code that runs at the start) survives the
 * collections of the young generation while the program is read, and then V8 has no reason to look at the old one for minutes: a node that
 * has nothing to do allocates little. So the whole heap is collected once, in the way that V8 does it before it gives up for want of memory:
 * caches go too, and pages that are left half empty are put together. The function for that is a global of contexts that are made while
 * a flag is set.
 *
 * Source: V8, gc-extension.h and Heap::CollectAllAvailableGarbage; measured in docs/decisions/0015-one-bundle.md.
 */

import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** A node that keeps nothing uses 13 MB. Where much is kept the garbage of the start is little beside it, and looking at all would take seconds. */
const HEAP_BYTES_MAX = 32 * 1024 * 1024;

/** V8 11 (Node 20) takes any options for a wish to collect the young generation only. */
type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/** Once, when everything has been loaded. Nothing else runs meanwhile: 73 to 185 ms on a busy PC. */
export function collectStartGarbage(): void {
  if (getHeapStatistics().used_heap_size > HEAP_BYTES_MAX) return;
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  collect({ type: "major", flavor: "last-resort" });
}
