/**
 * How many voters a mesh has, and which learners become one.
 *
 * | live members | voters |        An odd number, and never 2: with two voters either death stops the mesh, so two
 * | 1-2          | 1      |        nodes are one voter and one full replica. From 1 to 3 is one joint change. Three are
 * | 3-6          | 3      |        enough for small meshes: more voters cost latency and SD-card wear, not just messages.
 * | 7 and more   | 5      |
 *
 * Only learners that are alive and have nearly the whole log are promoted, so a change never waits for a slow node.
 * A voter that resigns (its disk is dying) changes places with such a learner, one at a time; where there is none it stays,
 * because a mesh of three voters of which one is doubtful still loses any one of them without standing still, and one of two
 * does not. The number never shrinks by itself and dead voters are not replaced: that needs the log's own judgement of
 * death (reference design, section 1.6), a later issue.
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
  /** Nodes that ask not to vote. */
  readonly resigning: ReadonlySet<NodeId>;
  /** The leader: the last one to change places, so that it hands over to one that stays. */
  readonly leader: NodeId;
}

/** The voters to change to, those that stay first, then the promoted; or undefined if all is well. */
export function votersWanted(input: VoterPolicyInput): readonly NodeId[] | undefined {
  const { voters, learners, live, caughtUp, resigning, leader } = input;
  const liveCount = [...voters, ...learners].filter((node) => live.has(node)).length;
  const isReady = (node: NodeId): boolean => live.has(node) && caughtUp.has(node) && !resigning.has(node);
  const candidates = learners.filter(isReady).sort();
  for (const size of sizesFor(liveCount)) {
    const missing = size - voters.length;
    if (missing > 0 && missing <= candidates.length) return [...voters, ...candidates.slice(0, missing)];
  }
  const [successor] = candidates;
  const leaving = voters.filter((node) => resigning.has(node));
  const first = leaving.find((node) => node !== leader) ?? leaving[0];
  if (successor === undefined || first === undefined) return undefined;
  return [...voters.filter((node) => node !== first), successor];
}

/** Sizes that suit `liveCount` members, the best first: with few caught-up learners a smaller step is taken at once. */
function sizesFor(liveCount: number): readonly number[] {
  if (liveCount >= 7) return [5, 3];
  return liveCount >= 3 ? [3] : [];
}
