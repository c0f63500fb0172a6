/**
 * What clients have said without a quorum about messages of their queues: the replica has these as before, and who comes
 * back to this node, or to another one that has no quorum and a link to it, must not be sent them again. Nodes with a quorum do not know of it until the log does.
 *
 * A message is named by its ordinal, which says nothing about another session with the same client id: all is forgotten with the session. When the
 * log has it, it is forgotten, too. A connection that comes later says it again under its own claim, because the log may never have heard of the one that it was
 * said to, or not know it any more. What is remembered is bounded; what was forgotten is sent a second time.
 *
 * Source: reference design, section 4.7.
 */

import type { OwedMessage } from "@skein/kernel";
import type { Operation } from "../state-machine/commands.ts";
import type { SessionsState } from "../state-machine/sessions/sessions-state.ts";

/** Ordinals remembered. */
const ORDINALS_MAX = 100_000;

/** `had`: PUBACK or PUBCOMP has come; `released`: PUBREC has, and a PUBREL was sent. */
export type EarlyState = "had" | "released";

export class EarlyAcknowledgements {
  readonly #byClient = new Map<string, Map<number, EarlyState>>();
  #count = 0;

  /** Whether anything is remembered. */
  get isEmpty(): boolean {
    return this.#byClient.size === 0;
  }

  /** A command counts that the log does not have yet. */
  take(operation: Operation): void {
    if (operation.kind === "confirm") this.#note(operation.clientId, operation.ordinal, "released");
    if (operation.kind !== "acknowledge") return;
    for (const { clientId, ordinals } of operation.sessions)
      for (const ordinal of ordinals) this.#note(clientId, ordinal, "had");
  }

  /** What its client has said of each ordinal. */
  of(clientId: string): ReadonlyMap<number, EarlyState> {
    return this.#byClient.get(clientId) ?? NOTHING;
  }

  /** A command has come through the log. `sessions`: as they are then. */
  applied(operation: Operation, sessions: Pick<SessionsState, "get">): void {
    if (operation.kind === "open") {
      const { clientId } = operation.opening;
      if (sessions.get(clientId)?.isPresent !== true) this.#forgetSession(clientId);
    }
    if (operation.kind !== "acknowledge") return;
    for (const { clientId, ordinals } of operation.sessions) {
      const queue = sessions.get(clientId)?.queue;
      for (const ordinal of ordinals) if (queue?.get(ordinal) === undefined) this.#forget(clientId, ordinal);
    }
  }

  clear(): void {
    this.#byClient.clear();
    this.#count = 0;
  }

  /** The first message that is owed behind `ordinal`, as `after` finds it, for all that its client has said. */
  next(
    clientId: string,
    ordinal: number,
    after: (ordinal: number) => OwedMessage | undefined,
  ): OwedMessage | undefined {
    const states = this.of(clientId);
    let owed = after(ordinal);
    while (owed !== undefined && states.get(owed.ordinal) === "had") owed = after(owed.ordinal);
    if (owed === undefined || states.get(owed.ordinal) !== "released") return owed;
    const { message, qos, retain, identifiers } = owed;
    return { ordinal: owed.ordinal, message, qos, retain, identifiers, isReleased: true };
  }

  #note(clientId: string, ordinal: number, state: EarlyState): void {
    if (this.#count >= ORDINALS_MAX) this.clear();
    const states = this.#byClient.get(clientId) ?? new Map<number, EarlyState>();
    this.#byClient.set(clientId, states);
    if (!states.has(ordinal)) this.#count++;
    if (states.get(ordinal) !== "had") states.set(ordinal, state);
  }

  #forget(clientId: string, ordinal: number): void {
    const states = this.#byClient.get(clientId);
    if (states?.delete(ordinal) !== true) return;
    this.#count--;
    if (states.size === 0) this.#byClient.delete(clientId);
  }

  #forgetSession(clientId: string): void {
    this.#count -= this.of(clientId).size;
    this.#byClient.delete(clientId);
  }
}

const NOTHING: ReadonlyMap<number, EarlyState> = new Map();
