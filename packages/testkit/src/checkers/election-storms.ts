/**
 * No election storms: a healthy majority goes through at most five elections a minute.
 *
 * Elections count within a sliding minute, from the moment the faults are over; every stop, start or disturbance after
 * that begins the count anew, because an election is the right answer to it.
 *
 * Source: reference design, 5.4 (L2).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";

export interface ElectionStormsOptions {
  /** "healed": faults that nobody reports (loss, delay) may cause elections before that. */
  readonly countsFrom: "start" | "healed";
  readonly electionsMax: number;
}

const WINDOW_MS = 60_000;
const DEFAULTS: ElectionStormsOptions = { countsFrom: "healed", electionsMax: 5 };

export class ElectionStorms implements Checker {
  readonly name = "election storms";
  readonly #electionsMax: number;
  #isCounting: boolean;
  /** Times of the elections in the last minute, in ms. */
  #elections: number[] = [];

  constructor(options: Partial<ElectionStormsOptions> = {}) {
    const { countsFrom, electionsMax } = { ...DEFAULTS, ...options };
    this.#isCounting = countsFrom === "start";
    this.#electionsMax = electionsMax;
  }

  observe(observation: Observation): void {
    const { kind, at } = observation;
    if (kind === "healed") this.#isCounting = true;
    if (kind === "healed" || kind === "stopped" || kind === "started") this.#elections = [];
    if (kind === "disturbed" || kind === "calmed") this.#elections = [];
    if (kind !== "election" || !this.#isCounting) return;
    this.#elections = this.#elections.filter((earlier) => at - earlier < WINDOW_MS);
    this.#elections.push(at);
    if (this.#elections.length > this.#electionsMax) {
      throw new CheckFailure(
        this.name,
        `${this.#elections.length} elections between ${this.#elections[0]} and ${at} ms without a fault`,
      );
    }
  }
}
