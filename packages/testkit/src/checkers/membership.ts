/**
 * Who votes and who belongs to the mesh: never two voters for good, nobody twice, nobody back who was removed, and at the end as
 * many voters as the policy says. No node founds the mesh anew: simulated operators never give up all other voters.
 *
 * What each node believes is its newest configuration, of which both sets count while voters change. So numbers are judged at the end
 * only, when the mesh has been healed for long; there a dead member may still count, and so two answers are right.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

/** A node that has been gone for so long is dead for everybody. */
export const ABSENT_UNTIL_DEAD_MS = 12_000;

/** A joint configuration, in which both sets count, is over by then, and who has come back has caught up. */
const AT_REST_MS = 20_000;

interface Roster {
  readonly since: number;
  readonly voters: readonly string[];
  readonly learners: readonly string[];
}

export class Membership implements Checker {
  readonly name = "membership";
  /** What each running node believes. */
  readonly #rosters = new Map<string, Roster>();
  /** Since when. */
  readonly #running = new Map<string, number>();
  readonly #removed = new Set<string>();
  readonly #clusterOf = new Map<string, string>();
  #now = 0;

  observe(observation: Observation): void {
    const { node, kind } = observation;
    this.#now = observation.at;
    if (node === undefined) return;
    if (kind === "started") this.#running.set(node, observation.at);
    else if (kind === "stopped" && observation.how !== "pause" && observation.how !== "resume")
      this.#gone(node);
    else if (kind === "belongs") this.#belongs(node, observation.to);
    else if (kind === "removed") this.#removed.add(node);
    else if (kind === "configuration") {
      const { voters, learners } = observation;
      this.#rosters.set(node, { since: observation.at, voters, learners });
    }
  }

  finish(): void {
    for (const [node, { since, voters, learners }] of this.#rosters) {
      if (!this.#running.has(node) || this.#now - since < AT_REST_MS) continue;
      const members = [...voters, ...learners];
      if (new Set(members).size < members.length)
        throw new CheckFailure(this.name, `${node} counts a node twice: ${voters} and ${learners}`);
      const back = members.find((member) => this.#removed.has(member));
      if (back !== undefined) throw new CheckFailure(this.name, `${node} has ${back}, which was removed`);
      // Who has come back a moment ago has still to catch up before it can vote.
      const living = members.filter(
        (member) => this.#now - (this.#running.get(member) ?? this.#now) >= AT_REST_MS,
      );
      const [fewest, most] = [votersFor(living.length), votersFor(members.length)];
      if (voters.length % 2 === 0 || voters.length < fewest || voters.length > most)
        throw new CheckFailure(
          this.name,
          `${node} rests at ${voters.length} voters of ${members.length} members, ${living.length} of them alive for long`,
        );
    }
  }

  /** Who is taken over by another cluster gets a new id. */
  #belongs(node: string, cluster: string): void {
    const before = this.#clusterOf.get(node) ?? cluster;
    this.#clusterOf.set(node, cluster);
    if (before !== cluster)
      throw new CheckFailure(
        this.name,
        `${node} has founded ${cluster} anew, and others of ${before} are left`,
      );
  }

  #gone(node: string): void {
    this.#running.delete(node);
    this.#rosters.delete(node);
  }
}

/** architecture.md, section 5, written down once more. */
function votersFor(members: number): number {
  if (members < 3) return 1;
  return members < 7 ? 3 : 5;
}
