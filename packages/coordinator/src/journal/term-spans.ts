/** Which term each entry of a log has, in as little room as terms change: for entries that name the term before their own. */

export class TermSpans {
  /** Ascending: entries from `from` on, up to the next span, have this term. */
  readonly #spans: { readonly from: number; readonly term: number }[] = [];

  /** The log goes on behind the entry (`index`, `term`). */
  reset(index: number, term: number): void {
    this.#spans.length = 0;
    this.#spans.push({ from: index, term });
  }

  /** The log has this entry now, and nothing behind it. Returns the term of the entry before; 0 if it is not known. */
  append(index: number, term: number): number {
    const spans = this.#spans;
    while ((spans.at(-1)?.from ?? -1) >= index) spans.pop();
    const previousTerm = spans.at(-1)?.term ?? 0;
    if (previousTerm !== term) spans.push({ from: index, term });
    return previousTerm;
  }
}
