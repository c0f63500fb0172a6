/**
 * A kept session without room does not get a message, and everybody hears of that who can: nobody is passed by who has room, and a 5.0 publisher
 * of QoS 1 is told. That the message reaches all others, and that none is left out without a count, is for durable-loss.ts and exactly-once.ts.
 *
 * What is claimed of the publisher is claimed of what it has sent once: who sends again may hear of another copy, or of one that it was told of
 * before. Without a quorum nobody knows of queues that will have no room, and of a snapshot nobody learns what became of single messages.
 *
 * Source: docs/decisions/0016; docs/guarantees.md, P5.
 */

import type { QoS } from "@skein/kernel";
import { type Checker, CheckFailure, type Observation } from "../observations.ts";

interface Publish {
  readonly qos: QoS;
  /** Where it was sent. */
  readonly node: string | undefined;
  sendings: number;
  isPassed: boolean;
  /** Its node has got a snapshot, which may hold it. */
  isUnknown: boolean;
}

export class PassedBy implements Checker {
  readonly name = "passed by";
  /** What each session may be owed. */
  readonly #queuedMessagesMax: number;
  /** QoS 1 and 2 that are not answered. */
  readonly #publishes = new Map<string, Publish>();

  constructor(queuedMessagesMax: number) {
    this.#queuedMessagesMax = queuedMessagesMax;
  }

  observe(observation: Observation): void {
    if (observation.kind === "applied") this.#applied(observation);
    else if (observation.kind === "restored") this.#restored(observation.node);
    else if (observation.kind === "publishSent") this.#sent(observation);
    else if (observation.kind === "publishAcked") this.#acked(observation);
  }

  #applied({ passed = [], node, at }: Extract<Observation, { kind: "applied" }>): void {
    for (const { client, payloadId, queued, isRetained } of passed) {
      const publish = this.#publishes.get(payloadId);
      // What a SUBSCRIBE does not get was published before: its publisher has its answer, on its way perhaps, and that was true.
      if (publish !== undefined && isRetained !== true) publish.isPassed = true;
      if (queued !== undefined && queued < this.#queuedMessagesMax)
        throw new CheckFailure(
          this.name,
          `${node} says at ${at} ms that ${payloadId} has passed ${client} by, which is owed ${queued} messages`,
        );
    }
  }

  /** Forgets nothing: what is sent again now has been sent before. */
  #restored(node: string | undefined): void {
    for (const publish of this.#publishes.values()) if (publish.node === node) publish.isUnknown = true;
  }

  #sent({ packet, node }: Extract<Observation, { kind: "publishSent" }>): void {
    const { payloadId, qos } = packet;
    if (qos === 0) return;
    const publish = this.#publishes.get(payloadId) ?? {
      qos,
      node,
      sendings: 0,
      isPassed: false,
      isUnknown: false,
    };
    publish.sendings++;
    this.#publishes.set(payloadId, publish);
  }

  #acked(acked: Extract<Observation, { kind: "publishAcked" }>): void {
    const { client, payloadId, reasonCode, isUntold, isSafeHereOnly, at } = acked;
    const publish = this.#publishes.get(payloadId);
    this.#publishes.delete(payloadId);
    if (publish?.qos !== 1 || publish.sendings > 1 || publish.isUnknown || !publish.isPassed) return;
    if (isUntold === true || isSafeHereOnly === true || reasonCode >= 0x80) return;
    throw new CheckFailure(
      this.name,
      `${client} was not told that ${payloadId} has passed a session by, and hears of a success at ${at} ms`,
    );
  }
}
