/**
 * The one true log of a simulated mesh, as rolling hashes by index: what the first node to apply an entry had there.
 *
 * A node that starts from a snapshot takes the hash of that index over from here, and goes on with its own. After a
 * blackout of all nodes the log may go on from an earlier index with other entries, so the first to apply an index then
 * counts anew; what is not applied again (below a snapshot) stays as it was. A node that starts apart from the others may apply
 * once more what it had before the blackout and nobody else has any more: the later term counts.
 */

export class OracleLog {
  readonly #hashes = new Map<
    number,
    { readonly term: number; readonly hash: number; readonly history: number }
  >();
  #history = 0;

  /** Rolling hash of everything up to and with `index`; 0 for an empty log, or if nobody has applied it. */
  hashAt(index: number): number {
    return this.#hashes.get(index)?.hash ?? 0;
  }

  applied(index: number, term: number, hash: number): void {
    const known = this.#hashes.get(index);
    if (known?.history !== this.#history || term > known.term)
      this.#hashes.set(index, { term, hash, history: this.#history });
  }

  /** From here on the log may differ from what it was. */
  beginAnew(): void {
    this.#history++;
  }
}
