/**
 * PUBACK and PUBREC in the order in which the messages came, each when its message is safe.
 *
 * A message waits for several parts (nodes that must accept it, the retained store); its slot counts them down and
 * keeps the worst reason code. Slots are pooled and stand in a queue per connection; only the head is answered, so
 * one that is settled early waits for those before it [MQTT-4.6.0-2] [MQTT-4.6.0-3]. A slot outlives its connection until
 * its last part is settled, because a part may settle at any time.
 *
 * Source: MQTT 5 sections 4.3.2, 4.3.3 and 4.6; P5 in docs/architecture.md.
 */

import { assert, type Completion } from "@skein/kernel";

/**
 * Packet identifiers of QoS 2 messages that a client has sent and not released: the slot while the PUBREC is not sent,
 * undefined afterwards. A session keeps it over reconnects, which is what makes the message exactly once.
 */
export type ReceivedQos2 = Map<number, AcknowledgementSlot | undefined>;

/** First Reason Code that says no. */
const REFUSED = 0x80;
/** Answered slots that may stay at the front of a queue. */
const COMPACT_AT = 256;

/** The way to one publisher. */
export interface Publisher {
  /** Sends PUBACK (QoS 1) or PUBREC (QoS 2). */
  acknowledge(packetId: number, qos: 1 | 2, reasonCode: number): void;
  /** A message that still waits for its turn is refused. May end the connection. */
  refused(reasonCode: number): void;
}

/** One QoS 1 or 2 message whose publisher waits. */
export class AcknowledgementSlot implements Completion {
  packetId = 0;
  qos: 1 | 2 = 1;
  reasonCode = 0;
  /** The connection's queue it stands in; undefined once that connection has gone. */
  queue: Acknowledgements | undefined;
  received: ReceivedQos2 | undefined;
  #waiting = 0;
  readonly #pool: AcknowledgementPool;

  constructor(pool: AcknowledgementPool) {
    this.#pool = pool;
  }

  get isSettled(): boolean {
    return this.#waiting === 0;
  }

  /** Starts anew, with one part to wait for: the caller's own, settled by the call of `settle` that follows `expect`. */
  begin(packetId: number, qos: 1 | 2, received: ReceivedQos2 | undefined): void {
    this.packetId = packetId;
    this.qos = qos;
    this.reasonCode = 0;
    this.received = received;
    this.#waiting = 1;
  }

  /** Adds parts to wait for. */
  expect(parts: number): void {
    this.#waiting += parts;
  }

  settle(reasonCode: number): void {
    assert(this.#waiting > 0, "an acknowledgement was settled more often than announced");
    if (reasonCode > this.reasonCode) this.reasonCode = reasonCode;
    this.#waiting -= 1;
    const { queue } = this;
    if (queue === undefined) {
      if (this.isSettled) this.finish();
      return;
    }
    if (reasonCode >= REFUSED) queue.refused(reasonCode);
    // If that was the end of the connection, its queue is empty.
    if (this.#waiting === 0) queue.drain();
  }

  /** The acknowledgement was sent, or has nobody left to go to: records it in the session and returns to the pool. */
  finish(): void {
    if (this.qos === 2 && this.received !== undefined && this.received.get(this.packetId) === this) {
      // [MQTT-4.3.3-9]: a refused identifier is free at once; an accepted one is kept until PUBREL.
      if (this.reasonCode >= REFUSED) this.received.delete(this.packetId);
      else this.received.set(this.packetId, undefined);
    }
    this.queue = undefined;
    this.received = undefined;
    this.#pool.give(this);
  }
}

/** Free slots of one broker. */
export class AcknowledgementPool {
  readonly #free: AcknowledgementSlot[] = [];

  take(): AcknowledgementSlot {
    return this.#free.pop() ?? new AcknowledgementSlot(this);
  }

  give(slot: AcknowledgementSlot): void {
    this.#free.push(slot);
  }
}

/** The queue of one connection. Its length is bounded by pausing the reader. */
export class Acknowledgements {
  readonly #publisher: Publisher;
  /** Kept when it is empty: most messages are answered at once, and each would need a new one. */
  #slots: (AcknowledgementSlot | undefined)[] = [];
  #head = 0;
  #end = 0;

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  /** Messages that are not acknowledged yet. */
  get length(): number {
    return this.#end - this.#head;
  }

  /** Puts `slot` at the end. */
  push(slot: AcknowledgementSlot): void {
    slot.queue = this;
    this.#slots[this.#end++] = slot;
  }

  /** A message in it is refused, whether it is its turn or not. */
  refused(reasonCode: number): void {
    this.#publisher.refused(reasonCode);
  }

  /** Answers the settled slots at the head. */
  drain(): void {
    while (this.#head < this.#end) {
      const slot = this.#slots[this.#head] as AcknowledgementSlot;
      if (!slot.isSettled) {
        this.#compact();
        return;
      }
      this.#slots[this.#head++] = undefined;
      const { packetId, qos, reasonCode } = slot;
      slot.finish();
      this.#publisher.acknowledge(packetId, qos, reasonCode);
      // The answer may have ended the connection and with it this queue.
    }
    this.#begin(this.#slots.length > COMPACT_AT ? [] : this.#slots, 0);
  }

  /** Cuts off the answered slots once they are many: a queue that is never empty must not grow for ever. */
  #compact(): void {
    if (this.#head >= COMPACT_AT) this.#begin(this.#slots.slice(this.#head, this.#end), this.length);
  }

  /** Goes on with `slots`, of which the first `length` wait. */
  #begin(slots: (AcknowledgementSlot | undefined)[], length: number): void {
    this.#slots = slots;
    this.#head = 0;
    this.#end = length;
  }

  /** The connection has gone. Unsettled slots live on without it. */
  abandon(): void {
    const slots = this.#slots.slice(this.#head, this.#end);
    this.#begin([], 0);
    for (const slot of slots) {
      if (slot === undefined) continue;
      slot.queue = undefined;
      if (slot.isSettled) slot.finish();
    }
  }
}
