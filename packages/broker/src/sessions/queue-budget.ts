/**
 * What the queues of all sessions may take together: a device that leaves session after session behind must not take the memory of
 * the node with them.
 *
 * Half of it is for anybody: any queue may grow to its own bound. Of the other half a queue gets something only up to an equal share
 * of the first, so that a few greedy ones cannot keep all others empty. A message that waits in several queues counts in each.
 */

export class QueueBudget {
  readonly #bytesMax: number;
  readonly #sharedMax: number;
  #bytes = 0;
  /** Queues that hold something. */
  #queues = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#sharedMax = bytesMax / 2;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether a queue that holds `held` bytes may take `bytes` more; counts them if so. */
  take(bytes: number, held: number): boolean {
    const queues = held === 0 ? this.#queues + 1 : this.#queues;
    const total = this.#bytes + bytes;
    if (total > this.#bytesMax) return false;
    if (total > this.#sharedMax && held + bytes > this.#sharedMax / queues) return false;
    this.#bytes = total;
    this.#queues = queues;
    return true;
  }

  /** A queue has given `bytes` back and holds `held` now. */
  give(bytes: number, held: number): void {
    this.#bytes -= bytes;
    if (held === 0) this.#queues--;
  }
}
