/**
 * P5 with `onQuorumLoss: hold`: nothing is acknowledged that is safe on one node only.
 *
 * Without a quorum what goes through the log waits for one; that it is acknowledged then is the matter of liveness.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class HeldWithoutQuorum implements Checker {
  readonly name = "held without a quorum";

  observe(observation: Observation): void {
    if (observation.kind !== "publishAcked" || observation.isSafeHereOnly !== true) return;
    const { payloadId, client, node, at } = observation;
    throw new CheckFailure(
      this.name,
      `${payloadId} of ${client} was acknowledged by ${node} alone at ${at} ms`,
    );
  }
}
