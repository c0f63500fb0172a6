/**
 * P8: the replicated state is what the log says, step by step: every command takes effect once, in its proposer's order.
 *
 * A model of the state machine in a few lines, fed with the commands as they are applied anywhere for the first time:
 * per proposer the number of the last command that counts, per topic its value. Every node must then hold, right after
 * it has applied an entry, what the model held at that index for the topic concerned. So a command that is applied twice,
 * out of turn or not at all shows at once, even where a later one hides it again.
 *
 * What was acknowledged without a quorum takes effect only over what its node had seen, or over an earlier such write; that rule is here
 * once more, in as few words as it takes.
 *
 * A merge changes topics by rules of its own (merge-union.ts): what the first node to apply it holds then all must hold. While a
 * cluster is dissolved no command counts.
 *
 * It ends with a blackout (`replicated`): the log may go on from an earlier index, in a state the model has not kept.
 *
 * Source: reference design, section 4.3 rule 1; model-based testing as in FoundationDB and TigerBeetle (section 5.1).
 */

import {
  type AppliedClusterCommand,
  type AppliedCommand,
  type Checker,
  CheckFailure,
  type Observation,
} from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";

type Value = number | null;

interface Held {
  readonly value: Value;
  readonly index: number;
  /** Who wrote it without a quorum, and when. */
  readonly author: string | undefined;
  readonly stamp: number;
  /** As a replica said that it is: the model cannot tell which of several writes that was. */
  readonly isHearsay?: boolean;
}

export class ReplicaModel implements Checker {
  readonly name = "replica model";
  readonly #blackouts: BlackoutWatch;
  /** Highest incarnation of each proposer, and its last command that counted. */
  readonly #proposers = new Map<string, { incarnation: number; last: number }>();
  readonly #topics = new Map<string, Held>();
  /** By log index: what a node must hold for the topic of that entry once it has applied it. */
  readonly #expected: Value[] = [];
  #isOver = false;
  #isDissolved = false;
  /** By log index: what must be held after that part of a merge. */
  readonly #merges = new Map<number, AppliedClusterCommand>();

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    this.#isOver ||= this.#blackouts.observe(observation);
    if (this.#isOver || observation.kind !== "applied") return;
    const { index, command, clusters, node, at } = observation;
    if (clusters !== undefined) this.#applyClusters(index, clusters, `${node} at ${at} ms`);
    if (command === undefined) return;
    if (index >= this.#expected.length) {
      this.#apply(command, index);
      this.#expected[index] =
        command.topic === undefined ? null : (this.#topics.get(command.topic)?.value ?? null);
    }
    const expected = this.#expected[index] ?? null;
    if (command.held === expected) return;
    throw new CheckFailure(
      this.name,
      `${node} holds ${command.held} for "${command.topic}" after entry ${index} at ${at} ms, which must be ${expected}`,
    );
  }

  #applyClusters(index: number, command: AppliedClusterCommand, who: string): void {
    if (index >= this.#expected.length) {
      this.#expected[index] = null;
      this.#merges.set(index, command);
      if (!command.isApplied) return;
      if (command.kind === "dissolve" || command.kind === "resume")
        this.#isDissolved = command.kind === "dissolve";
      for (const { topic, held } of command.topics) this.#topics.set(topic, hearsay(held, index));
      return;
    }
    const first = JSON.stringify(this.#merges.get(index));
    const own = JSON.stringify(command);
    if (first === own) return;
    throw new CheckFailure(this.name, `${who} makes ${own} of entry ${index}, which was ${first} before`);
  }

  #apply(command: AppliedCommand, index: number): void {
    const { proposer, incarnation, seq, through } = command;
    if (this.#isDissolved) return;
    const known = this.#proposers.get(proposer) ?? { incarnation: 0, last: 0 };
    if (incarnation < known.incarnation) return;
    const last = incarnation > known.incarnation ? 0 : known.last;
    if (through <= last || seq > last + 1) return;
    this.#proposers.set(proposer, { incarnation, last: through });
    if (command.topic !== undefined) this.#write(command.topic, command, index);
  }

  #write(topic: string, command: AppliedCommand, index: number): void {
    const { value, held, proposer, alone, isHearsay } = command;
    const before = this.#topics.get(topic);
    // The stamps of ordinary writes are not kept here.
    const isBeyond =
      alone !== undefined && (before?.isHearsay || (alone.seenThrough === 0 && !before?.author));
    if (isHearsay || isBeyond) this.#topics.set(topic, hearsay(held, index));
    else if (alone === undefined || before === undefined || !stays(before, alone, proposer))
      this.#topics.set(topic, { value, index, author: alone && proposer, stamp: alone?.stamp ?? 0 });
    // What stays may have expired.
    else if (held === null) this.#topics.set(topic, { ...before, value: null });
  }
}

function stays(
  { index, author, stamp }: Held,
  alone: NonNullable<AppliedCommand["alone"]>,
  proposer: string,
): boolean {
  if (author === undefined) return index > alone.seenThrough;
  return (author !== proposer || alone.seenThrough === 0) && stamp >= alone.stamp;
}

function hearsay(value: Value, index: number): Held {
  return { value, index, author: undefined, stamp: 0, isHearsay: true };
}
