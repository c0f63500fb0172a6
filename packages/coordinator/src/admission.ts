/**
 * Which proposals the leader appends: all but those that are certainly in its log or applied already.
 *
 * Proposers send again after losses and slow commits, and each copy would cost a log entry on every disk. In its own term
 * a leader's log only grows, so a number that it has appended in an unbroken run after the applied one needs no second
 * copy. Whatever is not certain is appended; the sequencer judges it for good.
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { Envelope } from "./state-machine/commands.ts";
import { PROPOSERS_MAX, type Sequencer } from "./state-machine/sequencer.ts";

export class Admission {
  readonly #sequencer: Sequencer;
  readonly #tails = new Map<NodeId, { readonly incarnation: Incarnation; readonly seq: number }>();

  constructor(sequencer: Sequencer) {
    this.#sequencer = sequencer;
  }

  /** Forgets what was appended: after a change of role or term, and when raft refused a batch. */
  reset(): void {
    this.#tails.clear();
  }

  /** Whether the leader should append the command of `envelope`, which takes the places up to `through`; if so it counts as appended. */
  admit(envelope: Envelope, through: number = envelope.seq): boolean {
    const { node, incarnation, seq } = envelope;
    if (this.#sequencer.isFenced(node, incarnation)) return false;
    const tail = this.#tails.get(node);
    const appended = tail !== undefined && tail.incarnation === incarnation ? tail.seq : 0;
    const base = Math.max(appended, this.#sequencer.last(node, incarnation));
    if (through <= base) return false;
    if (seq <= base + 1) {
      if (this.#tails.size >= PROPOSERS_MAX) this.#tails.clear();
      this.#tails.set(node, { incarnation, seq: through });
    }
    return true;
  }
}
