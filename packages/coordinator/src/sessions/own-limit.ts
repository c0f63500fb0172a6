/** Tells the mesh how many bytes of owed messages this node has room for, where the log says otherwise or nothing. */

import type { NodeId } from "@skein/kernel";
import type { Proposals } from "../proposals/proposals.ts";
import type { Driver } from "../replica/driver.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

export class OwnLimit {
  readonly #node: NodeId;
  readonly #owedBytesMax: number | undefined;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  #isUnderWay = false;

  /** `owedBytesMax`; undefined: this node has nothing to say. */
  constructor(node: NodeId, owedBytesMax: number | undefined, machine: StateMachine, proposals: Proposals) {
    this.#node = node;
    this.#owedBytesMax = owedBytesMax;
    this.#machine = machine;
    this.#proposals = proposals;
  }

  /** A few times a second. */
  tick(driver: Driver | undefined): void {
    const owedBytesMax = this.#owedBytesMax;
    if (this.#isUnderWay || owedBytesMax === undefined || driver === undefined) return;
    const { leadership, applied } = driver;
    // Before the log has come here this node does not know what it has said.
    if (leadership.leader === undefined || applied.term !== leadership.term) return;
    if (this.#machine.limits.of(this.#node) === owedBytesMax) return;
    this.#isUnderWay = true;
    const settle = (): void => {
      this.#isUnderWay = false;
    };
    this.#proposals.propose({ kind: "storeLimit", owedBytesMax }, { settle }, true);
  }
}
