/** The network of a simulation: it loses, delays, repeats, reorders and partitions, as its faults say. */

import { decodeRaftMessage, encodeRaftMessage, type RaftMessage, type ServerId } from "../../src/index.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Prng } from "./prng.ts";

/** How much later than usual a late message is. */
const LATE_FACTOR = 20;

export interface Faults {
  lossPercent: number;
  duplicatePercent: number;
  /** Messages that come long after others that were sent later. */
  latePercent: number;
  delayMaxMs: number;
  /** Directed pairs "from>to" that are cut. */
  readonly cut: Set<string>;
}

export class SimNetwork {
  readonly faults: Faults = {
    lossPercent: 0,
    duplicatePercent: 0,
    latePercent: 0,
    delayMaxMs: 5,
    cut: new Set(),
  };
  readonly #random: Prng;
  readonly #queue: EventQueue;

  constructor(random: Prng, queue: EventQueue) {
    this.#random = random;
    this.#queue = queue;
  }

  /** Calls `deliver` with what arrives of `message`: not at all, once or twice, each a while after `now`. */
  send(
    now: number,
    from: ServerId,
    to: ServerId,
    message: RaftMessage,
    deliver: (message: RaftMessage) => void,
  ): void {
    const { lossPercent, duplicatePercent, latePercent, delayMaxMs, cut } = this.faults;
    const bytes = encodeRaftMessage(message);
    const copies = this.#random.chance(duplicatePercent) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random.chance(lossPercent)) continue;
      const late = this.#random.chance(latePercent) ? delayMaxMs * LATE_FACTOR : 0;
      this.#queue.at(now + 1 + this.#random.below(delayMaxMs) + late, () => {
        if (!cut.has(`${from}>${to}`)) deliver(decodeRaftMessage(bytes));
      });
    }
  }

  /** Cuts both ways between every two servers of different `sides`. Who is on no side reaches all. */
  partition(...sides: readonly (readonly ServerId[])[]): void {
    for (const side of sides) {
      for (const other of sides) {
        if (side === other) continue;
        for (const a of side) for (const b of other) this.faults.cut.add(`${a}>${b}`);
      }
    }
  }
}
