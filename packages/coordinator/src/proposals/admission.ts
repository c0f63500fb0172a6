/**
 * Which proposals the leader appends: all but those that are certainly in its log or applied already.
 *
 * Proposers send again after losses and slow commits, and each copy would cost a log entry on every disk. In its own term
 * a leader's log only grows, so a number that it has appended, or found there, in an unbroken run after the applied one needs no second
 * copy; nor does one that was appended behind a gap, as long as nothing has come that closes the gap. Whatever is not certain is
 * appended; the sequencer judges it for good.
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { Envelope } from "../state-machine/commands.ts";
import { PROPOSERS_MAX, type Sequencer } from "../state-machine/sequencer.ts";

/** Incarnations of one node that are kept apart: what earlier ones have left is sent together with what the newest proposes. */
const INCARNATIONS_MAX = 8;

/** What was appended of one incarnation of a node. */
interface Appended {
  readonly incarnation: Incarnation;
  /** Up to here without a gap; 0: nothing. */
  last: number;
  /** Behind a gap: from here on, up to there. */
  aheadFrom: number;
  aheadLast: number;
}

type Mark = readonly Appended[];

export class Admission {
  readonly #sequencer: Sequencer;
  readonly #appended = new Map<NodeId, Appended[]>();

  constructor(sequencer: Sequencer) {
    this.#sequencer = sequencer;
  }

  /** Forgets what was appended: after a change of role or term. */
  reset(): void {
    this.#appended.clear();
  }

  /** What counts as appended of `node`, for {@link goBack}. */
  mark(node: NodeId): Mark {
    return (this.#appended.get(node) ?? []).map((each) => ({ ...each }));
  }

  /** Nothing that was admitted of `node` since `mark` was appended. What was before that is in the log as ever. */
  goBack(node: NodeId, mark: Mark): void {
    this.#appended.set(node, [...mark]);
  }

  /** Whether the leader should append the command of `envelope`, which takes the places up to `through`; if so it counts as appended. */
  admit({ node, incarnation, seq }: Envelope, through: number = seq): boolean {
    if (this.#sequencer.isFenced(node, incarnation)) return false;
    const appended = this.#of(node, incarnation);
    const base = Math.max(appended.last, this.#sequencer.last(node, incarnation));
    if (through <= base) return false;
    if (seq <= base + 1) {
      appended.last = through;
      appended.aheadFrom = 0;
      appended.aheadLast = 0;
      return true;
    }
    if (seq >= appended.aheadFrom && through <= appended.aheadLast) return false;
    if (seq !== appended.aheadLast + 1) appended.aheadFrom = seq;
    appended.aheadLast = through;
    return true;
  }

  #of(node: NodeId, incarnation: Incarnation): Appended {
    let all = this.#appended.get(node);
    const known = all?.find((each) => each.incarnation === incarnation);
    if (known !== undefined) return known;
    if (all === undefined) {
      if (this.#appended.size >= PROPOSERS_MAX) this.#appended.clear();
      all = [];
      this.#appended.set(node, all);
    }
    const appended = { incarnation, last: 0, aheadFrom: 0, aheadLast: 0 };
    if (all.push(appended) > INCARNATIONS_MAX) all.shift();
    return appended;
  }
}
