/**
 * One log line a minute for each subject, however often a stranger knocks.
 *
 * What was swallowed is counted and told with the next line. The table is bounded: when it is full it starts anew,
 * which at worst lets one line per subject through earlier.
 */

import type { Clock } from "./ports/clock.ts";
import type { Log, LogFields } from "./ports/log.ts";

const INTERVAL_MS = 60_000;
const SUBJECTS_MAX = 256;

interface Subject {
  toldMs: number;
  swallowed: number;
}

export class LogThrottle {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #log: Log;
  readonly #subjects = new Map<string, Subject>();

  constructor(clock: Pick<Clock, "monotonicMs">, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Logs a warning, unless one about the same subject was logged within the last minute. */
  warn(subject: string, fields: LogFields, message: string): void {
    const now = this.#clock.monotonicMs();
    const known = this.#subjects.get(subject);
    if (known !== undefined && now - known.toldMs < INTERVAL_MS) {
      known.swallowed++;
      return;
    }
    if (known === undefined && this.#subjects.size >= SUBJECTS_MAX) this.#subjects.clear();
    this.#subjects.set(subject, { toldMs: now, swallowed: 0 });
    this.#log.warn({ ...fields, ...(known?.swallowed ? { repeated: known.swallowed } : {}) }, message);
  }
}
