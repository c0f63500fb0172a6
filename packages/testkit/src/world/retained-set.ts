/** What clients would read at a node. */

import { decodeUtf8 } from "@skein/kernel";
import type { NodeAssembly } from "skein/assembly";

/** The retained set of a node: topic to payload text. */
export function retainedSet(assembly: NodeAssembly): ReadonlyMap<string, string> {
  const set = new Map<string, string>();
  for (const { topic, payload } of assembly.coordinator.retained.entries())
    set.set(topic, decodeUtf8(payload, 0, payload.length));
  return set;
}
