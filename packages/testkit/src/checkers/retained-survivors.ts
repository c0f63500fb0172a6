/**
 * P5, P8: a retained value that was acknowledged is there at the end on every node, unless a later write of its topic has
 * replaced it.
 *
 * While there are two clusters a write in one of them replaces nothing in the other: what is the last word is decided when they
 * merge, and the other value is listed (merge-union.ts). Nor does one that is under way when they become two: it may have been sent to a node
 * that belonged to neither yet, and whichever takes it, the other does not know of it.
 *
 * One that was acknowledged without a quorum may be the last word or not: it may lose to what was written meanwhile, and is listed then
 * (early-retained-writes.ts). So it replaces nothing either.
 *
 * For the runner's own load: each topic is written again and again from any node, and the sets of all nodes are compared with
 * what may be the last word. Deletions and the topics of clients are judged by retained-linearizable.ts.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import { ClusterWatch } from "./cluster-watch.ts";

export class RetainedSurvivors implements Checker {
  readonly name = "acknowledged retained messages";
  /** By topic: payloads that may be the last word, each with whether it is acknowledged. */
  readonly #candidates = new Map<string, Map<string, "open" | "acknowledged">>();
  readonly #clusters = new ClusterWatch();
  readonly #topicOf = new Map<string, string>();
  /** By payload: what was open or acknowledged on its topic when it was sent; its acknowledgement replaces these. */
  readonly #before = new Map<string, readonly string[]>();

  observe(observation: Observation): void {
    if (this.#clusters.observe(observation) && this.#clusters.isSplit) this.#before.clear();
    if (observation.kind === "publishSent" && observation.packet.retain) {
      const { topic, payloadId } = observation.packet;
      if (!topic.startsWith("topic/")) return;
      const candidates = this.#candidates.get(topic) ?? new Map<string, "open" | "acknowledged">();
      this.#candidates.set(topic, candidates);
      this.#topicOf.set(payloadId, topic);
      const settled = this.#clusters.isSplit
        ? []
        : [...candidates].filter(([, state]) => state === "acknowledged").map(([id]) => id);
      this.#before.set(payloadId, settled);
      candidates.set(payloadId, "open");
    } else if (observation.kind === "publishAcked" && observation.reasonCode < 0x80) {
      const { payloadId, isSafeHereOnly } = observation;
      if (isSafeHereOnly === true) return;
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
