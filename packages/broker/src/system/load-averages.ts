/**
 * How much happens per minute, averaged over the last 1, 5 and 15 minutes.
 *
 * Exponentially weighted moving averages, as Unix and mosquitto have them: after that many minutes a change counts for 63 %. One sample
 * costs three multiplications, whatever happened in between.
 */

const MINUTE_MS = 60_000;
export const LOAD_MINUTES = [1, 5, 15] as const;

export class LoadAverages {
  #total = 0;
  /** For each of LOAD_MINUTES. */
  readonly perMinute: [number, number, number] = [0, 0, 0];

  /** `total`: what has been counted until now, since the start. `elapsedMs`: since the sample before; more than 0. */
  sample(total: number, elapsedMs: number): void {
    const rate = ((total - this.#total) * MINUTE_MS) / elapsedMs;
    this.#total = total;
    for (const [at, minutes] of LOAD_MINUTES.entries()) {
      const average = this.perMinute[at] as number;
      this.perMinute[at] = rate + Math.exp(-elapsedMs / (minutes * MINUTE_MS)) * (average - rate);
    }
  }
}
