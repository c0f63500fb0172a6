/**
 * How far the log is committed, on its way into the journal.
 *
 * A server that starts again and finds no leader knows its state by this note: the entries alone do not tell. It is not worth a
 * write of its own while others come anyway, and it may lag; so it goes with the next one, or by itself when none has come for
 * a while.
 */

export class CommitNote {
  /** Committed as far as is known, and as far as the records say. */
  #index: number;
  #writtenIndex: number;

  constructor(index: number) {
    this.#index = index;
    this.#writtenIndex = index;
  }

  get isDue(): boolean {
    return this.#index !== this.#writtenIndex;
  }

  /** Call about once a second. True: nothing has been written since the last call, and the note still waits. */
  set(index: number): boolean {
    const isWaiting = index === this.#index && this.isDue;
    this.#index = index;
    return isWaiting;
  }

  /** For the write that begins now; undefined: there is nothing new to say. */
  take(): number | undefined {
    if (!this.isDue) return undefined;
    this.#writtenIndex = this.#index;
    return this.#index;
  }
}
