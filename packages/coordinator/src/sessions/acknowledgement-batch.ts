/**
 * What clients have acknowledged, gathered for one command: after 64 messages, or 200 ms after the first.
 *
 * Lazy on purpose: what is lost with a crash is sent again with DUP, which QoS 1 allows, and which a QoS 2 client knows by its
 * packet identifier.
 *
 * Source: architecture.md section 5; reference design, section 4.3 (rule 6).
 */

import type { Clock, Timer } from "@skein/kernel";
import type { Claimed } from "../state-machine/sessions/session-commands.ts";

const MESSAGES_MAX = 64;
const DELAY_MS = 200;

export interface AcknowledgedSession extends Claimed {
  /** Rising. */
  readonly ordinals: readonly number[];
}

export class AcknowledgementBatch {
  readonly #clock: Clock;
  readonly #propose: (sessions: readonly AcknowledgedSession[]) => void;
  #gathered = new Map<Claimed, number[]>();
  #count = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, propose: (sessions: readonly AcknowledgedSession[]) => void) {
    this.#clock = clock;
    this.#propose = propose;
  }

  /** `claimed` is the same object for the same claim. */
  add(claimed: Claimed, ordinal: number): void {
    const ordinals = this.#gathered.get(claimed);
    if (ordinals === undefined) this.#gathered.set(claimed, [ordinal]);
    else ordinals.push(ordinal);
    if (++this.#count >= MESSAGES_MAX) this.flush();
    else this.#timer ??= this.#clock.after(DELAY_MS, () => this.flush());
  }

  /** Whether anything of `claimed` waits. */
  has(claimed: Claimed): boolean {
    return this.#gathered.has(claimed);
  }

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#count === 0) return;
    const gathered = this.#gathered;
    this.#gathered = new Map();
    this.#count = 0;
    const sessions = Array.from(gathered, ([{ clientId, claim }, ordinals]) => {
      return { clientId, claim, ordinals: ordinals.sort((a, b) => a - b) };
    });
    this.#propose(sessions);
  }
}
