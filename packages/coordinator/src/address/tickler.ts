/**
 * Tickles all clients of the past holder, some at a time and with pauses: a program is started for each (150 ms measured on a machine with a load of
 * 13), and a machine that has many to start at once has no time for its node, which lost the address because it did not renew it.
 * Of a {@link BATCH} one is started after another.
 */

import type { Clock } from "@skein/kernel";
import type { Connection } from "./connections.ts";
import type { Lack } from "./network-tools.ts";

/** With 150 ms each they are done before the batch is killed. */
const BATCH = 16;
const AT_A_TIME = 2;
const PAUSE_MS = 5;

export interface TicklerPorts {
  readonly clock: Clock;
  readonly tickle: (connections: readonly Connection[], done: (lack: Lack | undefined) => void) => void;
  /** All have been tickled, or it does not work here (`lack`): `sent` segments went out. */
  readonly finished: (sent: number, lack: Lack | undefined) => void;
}

export class Tickler {
  readonly #ports: TicklerPorts;
  #waiting: Connection[] = [];
  #underWay = 0;
  #sent = 0;

  constructor(ports: TicklerPorts) {
    this.#ports = ports;
  }

  /** A round that has not ended is completed first: whoever is last in a long list must not wait for all rounds of the others. */
  begin(connections: readonly Connection[]): void {
    if (connections.length === 0) return;
    const isIdle = this.#waiting.length === 0 && this.#underWay === 0;
    this.#waiting = [...[...connections].reverse(), ...this.#waiting];
    if (!isIdle) return;
    this.#sent = 0;
    for (let left = AT_A_TIME; left > 0; left--) this.#ports.clock.after(PAUSE_MS * left, () => this.#next());
  }

  /** The address is gone: what waits is not sent. */
  cancel(): void {
    this.#waiting = [];
  }

  #next(): void {
    const batch = this.#waiting.splice(-BATCH).reverse();
    if (batch.length === 0) return;
    this.#underWay++;
    this.#ports.tickle(batch, (lack) => {
      this.#underWay--;
      if (lack !== undefined) this.#waiting = [];
      else this.#sent += batch.length;
      if (this.#waiting.length > 0) this.#ports.clock.after(PAUSE_MS, () => this.#next());
      else if (this.#underWay === 0) this.#ports.finished(this.#sent, lack);
    });
  }
}
