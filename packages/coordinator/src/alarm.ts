/** A call at an instant that moves all the time, mostly later: an early timer is left alone, and set anew when it fires. */

import type { Clock, Timer } from "@skein/kernel";

export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #wantedAt = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings once at `at` (Clock.monotonicMs), and not at any instant set before; `Infinity`: never. */
  set(at: number): void {
    this.#wantedAt = at;
    if (this.#timer !== undefined && this.#timerAt <= at) return;
    this.stop();
    if (!Number.isFinite(at)) return;
    this.#timerAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - this.#clock.monotonicMs()), () => {
      this.#timer = undefined;
      if (this.#clock.monotonicMs() >= this.#wantedAt) this.#ring();
      else this.set(this.#wantedAt);
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
