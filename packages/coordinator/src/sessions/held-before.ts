/**
 * Earlier processes of this node are gone: their clients' sessions are left to be claimed again.
 *
 * What they held shows as the journal is read and the log comes in; once that has a command of this process it takes none of theirs.
 *
 * Source: reference design, section 4.3 (rule 10).
 */

import type { Identity } from "../options.ts";
import type { Proposals } from "../proposals/proposals.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

export class HeldBefore {
  readonly #self: Identity;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  /** Sessions may be held by earlier processes. */
  #mayBe = true;

  constructor(self: Identity, machine: StateMachine, proposals: Proposals) {
    this.#self = self;
    this.#machine = machine;
    this.#proposals = proposals;
  }

  /**
   * A few times a second, but not while there is no leader to say what time it is: what is acknowledged meanwhile would come behind it, and count as
   * said then.
   */
  leave(): void {
    if (!this.#mayBe) return;
    const { node, incarnation } = this.#self;
    this.#mayBe = this.#machine.sequencer.last(node, incarnation) === 0;
    for (const { owner } of this.#machine.sessions.all()) {
      if (owner?.node !== node || owner.incarnation >= incarnation) continue;
      this.#mayBe = false;
      this.#proposals.propose({ kind: "nodeUp" }, undefined, true);
      return;
    }
  }
}
