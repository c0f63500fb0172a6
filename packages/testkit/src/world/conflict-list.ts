/** The values that lost in a node's state, by the ids of their payloads: what `skein conflicts` lists there. */

import type { NodeAssembly } from "skein/assembly";
import type { ConflictList } from "../checkers/early-retained-writes.ts";
import { decodePayload } from "../client/payload.ts";

export function conflictList(assembly: NodeAssembly): ConflictList {
  const { conflicts, droppedConflicts } = assembly.coordinator.merging;
  return {
    isWhole: droppedConflicts === 0,
    lost: conflicts.map(({ message: { topic, payload } }) => ({ topic, payloadId: decodePayload(payload) })),
  };
}
