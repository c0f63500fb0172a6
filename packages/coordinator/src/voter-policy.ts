/**
 * How many voters a mesh has, and which learners become one.
 *
 * | live members | voters |        An odd number, and never 2: with two voters either death stops the mesh, so two
 * | 1-2          | 1      |        nodes are one voter and one full replica. From 1 to 3 is one joint change. Three are
 * | 3-6          | 3      |        enough for small meshes: more voters cost latency and SD-card wear, not just messages.
 * | 7 and more   | 5      |
 *
 * Only learners that are alive and have nearly the whole log are promoted, so a change never waits for a slow node.
 * The number never shrinks by itself and dead voters are not replaced: that needs the log's own judgement of death
 * (reference design, section 1.6), a later issue.
 *
 * Source: architecture.md section 5; reference design, section 1.2; "within 250 entries" is Consul autopilot's figure.
 */

import type { NodeId } from "@skein/kernel";

/** Most entries a learner may be behind and still be promoted. */
export const PROMOTION_LAG_ENTRIES = 250;
/** Most nodes with a full replica (architecture.md section 5); further joiners are refused with a warning. */
export const REPLICAS_MAX = 32;

export interface VoterPolicyInput {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Members that are alive and linked, the leader itself included. */
  readonly live: ReadonlySet<NodeId>;
  /** Learners whose log is within {@link PROMOTION_LAG_ENTRIES} of the leader's. */
  readonly caughtUp: ReadonlySet<NodeId>;
}

/** The voters to change to (the present ones and the promoted, lowest ids first), or undefined if all is well. */
export function votersWanted(input: VoterPolicyInput): readonly NodeId[] | undefined {
  const { voters, learners, live, caughtUp } = input;
  const liveCount = [...voters, ...learners].filter((node) => live.has(node)).length;
  const candidates = learners.filter((node) => live.has(node) && caughtUp.has(node)).sort();
  for (const size of sizesFor(liveCount)) {
    const missing = size - voters.length;
    if (missing > 0 && missing <= candidates.length) return [...voters, ...candidates.slice(0, missing)];
  }
  return undefined;
}

/** Sizes that suit `liveCount` members, the best first: with few caught-up learners a smaller step is taken at once. */
function sizesFor(liveCount: number): readonly number[] {
  if (liveCount >= 7) return [5, 3];
  return liveCount >= 3 ? [3] : [];
}
