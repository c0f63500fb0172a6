/**
 * How many voters a mesh has, and which nodes they are. A pure function of what the leader has seen (voter-watch.ts).
 *
 * | members | voters |        An odd number, and never 2: with two voters either death stops the mesh, so two
 * | 1-2     | 1      |        nodes are one voter and one full replica. From 1 to 3 is one joint change. Three are
 * | 3-6     | 3      |        enough for small meshes: more voters cost latency and SD-card wear, not just messages.
 * | 7-32    | 5      |
 *
 * A mesh grows its voters by the members that are alive, and shrinks them only by those that exist: a death alone takes no
 * voter away, leaving and forgetting does. One joint change at a time, of which the first that applies is taken:
 *
 * 1. Voters that leave go; where no learner takes their place and the number would become even, one more goes with them.
 * 2. More voters, or fewer, as the table says.
 * 3. Dead voters change places with learners that have kept up for a while, never half of the voters at once.
 * 4. A voter that resigns (its disk is dying) changes places with a learner, one at a time.
 * 5. One of two voters on the same machine, and one that is surpassed for long, likewise.
 *
 * Only learners that are alive and have nearly the whole log are promoted, so a change never waits for a slow node, and no change
 * ends in a set without a living majority. That a minority cannot change anything is Raft's part: the change goes through the log.
 *
 * Source: architecture.md section 5; reference design, sections 1.2 and 1.6; "within 250 entries" is Consul autopilot's figure.
 */

import type { NodeId } from "@skein/kernel";

/** Most entries a learner may be behind and still be promoted. */
export const PROMOTION_LAG_ENTRIES = 250;
/** Most nodes with a full replica (architecture.md section 5); further joiners are refused with a warning. */
export const REPLICAS_MAX = 32;

export interface VoterPolicyInput {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** The leader: the last one to go, so that it hands over to one that stays. */
  readonly leader: NodeId;
  /** Members that are alive and linked, the leader itself included. */
  readonly live: ReadonlySet<NodeId>;
  /** Learners whose log is within {@link PROMOTION_LAG_ENTRIES} of the leader's. */
  readonly caughtUp: ReadonlySet<NodeId>;
  /** Those of them that have been so for a while. */
  readonly settled: ReadonlySet<NodeId>;
  /** Voters given up for dead. */
  readonly dead: ReadonlySet<NodeId>;
  /** Nodes that ask not to vote. */
  readonly resigning: ReadonlySet<NodeId>;
  /** Nodes that are members no longer as soon as that can be done. */
  readonly leaving: ReadonlySet<NodeId>;
  /** Voters that some settled learner has surpassed for long. */
  readonly surpassed: ReadonlySet<NodeId>;
  /** Higher is better. */
  readonly score: (node: NodeId) => number;
  /** The machine it runs on; empty: unknown, taken for one of its own. */
  readonly machine: (node: NodeId) => string;
}

/** The number of voters that suits `members` nodes. */
export function votersFor(members: number): 1 | 3 | 5 {
  if (members >= 7) return 5;
  return members >= 3 ? 3 : 1;
}

/** The voters to change to, those that stay first, then the promoted; or undefined if all is well. */
export function votersWanted(input: VoterPolicyInput): readonly NodeId[] | undefined {
  return new VoterChoice(input).wanted();
}

class VoterChoice {
  readonly #input: VoterPolicyInput;
  readonly #members: readonly NodeId[];
  /** Learners that could vote now, the best first. */
  readonly #candidates: readonly NodeId[];

  constructor(input: VoterPolicyInput) {
    const { voters, learners, live, caughtUp, resigning, leaving } = input;
    this.#input = input;
    this.#members = [...voters, ...learners].filter((node) => !leaving.has(node));
    this.#candidates = learners
      .filter((node) => live.has(node) && caughtUp.has(node) && !resigning.has(node) && !leaving.has(node))
      .sort((a, b) => this.#byScore(a, b));
  }

  wanted(): readonly NodeId[] | undefined {
    const { voters, leaving } = this.#input;
    if (voters.some((node) => leaving.has(node))) return this.#withoutLeaving();
    return (
      this.#more() ?? this.#fewer() ?? this.#withoutDead() ?? this.#withoutResigning() ?? this.#withBetter()
    );
  }

  #withoutLeaving(): readonly NodeId[] | undefined {
    const { voters, leaving } = this.#input;
    const stay = voters.filter((node) => !leaving.has(node));
    const most = Math.min(voters.length, votersFor(this.#members.length));
    for (let size = most % 2 === 0 ? most - 1 : most; size >= 1; size -= 2) {
      const kept = this.#best(stay, size);
      const wanted = this.#filledUp(kept, size - kept.length, this.#candidates);
      if (wanted !== undefined && this.#hasLivingMajority(wanted)) return wanted;
    }
    return undefined;
  }

  /** With few learners that have caught up a smaller step is taken at once. */
  #more(): readonly NodeId[] | undefined {
    const { voters, live } = this.#input;
    const most = votersFor(this.#members.filter((node) => live.has(node)).length);
    for (let size: number = most; size > voters.length; size -= 2) {
      const wanted = this.#filledUp(voters, size - voters.length, this.#candidates);
      if (wanted !== undefined) return wanted;
    }
    return undefined;
  }

  #fewer(): readonly NodeId[] | undefined {
    const { voters } = this.#input;
    const size = votersFor(this.#members.length);
    if (size >= voters.length) return undefined;
    const wanted = this.#best(voters, size);
    return this.#hasLivingMajority(wanted) ? wanted : undefined;
  }

  #withoutDead(): readonly NodeId[] | undefined {
    const { voters, dead, settled } = this.#input;
    const ready = this.#candidates.filter((node) => settled.has(node));
    const most = Math.min(ready.length, (voters.length - 1) >> 1);
    const replaced = voters.filter((node) => dead.has(node)).slice(0, most);
    if (replaced.length === 0) return undefined;
    const stay = voters.filter((node) => !replaced.includes(node));
    return this.#filledUp(stay, replaced.length, ready);
  }

  #withoutResigning(): readonly NodeId[] | undefined {
    const { voters, resigning, leader } = this.#input;
    const tired = voters.filter((node) => resigning.has(node));
    return this.#exchanged(tired.find((node) => node !== leader) ?? tired[0], this.#candidates);
  }

  #withBetter(): readonly NodeId[] | undefined {
    const { voters, settled, surpassed, leader } = this.#input;
    const ready = this.#candidates.filter((node) => settled.has(node));
    // Worst first. A leader that is surpassed hands over before it is replaced (governor.ts).
    const others = voters.filter((node) => node !== leader).sort((a, b) => this.#byScore(b, a));
    const crowded = others.find((node) => this.#sharesMachine(node, voters));
    const elsewhere = ready.filter((node) => !this.#sharesMachine(node, voters));
    const spread = elsewhere.length === 0 ? undefined : this.#exchanged(crowded, elsewhere);
    if (spread !== undefined) return spread;
    const worst = others.find((node) => surpassed.has(node));
    if (worst === undefined) return undefined;
    const rest = voters.filter((node) => node !== worst);
    const { score } = this.#input;
    const better = ready.filter(
      (node) =>
        score(node) > score(worst) && (this.#sharesMachine(worst, rest) || !this.#sharesMachine(node, rest)),
    );
    return this.#exchanged(worst, better);
  }

  #exchanged(old: NodeId | undefined, successors: readonly NodeId[]): readonly NodeId[] | undefined {
    if (old === undefined) return undefined;
    return this.#filledUp(
      this.#input.voters.filter((node) => node !== old),
      1,
      successors,
    );
  }

  /** `count` of `candidates` (the best first) in addition, of other machines if there are such; undefined: they are too few. */
  #filledUp(
    stay: readonly NodeId[],
    count: number,
    candidates: readonly NodeId[],
  ): readonly NodeId[] | undefined {
    if (count > candidates.length) return undefined;
    const chosen = [...stay];
    const left = [...candidates];
    for (let missing = count; missing > 0; missing--) {
      const at = Math.max(
        0,
        left.findIndex((node) => !this.#sharesMachine(node, chosen)),
      );
      chosen.push(...left.splice(at, 1));
    }
    return chosen;
  }

  /** At most `count` of `nodes`: the leader, then those that live, then those on a machine of their own, then the best. */
  #best(nodes: readonly NodeId[], count: number): readonly NodeId[] {
    const { leader, live, resigning } = this.#input;
    const rank = (node: NodeId): number =>
      Number(node === leader && !resigning.has(node)) * 4 +
      Number(live.has(node)) * 2 +
      Number(!resigning.has(node));
    const left = nodes.toSorted((a, b) => rank(b) - rank(a) || this.#byScore(a, b));
    const chosen: NodeId[] = [];
    while (chosen.length < count && left[0] !== undefined) {
      const first = rank(left[0]);
      const apart = left.findIndex((node) => rank(node) === first && !this.#sharesMachine(node, chosen));
      chosen.push(...left.splice(Math.max(0, apart), 1));
    }
    return chosen;
  }

  #sharesMachine(node: NodeId, nodes: readonly NodeId[]): boolean {
    const { machine } = this.#input;
    const own = machine(node);
    return own !== "" && nodes.some((other) => other !== node && machine(other) === own);
  }

  #hasLivingMajority(nodes: readonly NodeId[]): boolean {
    const { live } = this.#input;
    return nodes.filter((node) => live.has(node)).length * 2 > nodes.length;
  }

  /** The better one first; equal ones in the same order on every leader. */
  #byScore(a: NodeId, b: NodeId): number {
    const { score } = this.#input;
    return score(b) - score(a) || (a < b ? -1 : 1);
  }
}
