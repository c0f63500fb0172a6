/**
 * Whose turn it is in each shared subscription: the next member that is connected, or, while none is, the next of all. Who has no room is passed
 * over, as long as any member has.
 *
 * Source: MQTT 5 section 4.8.2; reference design, section 4.3 (rule 11).
 */

import type { Member, SessionRoute } from "./session-routes.ts";
import type { SessionState } from "./session-state.ts";

/** Turns are counted up to this. */
const TURNS_MAX = 1_000_000;

export class SharedTurns {
  /** By `$share/...` filter. */
  readonly #turns = new Map<string, number>();

  /** The way to the next of `members`, which are sorted; undefined: there is none that wants QoS 1 or 2. */
  next(
    filter: string,
    members: readonly Member[],
    hasRoom: (session: SessionState) => boolean,
  ): SessionRoute | undefined {
    const wanting = members.filter(({ subscription }) => subscription.qos > 0);
    const able = orAll(wanting, ({ session }) => hasRoom(session));
    const candidates = orAll(able, ({ session }) => session.owner !== undefined);
    const turn = this.#turns.get(filter) ?? 0;
    const chosen = candidates[turn % Math.max(1, candidates.length)];
    if (chosen === undefined) return undefined;
    this.#turns.set(filter, (turn + 1) % TURNS_MAX);
    const { session, subscription } = chosen;
    const { qos, retainAsPublished, identifier } = subscription;
    const identifiers = identifier === undefined ? undefined : [identifier];
    return { session, qos, retainAsPublished, identifiers, ofOwn: undefined };
  }

  /** Sorted. */
  all(): (readonly [sharedFilter: string, turn: number])[] {
    return [...this.#turns].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  restore(turns: readonly (readonly [sharedFilter: string, turn: number])[]): void {
    this.#turns.clear();
    for (const [filter, turn] of turns) this.#turns.set(filter, turn);
  }
}

/** Those that are so, or, if none is, all. */
function orAll(members: readonly Member[], isSo: (member: Member) => boolean): readonly Member[] {
  const found = members.filter(isSo);
  return found.length > 0 ? found : members;
}
