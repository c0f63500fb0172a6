/** Tells the rest of the node what has changed in the status, once per turn of the event loop at most. */

import type { Clock } from "@skein/kernel";
import type { CoordinatorStatus } from "./options.ts";
import { freshStatus, isSameStatus } from "./status.ts";

export interface StatusReportPorts {
  readonly clock: Clock;
  readonly compute: () => CoordinatorStatus;
  readonly changed: (status: CoordinatorStatus) => void;
}

export class StatusReport {
  readonly #ports: StatusReportPorts;
  #status = freshStatus();
  #isScheduled = false;
  #isStopped = false;

  constructor(ports: StatusReportPorts) {
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
    this.#ports.clock.atTurnEnd(this.#refresh);
  }

  /** Nothing is told any more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** One function for all turns. */
  readonly #refresh = (): void => {
    this.#isScheduled = false;
    if (this.#isStopped) return;
    const status = this.#ports.compute();
    if (isSameStatus(status, this.#status)) return;
    this.#status = status;
    this.#ports.changed(status);
  };
}
