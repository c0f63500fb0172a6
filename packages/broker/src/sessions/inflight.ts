/**
 * QoS 1 and 2 messages that were sent to a client and are not acknowledged yet.
 *
 * A ring indexed by the low bits of the packet identifier: no Map, no allocation once it is full of reused entries.
 * Identifiers are handed out in turn; one whose place is still taken is passed over. Retransmission after a reconnect
 * goes by the order of first sending [MQTT-4.6.0-1]. A session that never got a QoS 1 message has no ring.
 *
 * Source: MQTT 5 sections 2.2.1, 4.3 and 4.4.
 */

import { type ApplicationMessage, assert, type QoS } from "@skein/kernel";

/** One message under way. Reused: valid until it is released. */
export interface InflightEntry {
  packetId: number;
  /** Undefined: the entry is free. */
  message: ApplicationMessage | undefined;
  qos: QoS;
  retain: boolean;
  identifiers: readonly number[] | undefined;
  /** When its Message Expiry Interval has passed, ms; 0: it has none. */
  expiresAt: number;
  /** Position in the order of first sending. */
  sequence: number;
  /** QoS 2: PUBREC came, PUBREL was sent. The message itself is no longer needed. */
  isReleased: boolean;
  /** It was sent on the present connection. */
  isOnWire: boolean;
}

export class Inflight {
  readonly #max: number;
  #ring: InflightEntry[] = [];
  #mask = 0;
  #nextPacketId = 1;
  #nextSequence = 0;
  #count = 0;
  #onWire = 0;

  /** @param max messages under way at a time, 1 to 4096 */
  constructor(max: number) {
    assert(max >= 1 && max <= 4096, "inflightMax must be 1 to 4096");
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  /** Messages that count against the Receive Maximum of the present connection. */
  get onWire(): number {
    return this.#onWire;
  }

  /** Whether one more message may be sent to a client with this Receive Maximum [MQTT-3.3.4-9]. */
  hasRoom(receiveMaximum: number): boolean {
    return this.#count < this.#max && this.#onWire < receiveMaximum;
  }

  /** Takes a message under way, with a packet identifier that is not in use [MQTT-2.2.1-4]. */
  take(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): InflightEntry {
    assert(this.#count < this.#max, "inflight ring overrun");
    if (this.#ring.length === 0) this.#makeRing();
    let entry = this.#ring[this.#nextPacketId & this.#mask] as InflightEntry;
    while (entry.message !== undefined) {
      this.#nextPacketId = (this.#nextPacketId % 0xffff) + 1;
      entry = this.#ring[this.#nextPacketId & this.#mask] as InflightEntry;
    }
    entry.packetId = this.#nextPacketId;
    entry.message = message;
    entry.qos = qos;
    entry.retain = retain;
    entry.identifiers = identifiers;
    entry.expiresAt = 0;
    entry.sequence = this.#nextSequence++;
    entry.isReleased = false;
    entry.isOnWire = true;
    this.#nextPacketId = (this.#nextPacketId % 0xffff) + 1;
    this.#count++;
    this.#onWire++;
    return entry;
  }

  /** The message under way with this identifier. */
  find(packetId: number): InflightEntry | undefined {
    const entry = this.#ring[packetId & this.#mask];
    return entry?.message !== undefined && entry.packetId === packetId ? entry : undefined;
  }

  /** The client has it: frees identifier and entry. */
  release(entry: InflightEntry): void {
    assert(entry.message !== undefined, "inflight entry released twice");
    entry.message = undefined;
    entry.identifiers = undefined;
    this.#count--;
    if (entry.isOnWire) this.#onWire--;
  }

  /** The entry is sent again on the present connection. */
  resent(entry: InflightEntry): void {
    assert(!entry.isOnWire, "inflight entry resent twice");
    entry.isOnWire = true;
    this.#onWire++;
  }

  /** A new connection begins: nothing is on its wire. Returns what is to be sent again, in order. */
  unacknowledged(): InflightEntry[] {
    const entries = this.#ring.filter((entry) => entry.message !== undefined);
    entries.sort((a, b) => a.sequence - b.sequence);
    for (const entry of entries) entry.isOnWire = false;
    this.#onWire = 0;
    return entries;
  }

  #makeRing(): void {
    let size = 16;
    while (size < this.#max) size *= 2;
    this.#mask = size - 1;
    for (let i = 0; i < size; i++) {
      this.#ring.push({
        packetId: 0,
        message: undefined,
        qos: 0,
        retain: false,
        identifiers: undefined,
        expiresAt: 0,
        sequence: 0,
        isReleased: false,
        isOnWire: false,
      });
    }
  }
}
