/**
 * The state of a leader's snapshot, decoded once.
 *
 * The Raft core asks whether a snapshot can be taken over before it gives up its log for it, and only decoding it tells. Of a large state that takes as
 * long and as much memory as taking it over, so the result is kept for the restore, which follows in the same step, and is let go with it.
 */

import { assert, SkeinError } from "@skein/kernel";
import type { ReplicatedState } from "../state-machine/snapshot.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

export class ReceivedState {
  readonly #machine: Pick<StateMachine, "decode">;
  #found: { readonly data: Uint8Array; readonly state: ReplicatedState } | undefined;

  /** For what `machine` can take over. */
  constructor(machine: Pick<StateMachine, "decode">) {
    this.#machine = machine;
  }

  /**
   * Whether `data` can be taken over. What was found before is forgotten.
   * @throws {SkeinError} ERR_SKEIN_VERSION: not by this program
   */
  isUsable(data: Uint8Array): boolean {
    this.#found = undefined;
    try {
      this.#found = { data, state: this.#machine.decode(data) };
      return true;
    } catch (error) {
      if (error instanceof SkeinError && error.code !== "ERR_SKEIN_VERSION") return false;
      throw error;
    }
  }

  /** The state of `data`, which {@link isUsable} has found usable last. It is handed out once, because it becomes the machine's own. */
  take(data: Uint8Array): ReplicatedState {
    const found = this.#found;
    this.#found = undefined;
    assert(found?.data === data, "a snapshot is restored in the step that has found it usable");
    return found.state;
  }
}
