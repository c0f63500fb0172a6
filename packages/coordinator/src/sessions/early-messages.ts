/**
 * Messages that nodes hand each other before the log has them, because there is no quorum: who has got which, so that nobody gets it
 * again when the log brings it.
 *
 * A message is named by its command: node, incarnation and number. A QoS 2 message that its publisher sent to two nodes, because the
 * first fell silent, is two commands of which the log carries out the one that comes first: it is known by its publisher, packet
 * identifier and content as well. What is remembered is bounded; what was forgotten comes a second time, which is what a split may
 * cost.
 *
 * Source: reference design, section 4.7.
 */

import {
  FilterIndex,
  type Incarnation,
  type KeptSubscription,
  type NodeId,
  parseSharedFilter,
} from "@skein/kernel";
import type { Command, Envelope } from "../state-machine/commands.ts";
import { contentHash } from "../state-machine/content-hash.ts";

/** Names remembered of each kind. */
const NAMES_MAX = 100_000;

/** A message that came early, and who has it. */
export interface Taken {
  readonly name: string;
  readonly clients: ReadonlySet<string>;
}

interface Handed {
  /** Undefined: not a QoS 2 message of a kept session. */
  readonly content: string | undefined;
  readonly command: Command | undefined;
}

export function nameOf({ node, incarnation, seq }: Envelope): string {
  return `${node} ${incarnation} ${seq}`;
}

/** What has been named so. */
export function envelopeOf(name: string): Envelope {
  const [node, incarnation, seq] = name.split(" ");
  return { node: node as NodeId, incarnation: Number(incarnation) as Incarnation, seq: Number(seq) };
}

/**
 * The same for all commands that bring one QoS 2 message of a kept session, which may have waited for different times (pending-command.ts);
 * undefined: of another kind.
 */
function contentOf({ operation }: Command): string | undefined {
  if (operation.kind !== "publishOnce") return undefined;
  return `${operation.packetId} ${contentHash(operation.message)} ${operation.clientId}`;
}

export class EarlyMessages {
  /** What kept sessions want that the log does not know of yet. */
  #wanted = new FilterIndex<KeptSubscription, boolean>((found) => found.some(({ qos }) => qos > 0));
  #wantedCount = 0;
  /** Handed to the subscribers here, by name, in that order. */
  readonly #handed = new Map<string, Handed>();
  /** Of those the QoS 2 messages: content to name. */
  readonly #contents = new Map<string, string>();
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

  /** A message has come. `isKept`: whoever comes before the log has it may get it, too. False: it has been here before. */
  add(command: Command, isKept: boolean): boolean {
    const name = nameOf(command.envelope);
    const content = contentOf(command);
    if (this.#handed.has(name) || (content !== undefined && this.#contents.has(content))) return false;
    if (this.#handed.size >= NAMES_MAX) this.clear();
    this.#handed.set(name, { content, command: isKept ? command : undefined });
    if (content !== undefined) this.#contents.set(content, name);
    return true;
  }

  /** Those that are kept for who comes later, the oldest first, without what the client has had. */
  *keptFor(clientId: string): Iterable<Command> {
    for (const [name, { command }] of this.#handed)
      if (command !== undefined && this.#had.get(name)?.has(clientId) !== true) yield command;
  }

  /** The client has acknowledged it. */
  had(name: string, clientId: string): void {
    if (this.#hadCount >= NAMES_MAX) this.clear();
    this.#hadCount++;
    const clients = this.#had.get(name);
    if (clients === undefined) this.#had.set(name, new Set([clientId]));
    else clients.add(clientId);
  }

  /** The log has brought a message. Undefined: it has not been here before. */
  take(command: Command): Taken | undefined {
    const own = nameOf(command.envelope);
    const name = this.#handed.has(own) ? own : this.#contents.get(contentOf(command) ?? "");
    if (name === undefined) return undefined;
    return { name, clients: this.#forget(name) ?? NOBODY };
  }

  /** What a snapshot holds will not come through the log. */
  forgetThose(isInLog: (envelope: Envelope) => boolean): void {
    for (const name of this.#handed.keys()) if (isInLog(envelopeOf(name))) this.#forget(name);
  }

  /** Returns who has it, as far as is known. */
  #forget(name: string): ReadonlySet<string> | undefined {
    const content = this.#handed.get(name)?.content;
    this.#handed.delete(name);
    if (content !== undefined) this.#contents.delete(content);
    const clients = this.#had.get(name);
    this.#had.delete(name);
    this.#hadCount -= clients?.size ?? 0;
    return clients;
  }

  clear(): void {
    this.#handed.clear();
    this.#contents.clear();
    this.#had.clear();
    this.#hadCount = 0;
  }
}

const NOBODY: ReadonlySet<string> = new Set();
