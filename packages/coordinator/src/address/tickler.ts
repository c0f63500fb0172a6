/** Tickles all clients of the past holder, a few at a time: each costs a process. */

import type { Connection } from "./connections.ts";

/** Enough to tickle hundreds in a second, few enough for one core of a small box. */
const AT_A_TIME = 6;

export interface TicklerPorts {
  readonly tickle: (connection: Connection, done: (hasFailed: boolean) => void) => void;
  /** All have been tickled, or it does not work here: `sent` were. */
  readonly finished: (sent: number, hasFailed: boolean) => void;
}

export class Tickler {
  readonly #ports: TicklerPorts;
  #waiting: Connection[] = [];
  #underWay = 0;
  #sent = 0;

  constructor(ports: TicklerPorts) {
    this.#ports = ports;
  }

  begin(connections: readonly Connection[]): void {
    if (connections.length === 0) return;
    this.#waiting = [...connections].reverse();
    this.#sent = 0;
    for (let left = AT_A_TIME; left > 0; left--) this.#next();
  }

  /** The address is gone: what waits is not sent. */
  cancel(): void {
    this.#waiting = [];
  }

  #next(): void {
    const connection = this.#waiting.pop();
    if (connection === undefined) return;
    this.#underWay++;
    this.#ports.tickle(connection, (hasFailed) => {
      this.#underWay--;
      if (hasFailed) this.#waiting = [];
      else this.#sent++;
      this.#next();
      if (this.#underWay === 0) this.#ports.finished(this.#sent, hasFailed);
    });
  }
}
