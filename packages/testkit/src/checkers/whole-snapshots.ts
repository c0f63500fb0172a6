/**
 * P12: whatever stops a node, it starts from a snapshot that is whole; only a disk that has lost or changed something excuses one that is not.
 *
 * A node without its snapshot takes its state from the others, so nothing else shows that it has none until most of them lack it at once.
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export class WholeSnapshots implements Checker {
  readonly name = "whole snapshots";
  readonly #unreliable = new Set<string>();

  observe(observation: Observation): void {
    const { node, at, kind } = observation;
    if (node === undefined) return;
    // A copy of a disk has what is wrong with it.
    if ((kind === "damaged" && observation.how === "disk") || kind === "copied") this.#unreliable.add(node);
    if (kind === "snapshotDamaged" && !this.#unreliable.has(node))
      throw new CheckFailure(this.name, `at ${at} ms ${node} starts without its snapshot`);
  }
}
