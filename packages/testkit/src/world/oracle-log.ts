/**
 * The one true log of a simulated mesh, as rolling hashes by index: what the first node to apply an entry had there.
 *
 * A node that starts from a snapshot takes the hash of that index over from here, and goes on with its own. After a
 * blackout of all nodes the log may go on from an earlier index with other entries, so the first to apply an index then
 * counts anew; what is not applied again (below a snapshot) stays as it was.
 */

export class OracleLog {
  readonly #hashes = new Map<number, { readonly hash: number; readonly history: number }>();
  #history = 0;

  /** Rolling hash of everything up to and with `index`; 0 for an empty log, or if nobody has applied it. */
  hashAt(index: number): number {
    return this.#hashes.get(index)?.hash ?? 0;
  }

  applied(index: number, hash: number): void {
    if (this.#hashes.get(index)?.history !== this.#history)
      this.#hashes.set(index, { hash, history: this.#history });
  }

  /** From here on the log may differ from what it was. */
  beginAnew(): void {
    this.#history++;
  }
}
