/**
 * How often entries are forced to the medium in the `disk` profile: at once where that is quick, every 50 ms at most where
 * it is slow.
 *
 * A memory card takes 10 ms for a sync, now and then half a second, and wears with each. Twenty syncs a second carry as
 * many entries as a hundred, because all that waits shares the next one; what they cost is half an interval of waiting. A
 * quick medium gains nothing from it. So the time that writes take decides: slow is who needs more than 20 ms in more than
 * one of a hundred, quick again who stays below 10 ms in 99 of the last hundred.
 *
 * Source: reference design 1.9 (group commit, minimum interval 0 or 50 ms).
 */

/** Shortest time between the starts of two syncs of a slow medium. */
const SLOW_INTERVAL_MS = 50;
const SLOW_MS = 20;
const QUICK_MS = 10;
/** Writes looked back at. */
const WINDOW = 100;

export class SyncPace {
  /** Given by the owner; undefined: it follows the medium. */
  readonly #fixedMs: number | undefined;
  /** How long the newest writes took, in ms; the next one goes to `#at`. */
  readonly #tookMs = new Float64Array(WINDOW);
  #at = 0;
  #count = 0;
  #isSlow = false;
  #begunAt = Number.NEGATIVE_INFINITY;

  constructor(fixedMs: number | undefined) {
    this.#fixedMs = fixedMs;
  }

  /** Shortest time between the starts of two syncs now, in ms. */
  get intervalMs(): number {
    return this.#fixedMs ?? (this.#isSlow ? SLOW_INTERVAL_MS : 0);
  }

  /** How long the next sync has to wait, in ms; 0: it may start. */
  waitMs(now: number): number {
    return Math.max(0, this.#begunAt + this.intervalMs - now);
  }

  /** A write starts that ends with a sync. */
  begun(now: number): void {
    this.#begunAt = now;
  }

  /** It is on the medium. */
  ended(now: number): void {
    this.#tookMs[this.#at] = now - this.#begunAt;
    this.#at = (this.#at + 1) % WINDOW;
    this.#count = Math.min(WINDOW, this.#count + 1);
    if (this.#longerThan(SLOW_MS) > 1) this.#isSlow = true;
    else if (this.#count === WINDOW && this.#longerThan(QUICK_MS) <= 1) this.#isSlow = false;
  }

  #longerThan(limitMs: number): number {
    let longer = 0;
    for (let at = 0; at < this.#count; at++) if ((this.#tookMs[at] as number) > limitMs) longer++;
    return longer;
  }
}
