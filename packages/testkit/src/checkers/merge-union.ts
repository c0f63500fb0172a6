/**
 * A merge of two clusters (I11): the union of both sides is preserved, each part is taken once, it is decided once, and a
 * dissolved cluster acknowledges nothing.
 *
 * Kept for each cluster: what each topic holds and at which index that changed last, from what nodes apply. When MERGED is
 * applied first, each value that the loser held at its cut, and each that the winner held before the first chunk, must be held,
 * listed as a conflict, or have been replaced by a write in the winner's log since. Conflicts that went before
 * somebody looked at them are more than a simulation makes. The loser's sessions at the cut are there right after MERGED, and
 * owed what they were owed then, in order.
 *
 * A node that has applied the DISSOLVE of its cluster acknowledges only retained writes that are in the log before it: any other is
 * one that nobody will keep. But for those that it acknowledges without a quorum: they are on its own disk, and go to the cluster
 * that takes the node in (early-retained-writes.ts).
 *
 * It ends with a blackout (`replicated`): the logs may go on from earlier indexes.
 */

import { type AppliedClusterCommand, type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { EarlyAcknowledgements } from "./early-acknowledgements.ts";

type Values = ReadonlyMap<string, number | null>;

interface Cluster {
  /** Highest index applied by anyone. */
  applied: number;
  /** As of that index. */
  isDissolved: boolean;
  readonly topics: Map<string, number | null>;
  /** Index of the last command that changed a topic. */
  readonly changedAt: Map<string, number>;
  /** What it held at each of its cuts. */
  readonly cuts: Map<number, Values>;
  /** What its sessions were owed then. */
  readonly owed: Map<number, AppliedClusterCommand["owed"]>;
  readonly resumed: Set<number>;
  /** By merge: what it held itself before the first chunk, and the index of that. */
  readonly begun: Map<string, { readonly index: number; readonly own: Values }>;
  readonly merged: Set<string>;
  readonly chunks: Set<string>;
}

export class MergeUnion implements Checker {
  readonly name = "merge";
  readonly #blackouts: BlackoutWatch;
  readonly #acknowledgements = new EarlyAcknowledgements();
  readonly #clusters = new Map<string, Cluster>();
  /** Nodes whose own cluster is dissolved as far as they have applied its log. */
  readonly #dissolved = new Set<string>();
  /** Retained publishes of the runner, by payload. */
  readonly #retained = new Set<string>();
  /** Those in a log that was not dissolved there. */
  readonly #kept = new Set<string>();
  #isOver = false;

  constructor(durability: Durability) {
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    this.#isOver ||= this.#blackouts.observe(observation);
    this.#acknowledgements.observe(observation);
    const { kind, node = "" } = observation;
    if (kind === "started" || kind === "restored") this.#dissolved.delete(node);
    if (kind === "publishSent" && observation.packet.retain) this.#sent(observation.packet.payloadId);
    if (kind === "publishAcked") this.#checkSilence(observation);
    if (kind === "applied") this.#applied(observation);
  }

  /** Deletions have no payload by which the log would show them. */
  #sent(payloadId: string): void {
    if (payloadId !== "" && !payloadId.startsWith("-")) this.#retained.add(payloadId);
  }

  #checkSilence(acknowledgement: Extract<Observation, { kind: "publishAcked" }>): void {
    const { node = "", payloadId, reasonCode, at } = acknowledgement;
    if (this.#isOver || !this.#dissolved.has(node) || reasonCode >= 0x80) return;
    if (!this.#retained.has(payloadId) || this.#kept.has(payloadId)) return;
    if (this.#acknowledgements.isEarly(acknowledgement)) return;
    this.#fail(`${node} acknowledges ${payloadId} at ${at} ms after its cluster's cut`);
  }

  #applied({
    node = "",
    cluster = "",
    index,
    command,
    clusters,
  }: Extract<Observation, { kind: "applied" }>): void {
    if (clusters?.isApplied && clusters.kind === "dissolve") this.#dissolved.add(node);
    if (clusters?.isApplied && clusters.kind === "resume") this.#dissolved.delete(node);
    const own = this.#of(cluster);
    if (this.#isOver || index <= own.applied) return;
    own.applied = index;
    const { topic, payloadId = "", held = null } = command ?? {};
    if (!own.isDissolved) this.#kept.add(payloadId);
    if (topic !== undefined && own.topics.get(topic) !== held) {
      own.topics.set(topic, held);
      own.changedAt.set(topic, index);
    }
    if (clusters?.isApplied) this.#decided(cluster, own, index, clusters);
  }

  #decided(name: string, own: Cluster, index: number, command: AppliedClusterCommand): void {
    const { kind, other, cut, chunk, topics, conflicts } = command;
    const merge = `${other} ${cut}`;
    if (kind === "dissolve") {
      own.isDissolved = true;
      own.cuts.set(index, new Map(own.topics));
      own.owed.set(index, command.owed);
    } else if (kind === "resume") {
      own.isDissolved = false;
      own.resumed.add(cut);
      for (const winner of this.#clusters.values())
        if (winner.merged.has(`${name} ${cut}`)) this.#fail(`${name} resumes although it has been merged`);
    } else if (kind === "merge") {
      if (own.chunks.has(`${merge} ${chunk}`))
        this.#fail(`chunk ${chunk} of ${merge} is taken twice in ${name}`);
      own.chunks.add(`${merge} ${chunk}`);
      if (!own.begun.has(merge)) own.begun.set(merge, { index, own: new Map(own.topics) });
      for (const { topic, held } of topics) own.topics.set(topic, held);
    } else if (kind === "merged") {
      own.merged.add(merge);
      const loser = this.#of(other);
      if (loser.resumed.has(cut)) this.#fail(`${other} is merged although it has resumed`);
      const begun = own.begun.get(merge);
      const lost = new Set(conflicts.map(({ topic, value }) => `${topic} ${value}`));
      if (!command.mayLack) this.#checkOwed(command.owed, loser.owed.get(cut) ?? [], merge);
      this.#checkUnion(own, loser.cuts.get(cut), begun?.index ?? 0, lost, `${other} at its cut`);
      this.#checkUnion(own, begun?.own, begun?.index ?? 0, lost, `${name} before the merge`);
    }
  }

  #checkOwed(
    owed: AppliedClusterCommand["owed"],
    before: AppliedClusterCommand["owed"],
    merge: string,
  ): void {
    const now = new Map(owed.map(({ client, payloads }) => [client, payloads]));
    for (const { client, payloads } of before) {
      const after = now.get(client);
      if (after === undefined) this.#fail(`the session of ${client} is gone after the merge of ${merge}`);
      const left = payloads.values();
      let next = left.next();
      for (const payload of after) if (payload === next.value) next = left.next();
      if (next.done !== true)
        this.#fail(`${client} is not owed ${next.value} any more after the merge of ${merge}`);
    }
  }

  #checkUnion(
    own: Cluster,
    values: Values | undefined,
    since: number,
    lost: ReadonlySet<string>,
    whose: string,
  ): void {
    if (values === undefined) this.#fail(`nobody knows what was held by ${whose}`);
    for (const [topic, value] of values) {
      if (value === null || own.topics.get(topic) === value || lost.has(`${topic} ${value}`)) continue;
      if ((own.changedAt.get(topic) ?? 0) > since) continue;
      this.#fail(
        `"${topic}" held ${value} in ${whose}, and is ${own.topics.get(topic)} now, without a conflict`,
      );
    }
  }

  #fail(message: string): never {
    throw new CheckFailure(this.name, message);
  }

  #of(cluster: string): Cluster {
    let known = this.#clusters.get(cluster);
    if (known === undefined) {
      known = {
        applied: 0,
        isDissolved: false,
        topics: new Map(),
        changedAt: new Map(),
        cuts: new Map(),
        owed: new Map(),
        resumed: new Set(),
        begun: new Map(),
        merged: new Set(),
        chunks: new Set(),
      };
      this.#clusters.set(cluster, known);
    }
    return known;
  }
}
