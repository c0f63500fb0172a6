/** What a node's coordinator has counted since it started, gathered from its parts. */

import type { CurrentReads } from "./current-reads.ts";
import type { CoordinatorCounters } from "./options.ts";
import type { PeerFaults } from "./peer-faults.ts";
import type { Proposals } from "./proposals.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { StateMachine } from "./state-machine/state-machine.ts";

export function countersOf(
  { malformedFrames, foreignFrames, unknownFrames }: PeerFaults,
  { dropped, refused }: Proposals,
  { outcomes }: StateMachine,
  { uncertain }: Pick<CurrentReads<unknown>, "uncertain">,
  { barrier }: Sessions,
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
    uncertainReads: uncertain,
    lateBarriers: barrier.late,
  };
}
