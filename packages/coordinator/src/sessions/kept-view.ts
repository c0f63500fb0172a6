/** What this node's replica holds of one session, as its connection looks at it: always the newest state, also after a snapshot. */

import type { ApplicationMessage, KeptSession, KeptSubscription, OwedMessage } from "@skein/kernel";
import { contentHash } from "../state-machine/content-hash.ts";
import type { SessionState } from "../state-machine/sessions/session-state.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { EarlyAcknowledgements } from "./early-acknowledgements.ts";
import type { SessionClock } from "./session-clock.ts";

const NO_SUBSCRIPTIONS: ReadonlyMap<string, KeptSubscription> = new Map();
const NO_PACKET_IDS: ReadonlyMap<number, number> = new Map();

export class KeptView implements KeptSession {
  readonly #clientId: string;
  readonly #machine: StateMachine;
  readonly #said: EarlyAcknowledgements;
  readonly #time: SessionClock;

  /** `said`: what the replica does not know yet. */
  constructor(clientId: string, machine: StateMachine, said: EarlyAcknowledgements, time: SessionClock) {
    this.#clientId = clientId;
    this.#machine = machine;
    this.#said = said;
    this.#time = time;
  }

  get subscriptions(): ReadonlyMap<string, KeptSubscription> {
    return this.#session?.subscriptions ?? NO_SUBSCRIPTIONS;
  }

  get received(): Iterable<number> {
    return (this.#session?.received ?? NO_PACKET_IDS).keys();
  }

  holds(packetId: number, message: ApplicationMessage): boolean {
    const session = this.#session;
    return session?.received.has(packetId) === true && session.holds(packetId, contentHash(message));
  }

  get queued(): number {
    return this.#session?.queue.length ?? 0;
  }

  get queuedBytes(): number {
    return this.#session?.queue.bytes ?? 0;
  }

  get sentThrough(): number {
    return this.#session?.sentThrough ?? -1;
  }

  get nextOrdinal(): number {
    return this.#session?.queue.nextOrdinal ?? 0;
  }

  after(ordinal: number): OwedMessage | undefined {
    const queue = this.#session?.queue;
    if (this.#said.isEmpty) return queue?.after(ordinal);
    return this.#said.next(this.#clientId, ordinal, (before) => queue?.after(before));
  }

  owed(ordinal: number): OwedMessage | undefined {
    return this.#session?.queue.get(ordinal);
  }

  lifetimeLeft({ ordinal, message }: OwedMessage): number | undefined {
    const seconds = message.properties?.messageExpirySeconds;
    if (seconds === undefined) return undefined;
    const entry = this.#session?.queue.get(ordinal);
    if (entry === undefined) return seconds;
    return Math.max(0, seconds - Math.floor((this.#time.now - entry.publishedAt) / 1000));
  }

  get #session(): SessionState | undefined {
    return this.#machine.sessions.get(this.#clientId);
  }
}
