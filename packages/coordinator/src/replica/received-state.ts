/**
 * The state of a leader's snapshot, decoded once, and in pieces.
 *
 * The Raft core asks whether a snapshot can be taken over before it gives up its log for it, and only decoding it tells. Of a large state that takes as
 * long and as much memory as taking it over, so the result is kept for the restore, which follows in the step that hears of it. A large state takes a
 * second or more: so each piece has a turn of the event loop, and until the last one the node lives on with the state that it has. A newer
 * snapshot takes the place of one that is half decoded.
 */

import { assert, SkeinError } from "@skein/kernel";
import type { Pieces } from "../pieces.ts";
import type { DecodedState } from "../state-machine/decoded-state.ts";

export interface ReceivedStatePorts {
  /** The state of a snapshot, for who will take it over. */
  readonly decode: (data: Uint8Array) => Pieces<DecodedState>;
  /** Calls back in another turn of the event loop, when others have had theirs. */
  readonly nextTurn: (callback: () => void) => void;
}

/** Whether it can be taken over. `error`: not by this program (ERR_SKEIN_VERSION). */
export type Checked = (isUsable: boolean, error: SkeinError | undefined) => void;

export class ReceivedState {
  readonly #ports: ReceivedStatePorts;
  /** What is half decoded. */
  #pieces: Pieces<DecodedState> | undefined;
  #found: { readonly data: Uint8Array; readonly state: DecodedState } | undefined;

  constructor(ports: ReceivedStatePorts) {
    this.#ports = ports;
  }

  /** Finds out whether `data` can be taken over, and calls `done`; at once if it is small. Whatever came before is given up, without a word. */
  check(data: Uint8Array, done: Checked): void {
    this.giveUp();
    this.#goOn(this.#ports.decode(data), data, done);
  }

  /**
   * The state of `data`, which was found usable last. It is handed out once, because it becomes the machine's own, and only until
   * {@link letGo}.
   */
  take(data: Uint8Array): DecodedState {
    const found = this.#found;
    this.#found = undefined;
    assert(found?.data === data, "a snapshot is restored in the step that has found it usable");
    return found.state;
  }

  /** Nobody has taken what was found, so nobody will: the log has come so far without it. */
  letGo(): void {
    this.#found = undefined;
  }

  /** What is half decoded, or found, is not wanted any more. */
  giveUp(): void {
    this.#pieces = undefined;
    this.#found = undefined;
  }

  #goOn(pieces: Pieces<DecodedState>, data: Uint8Array, done: Checked): void {
    this.#pieces = pieces;
    const piece = nextOf(pieces);
    if (piece instanceof SkeinError) {
      this.giveUp();
      done(false, piece.code === "ERR_SKEIN_VERSION" ? piece : undefined);
    } else if (piece.done === true) {
      this.#pieces = undefined;
      this.#found = { data, state: piece.value };
      done(true, undefined);
    } else {
      this.#ports.nextTurn(() => {
        if (this.#pieces === pieces) this.#goOn(pieces, data, done);
      });
    }
  }
}

/** The next piece, or what is wrong with the snapshot. */
function nextOf(pieces: Pieces<DecodedState>): IteratorResult<undefined, DecodedState> | SkeinError {
  try {
    return pieces.next();
  } catch (error) {
    if (error instanceof SkeinError) return error;
    throw error;
  }
}
