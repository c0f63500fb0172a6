/** What a node's coordinator has counted since it started, gathered from its parts. */

import type { Coordinator } from "./coordinator.ts";
import type { CoordinatorCounters } from "./options.ts";
import type { PeerFaults } from "./peer-faults.ts";
import type { Proposals } from "./proposals/proposals.ts";
import type { StateMachine } from "./state-machine/state-machine.ts";

export function countersOf(
  { retained, sessions }: Pick<Coordinator, "retained" | "sessions">,
  { malformedFrames, foreignFrames, unknownFrames }: PeerFaults,
  { dropped, refused }: Proposals,
  { outcomes }: StateMachine,
  rejectedMessages: number,
): CoordinatorCounters {
  return {
    malformedFrames,
    foreignFrames,
    unknownFrames,
    rejectedMessages,
    malformedCommands: outcomes.malformed,
    droppedWrites: dropped,
    refusedWrites: refused,
    uncertainReads: retained.reads.uncertain,
    lateBarriers: sessions.barrier.late,
  };
}
