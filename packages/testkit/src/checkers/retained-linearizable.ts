/**
 * P8: one retained store. Each topic is a register that all nodes share, deletions included.
 *
 * Retained publishes are writes, from their sending to their acknowledgement; one that was refused, has QoS 0 or was
 * never acknowledged may take effect at any later time or never. So may one that was acknowledged without a quorum
 * (early-acknowledgements.ts): it has to wait for one, and may lose then (early-retained-writes.ts). The replay after a SUBSCRIBE is a read, from its
 * SUBSCRIBE to its last message, and one order of all reads and writes of a topic must explain them (Wing-Gong-Lowe,
 * linearizability.ts).
 *
 * A node that lets read what it knows, because no quorum answers, says so; then a weaker rule holds
 * (uncertain-reads.ts). As long as nothing is wrong with the mesh that must be the exception.
 *
 * While the nodes belong to two clusters, each serves its own store, and nothing is judged (cluster-watch.ts).
 *
 * Source: architecture.md section 2, P8; reference design, 5.4 (I6).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { EarlyAcknowledgements } from "./early-acknowledgements.ts";
import { checkLinearizable, describe, type Operation, type RegisterValue } from "./linearizability.ts";
import { type RegisterWrite, UncertainReads, type UncertainReadsOptions } from "./uncertain-reads.ts";

interface Write extends RegisterWrite {
  to: number;
}

interface Register {
  /** What it may hold in the beginning. */
  readonly initial: readonly RegisterValue[];
  /** What was there in the beginning or was written since. */
  readonly known: Set<RegisterValue>;
  readonly writes: Write[];
  /** Those that are not acknowledged. */
  readonly open: Set<Write>;
  readonly reads: Operation[];
}

const DEFAULTS: UncertainReadsOptions = { lagMs: 6000, settleMs: 10_000 };
/**
 * Of at least so many reads on a mesh that is well, at most so many may be without a quorum. Some are: ways that are
 * slower by less than a second, and packets that are sent again, do not count as faults, but use up a node's patience. What is
 * asked at one moment waits for one answer, so it is one read, however many topics it is about.
 */
const WELL_READS_MIN = 40;
const UNCERTAIN_PER_CENT_MAX = 50;

export class RetainedLinearizable implements Checker {
  readonly name = "retained store";
  readonly #uncertain: UncertainReads;
  readonly #blackouts: BlackoutWatch;
  readonly #clusters = new ClusterWatch();
  readonly #acknowledgements = new EarlyAcknowledgements();
  /** Since when there have been as many stores as now. */
  #clustersSince = 0;
  readonly #registers = new Map<string, Register>();
  /** Retained writes by payload id, the newest sending last; deletions carry ids of their own too. */
  readonly #writes = new Map<string, { readonly topic: string; readonly write: Write }>();
  /** Reads on a mesh that was well, and which was the last one. */
  readonly #onWell = { reads: 0, uncertain: 0, last: "" };

  constructor(durability: Durability, options: Partial<UncertainReadsOptions> = {}) {
    this.#blackouts = new BlackoutWatch(durability);
    this.#uncertain = new UncertainReads({ ...DEFAULTS, ...options });
  }

  observe(observation: Observation): void {
    this.#uncertain.observe(observation);
    this.#acknowledgements.observe(observation);
    if (this.#blackouts.observe(observation)) this.#beginAnew();
    const { at, node } = observation;
    if (this.#clusters.observe(observation)) this.#splitOrUnited(at);
    if (observation.kind === "publishSent") {
      const { topic, payloadId, retain } = observation.packet;
      if (!retain) return;
      const value = registerValue(payloadId);
      const write: Write = { kind: "write", value, node, from: at, to: Number.POSITIVE_INFINITY };
      const register = this.#register(topic);
      register.writes.push(write);
      register.open.add(write);
      register.known.add(value);
      this.#writes.set(`${observation.client} ${payloadId}`, { topic, write });
    } else if (observation.kind === "publishAcked") {
      const known = this.#writes.get(`${observation.client} ${observation.payloadId}`);
      if (known === undefined || observation.reasonCode >= 0x80) return;
      if (this.#acknowledgements.isEarly(observation)) return;
      known.write.to = at;
      this.#register(known.topic).open.delete(known.write);
    } else if (observation.kind === "retainedRead") {
      this.#read(observation, at, node);
    }
  }

  /** While there are two stores nothing is judged; the one that comes out may hold what was ever written to either. */
  #splitOrUnited(at: number): void {
    this.#clustersSince = at;
    if (this.#clusters.isSplit) this.#judgeOrders();
    this.#renewRegisters();
  }

  /** Judges what was until the blackout; afterwards each register may hold what was ever written to it. */
  #beginAnew(): void {
    this.#judgeOrders();
    this.#renewRegisters();
  }

  #renewRegisters(): void {
    for (const [topic, { initial, writes, open }] of [...this.#registers]) {
      const values = new Set([null, ...initial, ...writes.map(({ value }) => value)]);
      const register = newRegister([...values]);
      // They may take effect in what comes, out of an outbox for instance, or have done so before: their acknowledgement says no more
      // which of the two.
      for (const { value, node, from } of open) {
        const write: Write = { kind: "write", value, node, from, to: Number.POSITIVE_INFINITY };
        register.writes.push(write);
        register.open.add(write);
      }
      this.#registers.set(topic, register);
    }
  }

  finish(): void {
    if (!this.#clusters.isSplit) this.#judgeOrders();
    const { reads, uncertain } = this.#onWell;
    if (reads < WELL_READS_MIN || uncertain * 100 <= reads * UNCERTAIN_PER_CENT_MAX) return;
    throw new CheckFailure(this.name, `${uncertain} of ${reads} reads on a healthy mesh without a quorum`);
  }

  #judgeOrders(): void {
    for (const [topic, { initial, writes, reads }] of this.#registers) {
      if (reads.length === 0) continue;
      const verdict = checkLinearizable([...reads, ...writes], initial);
      if (verdict.kind === "linearizable") continue;
      const text = verdict.operations.map(describe).join("\n  ");
      const what =
        verdict.kind === "undecided"
          ? "too many at once to decide"
          : `no order explains what follows ${verdict.before.map((value) => value ?? "nothing").join(" or ")}`;
      throw new CheckFailure(this.name, `topic "${topic}": ${what}\n  ${text}`);
    }
  }

  #read(
    { client, topic, payloadId, askedAt }: Extract<Observation, { kind: "retainedRead" }>,
    at: number,
    node: string | undefined,
  ): void {
    const value = payloadId === null ? null : registerValue(payloadId);
    const register = this.#register(topic);
    if (!register.known.has(value)) {
      throw new CheckFailure(
        this.name,
        `${client} reads "${value}" of topic "${topic}", which nobody wrote there`,
      );
    }
    const read: Operation = { kind: "read", value, from: askedAt, to: at };
    const isUncertain = this.#uncertain.isUncertain(node, askedAt);
    const asked = `${client} ${node} ${askedAt}`;
    if (this.#onWell.last !== asked && this.#uncertain.isMeshWell(askedAt)) {
      this.#onWell.last = asked;
      this.#onWell.reads++;
      if (isUncertain) this.#onWell.uncertain++;
    }
    // What was asked before there was one store may be answered from what is behind by now.
    if (this.#clusters.isSplit || askedAt < this.#clustersSince) return;
    if (isUncertain) this.#uncertain.judge(this.name, topic, register, read, node);
    else register.reads.push(read);
  }

  #register(topic: string): Register {
    let register = this.#registers.get(topic);
    if (register === undefined) {
      register = newRegister([null]);
      this.#registers.set(topic, register);
    }
    return register;
  }
}

function newRegister(initial: readonly RegisterValue[]): Register {
  return { initial, known: new Set(initial), writes: [], open: new Set(), reads: [] };
}

/** An empty payload deletes: a register without a message. Deletions have ids that begin with a dash. */
function registerValue(payloadId: string): RegisterValue {
  return payloadId === "" || payloadId.startsWith("-") ? null : payloadId;
}
