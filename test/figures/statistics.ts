/** Medians and worst values of samples. Pure. */

export interface Summary {
  readonly runs: number;
  readonly best: number;
  readonly median: number;
  readonly worst: number;
}

/** `worst` is the largest: all figures here are better when smaller. @throws {RangeError} without samples. */
export function summaryOf(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const [best] = sorted;
  const worst = sorted.at(-1);
  if (best === undefined || worst === undefined) throw new RangeError("no samples");
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? worst;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return { runs: sorted.length, best, median, worst };
}
