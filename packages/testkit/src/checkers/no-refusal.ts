/**
 * P11: never a transient refusal. The clients of a simulation do nothing wrong, so no CONNACK may refuse one: some real
 * clients give up for ever when it does.
 *
 * Source: architecture.md section 2, P11; reference/users.md 2.2.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class NoRefusal implements Checker {
  readonly name = "no refusal";

  observe(observation: Observation): void {
    if (observation.kind !== "refused") return;
    const { client, node, code, at } = observation;
    throw new CheckFailure(this.name, `${client} was refused with code ${code} by ${node} at ${at} ms`);
  }
}
