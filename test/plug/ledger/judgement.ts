/** What a ledger says in the end: of each promise how often it was broken, with examples that a log can be searched for. */

/** One case of a promise that was not kept. */
export interface Breach {
  /** Who saw it, or whose it is. */
  readonly client: string;
  readonly topic: string;
  /** The message: its publisher's number of it, or what the ledger tells them apart by. */
  readonly id: string;
  /** What happened and when, in seconds of the run. */
  readonly what: string;
}

export interface Judgement {
  /** What is promised. */
  readonly promise: string;
  /** How many cases were looked at. With none the promise was not put to the test. */
  readonly judged: number;
  readonly broken: number;
  /** The first few of the broken. */
  readonly examples: readonly Breach[];
}

const EXAMPLES = 5;

/** Counts the cases of one promise. */
export class Verdict {
  readonly #promise: string;
  readonly #examples: Breach[] = [];
  #judged = 0;
  #broken = 0;

  constructor(promise: string) {
    this.#promise = promise;
  }

  /** `count` more cases were looked at. */
  judge(count = 1): void {
    this.#judged += count;
  }

  /** One of them broke the promise. */
  break(breach: Breach): void {
    this.#broken += 1;
    if (this.#examples.length < EXAMPLES) this.#examples.push(breach);
  }

  get judgement(): Judgement {
    return {
      promise: this.#promise,
      judged: this.#judged,
      broken: this.#broken,
      examples: [...this.#examples],
    };
  }
}

/** `12.345 s`; never: `never`. */
export function seconds(ms: number | undefined): string {
  return ms === undefined ? "never" : `${(ms / 1000).toFixed(3)} s`;
}
