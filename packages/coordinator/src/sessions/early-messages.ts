/**
 * Messages that nodes hand each other before the log has them, because there is no quorum: who has got which, so that nobody gets it
 * again when the log brings it.
 *
 * A message is named by its command: node, incarnation and number. What is remembered is bounded; what was forgotten comes a second time,
 * which is what a split may cost.
 *
 * Source: reference design, section 4.7.
 */

import { FilterIndex, type KeptSubscription, parseSharedFilter } from "@skein/kernel";
import type { Envelope } from "../state-machine/commands.ts";

/** Names remembered of each kind. */
const NAMES_MAX = 100_000;

export function nameOf({ node, incarnation, seq }: Envelope): string {
  return `${node} ${incarnation} ${seq}`;
}

export class EarlyMessages {
  /** What kept sessions want that the log does not know of yet. */
  #wanted = new FilterIndex<KeptSubscription, boolean>((found) => found.some(({ qos }) => qos > 0));
  #wantedCount = 0;
  /** Handed to the live subscribers here. */
  readonly #handed = new Set<string>();
  /** Had by these clients, as they have said. */
  readonly #had = new Map<string, Set<string>>();
  #hadCount = 0;

  /** Whether anything is remembered. */
  get isEmpty(): boolean {
    return this.#handed.size === 0;
  }

  want(wishes: readonly KeptSubscription[]): void {
    for (const wish of wishes) {
      if (this.#wantedCount++ >= NAMES_MAX) return;
      const shared = parseSharedFilter(wish.filter);
      this.#wanted.add(typeof shared === "object" ? shared.filter : wish.filter, wish);
    }
  }

  isWanted(topic: string): boolean {
    return this.#wantedCount > 0 && this.#wanted.match(topic);
  }

  /** There is a leader: the log will know. */
  wantNothing(): void {
    if (this.#wantedCount === 0) return;
    this.#wantedCount = 0;
    this.#wanted = new FilterIndex((found) => found.some(({ qos }) => qos > 0));
  }

  /** A message has come. False: it has been here before. */
  add(name: string): boolean {
    if (this.#handed.has(name)) return false;
    if (this.#handed.size >= NAMES_MAX) this.clear();
    this.#handed.add(name);
    return true;
  }

  /** The client has acknowledged it. */
  had(name: string, clientId: string): void {
    if (this.#hadCount >= NAMES_MAX) this.clear();
    this.#hadCount++;
    const clients = this.#had.get(name);
    if (clients === undefined) this.#had.set(name, new Set([clientId]));
    else clients.add(clientId);
  }

  /** The log has brought it. Undefined: it has not been here before; else the clients that have it. */
  take(name: string): ReadonlySet<string> | undefined {
    if (!this.#handed.delete(name)) return undefined;
    const clients = this.#had.get(name);
    this.#had.delete(name);
    this.#hadCount -= clients?.size ?? 0;
    return clients ?? NOBODY;
  }

  clear(): void {
    this.#handed.clear();
    this.#had.clear();
    this.#hadCount = 0;
  }
}

const NOBODY: ReadonlySet<string> = new Set();
