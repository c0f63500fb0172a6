/**
 * Whether the client of a connection is still there, and whether its bytes are read.
 *
 * It must send something within one and a half keep-alives. Reading pauses while too much of it waits for the mesh: its silence
 * is ours then and does not count. Reading pauses as well while it does not take what it is sent, because the answers to more
 * would pile up: then whatever it takes is a sign of life.
 *
 * Source: MQTT 5 section 3.1.2.10 (keep-alive).
 */

import type { Clock, MonotonicMs, Stream } from "@skein/kernel";

export class Liveness {
  readonly #stream: Stream;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #keepAliveMs = 0;
  #heardAt: MonotonicMs;
  #isPaused = false;
  #isBusy = false;
  /** Fewest bytes that waited for the client since reading paused. */
  #waitingBytes = 0;

  constructor(stream: Stream, clock: Pick<Clock, "monotonicMs">) {
    this.#stream = stream;
    this.#clock = clock;
    this.#heardAt = clock.monotonicMs();
  }

  /** Keep Alive is in force from now on; 0: there is none. Returns when to ask {@link silentUntil}. */
  begin(keepAliveSeconds: number): number | undefined {
    this.#keepAliveMs = keepAliveSeconds * 1500; // [MQTT-3.1.2-22]
    return this.silentUntil(this.#heardAt);
  }

  /** Bytes have come. */
  heard(): void {
    this.#heardAt = this.#clock.monotonicMs();
  }

  /** Reads, or stops reading. `isBusy`: the mesh has too much of this client; `isSlow`: the client does not take what it is sent. */
  update(isBusy: boolean, isSlow: boolean): void {
    this.#isBusy = isBusy;
    const isPaused = isBusy || isSlow;
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#waitingBytes = this.#stream.bufferedBytes;
    this.heard();
    if (isPaused) this.#stream.pause();
    else this.#stream.resume();
  }

  /** When the client must have been heard again; undefined: it may be silent for ever. */
  silentUntil(now: MonotonicMs): number | undefined {
    if (this.#keepAliveMs === 0) return undefined;
    const { bufferedBytes } = this.#stream;
    if (this.#isBusy) this.#heardAt = now;
    else if (this.#isPaused && bufferedBytes < this.#waitingBytes) {
      this.#waitingBytes = bufferedBytes;
      this.#heardAt = now;
    }
    return this.#heardAt + this.#keepAliveMs;
  }
}
