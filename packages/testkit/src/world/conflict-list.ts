/** The values that lost in a node's state, by the ids of their payloads: what `skein conflicts` lists there. */

import type { NodeAssembly } from "skein/assembly";
import type { ConflictList } from "../checkers/early-retained-writes.ts";
import { decodePayload } from "../client/payload.ts";

export function conflictList(assembly: NodeAssembly): ConflictList {
  const { conflicts } = assembly.coordinator.merging;
  return {
    // They are numbered from 1, and the oldest go first.
    isWhole: (conflicts[0]?.id ?? 1) === 1,
    lost: conflicts.map(({ message: { topic, payload } }) => ({ topic, payloadId: decodePayload(payload) })),
  };
}
