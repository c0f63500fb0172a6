/** What a replica tells of one command that stood in the log. */

import type { ClusterCommand } from "./cluster-commands.ts";
import type { Command } from "./commands.ts";
import type { Passed } from "./sessions/passed-sessions.ts";
import type { Publication, SessionOutcome } from "./sessions/publishing-port.ts";
import type { SessionState } from "./sessions/session-state.ts";

/**
 * What became of one command. `passed`: sessions without room for its message were passed by. `full`: its proposer's turn is over, but there
 * was no room for all of it. `stale`: likewise, but its connection does not hold the session any more. `held`: this cluster is
 * dissolved. `void`: a command about clusters that does not fit the state.
 */
type Outcome = SessionOutcome | "repeated" | "gap" | "fenced" | "malformed" | "held" | "void";

export interface Applied {
  readonly outcome: Outcome;
  /** Undefined if malformed, or about clusters. */
  readonly command: Command | undefined;
  readonly clusterCommand?: ClusterCommand;
  /** Topics that a merge may have changed. */
  readonly topics?: readonly string[];
  /** Messages of merged sessions that found no room in their queues. */
  readonly refused?: number;
  /** The topic of a retained message that was written without a quorum, and of which there was another value. */
  readonly outdated?: string | undefined;
  /** What it published for live subscribers. */
  readonly publications?: readonly Publication[];
  /** Sessions that had no room for a message that it published. */
  readonly passed?: readonly Passed[];
  /** Sessions that it changed. */
  readonly sessions?: ReadonlySet<SessionState>;
}
