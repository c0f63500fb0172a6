/**
 * Asks the leader not to let this node vote, as long as its disk is dying, and says in the log what came of it.
 *
 * The leader forgets who stops asking, and a new one has heard nothing, so it is asked every second. Whether another node
 * takes the place is the leader's decision (voter-policy.ts).
 */

import type { Log, MonotonicMs } from "@skein/kernel";
import type { DiskFailures } from "../replica/disk-failures.ts";

const ASK_AGAIN_MS = 1000;
/** By then a learner that is ready has taken the place. */
const PATIENCE_MS = 30_000;

export interface ResignationPorts {
  readonly log: Log;
  /** Asks the leader, if one is known. */
  readonly ask: () => void;
}

export class Resignation {
  readonly #failures: DiskFailures;
  readonly #ports: ResignationPorts;
  #askAt = 0;
  /** When it was asked first, with a leader to hear it; undefined: not yet. */
  #askedAt: MonotonicMs | undefined;
  #said: "asked" | "stays" | "left" | undefined;

  constructor(failures: DiskFailures, ports: ResignationPorts) {
    this.#failures = failures;
    this.#ports = ports;
  }

  /** A few times a second, while there is a leader. `isVoter`: as the cluster has decided. */
  tick(now: MonotonicMs, isVoter: boolean): void {
    if (!this.#failures.isDying) return;
    this.#askedAt ??= now;
    if (now >= this.#askAt) {
      this.#askAt = now + ASK_AGAIN_MS;
      this.#ports.ask();
    }
    this.#report(isVoter ? (now - this.#askedAt >= PATIENCE_MS ? "stays" : "asked") : "left");
  }

  #report(state: "asked" | "stays" | "left"): void {
    if (this.#said === state || (this.#said === "stays" && state === "asked")) return;
    this.#said = state;
    const { log } = this.#ports;
    if (state === "asked")
      log.error(
        {},
        "the disk of this node failed twice within an hour: replace it. Asking another node to vote in its place",
      );
    else if (state === "stays")
      log.error(
        {},
        "no other node can vote in place of this one, so it stays a voter: replace its disk, or add a node",
      );
    else
      log.warn(
        {},
        "the disk of this node failed twice within an hour: it does not vote until the disk has been replaced",
      );
  }
}
