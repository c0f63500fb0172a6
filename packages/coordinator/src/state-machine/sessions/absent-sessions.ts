/**
 * The sessions that live without a connection, in the order they were left: what is due about them, and which one ends first when
 * there are too many.
 *
 * Source: MQTT 5 section 4.1 (a server may end a session under conditions of its own).
 */

import type { SessionState } from "./session-state.ts";

/** Most sessions without a connection. Beyond, the one longest without ends. */
export const ABSENT_SESSIONS_MAX = 20_000;

export class AbsentSessions {
  /** In the order they were left. */
  readonly #sessions = new Set<SessionState>();
  /** Nothing is due before (SessionTime, ms). */
  nextDue = Number.POSITIVE_INFINITY;

  get count(): number {
    return this.#sessions.size;
  }

  /** As long as there are too many, the one longest without a connection: it must be gone when the next one is asked for. */
  *surplus(): Generator<SessionState> {
    for (const oldest of this.#sessions) {
      if (this.#sessions.size <= ABSENT_SESSIONS_MAX) return;
      yield oldest;
    }
  }

  [Symbol.iterator](): Iterator<SessionState> {
    return this.#sessions.values();
  }

  /** `session` has changed. One that was absent before keeps its place. */
  note(session: SessionState): void {
    if (session.owner !== undefined) {
      this.#sessions.delete(session);
      return;
    }
    this.#sessions.add(session);
    this.nextDue = Math.min(this.nextDue, session.dueAt ?? Number.POSITIVE_INFINITY);
  }

  delete(session: SessionState): void {
    this.#sessions.delete(session);
  }

  /** Those with something due, sorted. */
  due(now: number): SessionState[] {
    const due = [...this.#sessions].filter(({ dueAt = now + 1 }) => dueAt <= now);
    return due.sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  }

  /** Looks when something is due next. */
  plan(): void {
    this.nextDue = Number.POSITIVE_INFINITY;
    for (const session of this.#sessions) this.note(session);
  }

  clear(): void {
    this.#sessions.clear();
    this.nextDue = Number.POSITIVE_INFINITY;
  }
}
