/**
 * Which retained writes were acknowledged without a quorum: such an acknowledgement says that the write is on the disk of that one
 * node, and nothing about the store that all share (P5, "Without a quorum").
 *
 * A 5.0 client is told. A 3.x client cannot be: what it hears from a node that has not had a quorum all the time since the write was
 * sent may mean no more than that, and only `status` says so.
 */

import type { Observation } from "../observations.ts";
import { QuorumLedger } from "./quorum-ledger.ts";

type Acknowledgement = Extract<Observation, { kind: "publishAcked" }>;

export class EarlyAcknowledgements {
  readonly #quorum = new QuorumLedger();
  /** By client and payload: when a retained publish was sent last, in the world's ms. */
  readonly #sentAt = new Map<string, number>();

  observe(observation: Observation): void {
    this.#quorum.observe(observation);
    if (observation.kind !== "publishSent" || !observation.packet.retain) return;
    this.#sentAt.set(`${observation.client} ${observation.packet.payloadId}`, observation.at);
  }

  isEarly({ client, payloadId, node, at, isSafeHereOnly, isUntold }: Acknowledgement): boolean {
    if (isSafeHereOnly === true) return true;
    return (
      isUntold === true && !this.#quorum.hasSince(node, this.#sentAt.get(`${client} ${payloadId}`) ?? at)
    );
  }
}
