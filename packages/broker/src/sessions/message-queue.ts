/**
 * QoS 1 and 2 messages that wait in a session: for its client to come back, to read faster, or to acknowledge.
 *
 * First in, first out, bounded in messages and bytes. When it is full the newest message is refused, so that what a
 * client gets in the end is a prefix without gaps. Source: MQTT 5 section 4.5.
 */

import { type ApplicationMessage, type MonotonicMs, messageSize, type QoS } from "@skein/kernel";
import type { QueueBudget } from "./queue-budget.ts";

export interface QueuedMessage {
  readonly message: ApplicationMessage;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** When it came in; its Message Expiry Interval counts from there. */
  readonly queuedAt: MonotonicMs;
}

/** A message that waits takes this much besides its bytes. */
const ENTRY_BYTES = 100;
/** Dead entries at the front are cut off once there are this many and they are the larger half. */
const COMPACT_AT = 64;

export class MessageQueue {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #messages: (QueuedMessage | undefined)[] = [];
  #head = 0;
  #bytes = 0;
  /** Shared with the queues of all sessions. */
  readonly #budget: QueueBudget;

  constructor(messagesMax: number, bytesMax: number, budget: QueueBudget) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
    this.#budget = budget;
  }

  get length(): number {
    return this.#messages.length - this.#head;
  }

  /** What the messages take, see {@link messageSize}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends `queued`. False: it is full, or all queues together are. */
  push(queued: QueuedMessage): boolean {
    const bytes = messageSize(queued.message);
    if (this.length >= this.#messagesMax || this.#bytes + bytes > this.#bytesMax) return false;
    if (!this.#budget.take(bytes + ENTRY_BYTES, this.#held)) return false;
    this.#messages.push(queued);
    this.#bytes += bytes;
    return true;
  }

  /** Takes the oldest message; undefined if there is none. */
  shift(): QueuedMessage | undefined {
    const queued = this.#messages[this.#head];
    if (queued === undefined) return undefined;
    this.#messages[this.#head++] = undefined;
    const bytes = messageSize(queued.message);
    this.#bytes -= bytes;
    this.#budget.give(bytes + ENTRY_BYTES, this.#held);
    if (this.#head === this.#messages.length) {
      this.#messages = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    return queued;
  }

  /** Forgets everything. */
  clear(): void {
    const held = this.#held;
    this.#messages = [];
    this.#head = 0;
    this.#bytes = 0;
    if (held > 0) this.#budget.give(held, 0);
  }

  /** What the budget knows of this queue. */
  get #held(): number {
    return this.#bytes + this.length * ENTRY_BYTES;
  }
}
