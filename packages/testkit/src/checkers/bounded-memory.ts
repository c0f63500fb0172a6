/**
 * Every queue that a peer or a stranger can grow stays under its stated cap, at every step.
 *
 * The caps are given by name, because each belongs to the part that owns the queue. A queue that nobody gave a cap is a
 * failure as well: it is exactly the one that grows.
 *
 * Source: reference design, 5.4 (I8); architecture.md section 7.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class BoundedMemory implements Checker {
  readonly name = "bounded memory";
  readonly #capBytes: ReadonlyMap<string, number>;

  /** @param capBytes most bytes that a queue of this name may hold on one node */
  constructor(capBytes: ReadonlyMap<string, number>) {
    this.#capBytes = capBytes;
  }

  observe(observation: Observation): void {
    if (observation.kind !== "memory") return;
    const { queueName, bytes, node, at } = observation;
    const cap = this.#capBytes.get(queueName);
    if (cap === undefined) throw new CheckFailure(this.name, `queue "${queueName}" has no cap`);
    if (bytes > cap) {
      throw new CheckFailure(
        this.name,
        `queue "${queueName}" of ${node} holds ${bytes} bytes of at most ${cap}, at ${at} ms`,
      );
    }
  }
}
