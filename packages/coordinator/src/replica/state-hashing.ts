/**
 * When a replica hashes its state, so that the leader can compare it with the others' (raft-js, state-hash.ts).
 *
 * All must hash at the same places of the log to be compared: every hundred entries, and, so that a mesh in which nothing is written
 * does not wait for them, wherever the log has stood still for ten seconds. One hash is kept up to date of the whole state, so it costs
 * the same however large that is; whoever differs takes over the leader's state as a whole (decision 0017).
 */

import type { MonotonicMs } from "@skein/kernel";
import type { StateHash } from "raft-js";
import type { StateMachine } from "../state-machine/state-machine.ts";

const EVERY_ENTRIES = 100;
const QUIET_MS = 10_000;

export class StateHashing {
  readonly #machine: Pick<StateMachine, "stateHash">;
  readonly #told: (stateHash: StateHash) => void;
  #hashed = 0;
  #seen = 0;
  #seenAt = 0;

  /** `told` hears each hash that is taken. */
  constructor(machine: Pick<StateMachine, "stateHash">, told: (stateHash: StateHash) => void) {
    this.#machine = machine;
    this.#told = told;
  }

  /** The entry `index` has been applied. */
  applied(index: number): void {
    if (index % EVERY_ENTRIES === 0) this.#take(index);
  }

  /** Nothing after the entry `index` has been applied so far. Call it about once a second. */
  tick(index: number, now: MonotonicMs): void {
    if (index !== this.#seen) {
      this.#seen = index;
      this.#seenAt = now;
    }
    if (index > this.#hashed && now - this.#seenAt >= QUIET_MS) this.#take(index);
  }

  /** The state is another one now. */
  restored(): void {
    this.#hashed = 0;
  }

  #take(index: number): void {
    this.#hashed = index;
    this.#told({ index, hash: this.#machine.stateHash() });
  }
}
