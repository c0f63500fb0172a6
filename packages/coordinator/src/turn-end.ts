/**
 * What is done once per turn of the event loop, after all steps of Raft in it: who waits to read is answered, and the rest
 * of the node hears what has changed in the status. Not within a step: who hears of either may go on to anything.
 */

import type { Clock } from "@skein/kernel";
import type { CoordinatorStatus } from "./options.ts";
import { freshStatus, isContactNews, isSameStatus } from "./status.ts";

export interface TurnEndPorts {
  readonly clock: Clock;
  readonly settleReads: () => void;
  readonly computeStatus: () => CoordinatorStatus;
  readonly statusChanged: (status: CoordinatorStatus) => void;
  readonly quorumAnswered: (status: CoordinatorStatus) => void;
}

export class TurnEnd {
  readonly #ports: TurnEndPorts;
  #status = freshStatus();
  /** The status that was told last. */
  #told = this.#status;
  #isScheduled = false;
  #isStopped = false;

  constructor(ports: TurnEndPorts) {
    this.#ports = ports;
  }

  /** As of the last turn of the event loop. */
  get status(): CoordinatorStatus {
    return this.#status;
  }

  /** Something may have changed. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#ports.clock.atTurnEnd(this.#run);
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** One function for all turns. */
  readonly #run = (): void => {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    this.#ports.settleReads();
    const status = this.#ports.computeStatus();
    this.#status = status;
    const isSame = isSameStatus(this.#told, status);
    if (isSame && !isContactNews(this.#told, status)) return;
    this.#told = status;
    if (isSame) this.#ports.quorumAnswered(status);
    else this.#ports.statusChanged(status);
  };
}
