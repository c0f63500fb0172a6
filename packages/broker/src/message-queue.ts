/**
 * QoS 1 and 2 messages that wait in a session: for its client to come back, to read faster, or to acknowledge.
 *
 * First in, first out, bounded in messages and bytes. When it is full the newest message is refused, so that what a
 * client gets in the end is a prefix without gaps. Source: MQTT 5 section 4.5.
 */

import type { ApplicationMessage, MonotonicMs, QoS } from "@skein/kernel";

export interface QueuedMessage {
  readonly message: ApplicationMessage;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** When it came in; its Message Expiry Interval counts from there. */
  readonly queuedAt: MonotonicMs;
}

/** Dead entries at the front are cut off once there are this many and they are the larger half. */
const COMPACT_AT = 64;

export class MessageQueue {
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  #messages: (QueuedMessage | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax;
    this.#bytesMax = bytesMax;
  }

  get length(): number {
    return this.#messages.length - this.#head;
  }

  /** Payload and topic bytes held (a topic counts one byte for each UTF-16 unit). */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends `queued`. False: it is full. */
  push(queued: QueuedMessage): boolean {
    const bytes = sizeOf(queued);
    if (this.length >= this.#messagesMax || this.#bytes + bytes > this.#bytesMax) return false;
    this.#messages.push(queued);
    this.#bytes += bytes;
    return true;
  }

  /** Takes the oldest message; undefined if there is none. */
  shift(): QueuedMessage | undefined {
    const queued = this.#messages[this.#head];
    if (queued === undefined) return undefined;
    this.#messages[this.#head++] = undefined;
    this.#bytes -= sizeOf(queued);
    if (this.#head === this.#messages.length) {
      this.#messages = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_AT && this.#head * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#head);
      this.#head = 0;
    }
    return queued;
  }
}

function sizeOf(queued: QueuedMessage): number {
  return queued.message.payload.length + queued.message.topic.length;
}
