/** The promises without which nothing else matters, in their simplest form. */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

/** Raft: at most one leader in a term (paper, figure 3, Election Safety). */
export class OneLeaderPerTerm implements Checker {
  readonly name = "one leader per term";
  readonly #leaders = new Map<number, string>();

  observe(observation: Observation): void {
    if (observation.kind !== "leader") return;
    const { term, node = "" } = observation;
    const before = this.#leaders.get(term);
    if (before !== undefined && before !== node)
      throw new CheckFailure(this.name, `${before} and ${node} both lead term ${term}`);
    this.#leaders.set(term, node);
  }
}

/**
 * Raft: what one node has applied at an index, every node applies there (figure 3, State Machine Safety). After a blackout of
 * all nodes the log goes on from what the disks had: the `replicated` profile promises no more.
 */
export class SameLogEverywhere implements Checker {
  readonly name = "same log everywhere";
  readonly #running = new Set<string>();
  readonly #applied = new Map<number, { readonly hash: number; readonly node: string }>();

  observe(observation: Observation): void {
    const { node = "" } = observation;
    if (observation.kind === "started") this.#running.add(node);
    if (observation.kind === "stopped") this.#stopped(node, observation.how);
    if (observation.kind !== "applied") return;
    const { index, hash } = observation;
    const first = this.#applied.get(index);
    if (first === undefined) this.#applied.set(index, { hash, node });
    else if (first.hash !== hash)
      throw new CheckFailure(this.name, `${first.node} and ${node} applied different entries up to ${index}`);
  }

  #stopped(node: string, how: string): void {
    if (how === "pause" || how === "resume") return;
    this.#running.delete(node);
    if (how === "power" && this.#running.size === 0) this.#applied.clear();
  }
}

/** P8: a retained value that was acknowledged is there at the end, unless a later write of the topic has replaced it. */
export class AcknowledgedRetained implements Checker {
  readonly name = "acknowledged retained messages";
  /** By topic: payloads that may be the last word, each with whether it is acknowledged. */
  readonly #candidates = new Map<string, Map<string, "open" | "acknowledged">>();
  readonly #topicOf = new Map<string, string>();
  /** By payload: what was open or acknowledged on its topic when it was sent; its acknowledgement replaces these. */
  readonly #before = new Map<string, readonly string[]>();

  observe(observation: Observation): void {
    if (observation.kind === "publishSent" && observation.packet.retain) {
      const { topic, payloadId } = observation.packet;
      // Deletions and other writers' topics are judged by the registers of retained-linearizable.ts.
      if (!topic.startsWith("topic/")) return;
      const candidates = this.#candidates.get(topic) ?? new Map<string, "open" | "acknowledged">();
      this.#candidates.set(topic, candidates);
      this.#topicOf.set(payloadId, topic);
      const settled = [...candidates].filter(([, state]) => state === "acknowledged").map(([id]) => id);
      this.#before.set(payloadId, settled);
      candidates.set(payloadId, "open");
    } else if (observation.kind === "publishAcked" && observation.reasonCode < 0x80) {
      const { payloadId } = observation;
      const candidates = this.#candidates.get(this.#topicOf.get(payloadId) ?? "");
      if (candidates?.has(payloadId) !== true) return;
      candidates.set(payloadId, "acknowledged");
      for (const older of this.#before.get(payloadId) ?? []) candidates.delete(older);
    }
  }

  /** @param sets the retained sets of all nodes. @throws {CheckFailure} */
  judge(sets: readonly ReadonlyMap<string, string>[]): void {
    for (const [topic, candidates] of this.#candidates) {
      const hasAcknowledged = [...candidates.values()].includes("acknowledged");
      for (const set of sets) {
        const value = set.get(topic);
        if (value === undefined ? hasAcknowledged : !candidates.has(value))
          throw new CheckFailure(
            this.name,
            `"${topic}" is ${value}, may be ${[...candidates.keys()].join(" or ")}`,
          );
      }
    }
  }
}
