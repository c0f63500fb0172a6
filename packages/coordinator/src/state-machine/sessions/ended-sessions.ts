/**
 * Sessions that the mesh has ended by itself, not at the wish of their clients: counted for whoever runs the mesh.
 *
 * That one ends because its Session Expiry Interval is over its client has asked for; that there were too many without a connection nobody has,
 * and what it was owed was acknowledged. Every replica counts what its log brings, so any node can tell. Not part of the replicated
 * state: counts begin with the process.
 */

import type { SessionState } from "./session-state.ts";

/** Its time is over; or there are too many without a connection. */
export type EndedBy = "expiry" | "surplus";

/** Those that ended because there were too many without a connection. */
export interface SurplusSessions {
  readonly sessions: number;
  /** Messages that they were owed. */
  readonly messages: number;
  /** Client Identifier of the last one; undefined: there was none. */
  readonly last: string | undefined;
}

export class EndedSessions {
  /** Those whose Session Expiry Interval was over. */
  expired = 0;
  surplus: SurplusSessions = { sessions: 0, messages: 0, last: undefined };

  /** `session` ends, with what it is owed. One that ends with its connection has no time that could be over. */
  count({ clientId, isKept, queue }: SessionState, why: EndedBy): void {
    if (why === "expiry") {
      if (isKept) this.expired++;
      return;
    }
    const { sessions, messages } = this.surplus;
    this.surplus = { sessions: sessions + 1, messages: messages + queue.length, last: clientId };
  }
}
