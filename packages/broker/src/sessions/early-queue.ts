/**
 * Messages of a kept session that came before the log had them, because there is no quorum: sent at once, and not again when the log
 * brings them.
 *
 * They have no ordinals yet, so they go under packet identifiers that are far from those of the queue, and begin at a place that their
 * name says: who was in the middle of a handshake when its connection ended holds on to an identifier, and would take the first message
 * of the next connection for that one (QoS 2), if each began at the same place. When the log has brought one
 * (`placed`), its place in the queue is passed over if it was sent, and acknowledged with it. One that still waits then goes its
 * usual way. Bounded: from the first for which there is no room all wait for the log, until it has brought those without room, so that
 * their order stays.
 *
 * Source: reference design, section 4.7.
 */

import { type ApplicationMessage, packetIdOf, type QoS } from "@skein/kernel";

export const WAITING_MAX = 1000;
/** Names remembered of those without room: as many as one session may be owed. */
const OVERFLOWN_MAX = 10_000;
/** From the oldest ordinal under way to these packet identifiers: farther than ordinals under way lie apart. */
const DISTANCE = 61_000;
const PACKET_IDS = 4000;

export interface EarlyMessage {
  readonly name: string;
  readonly message: ApplicationMessage;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly identifiers: readonly number[] | undefined;
}

/** One that was sent on this connection. */
export interface EarlySent {
  readonly name: string;
  readonly qos: QoS;
  /** Its place in the queue, once it has one. */
  ordinal: number | undefined;
  isReleased: boolean;
}

export class EarlyQueue {
  #waiting: EarlyMessage[] = [];
  /** Names of those for which there was no room, while the log has not brought them. */
  readonly #overflown = new Set<string>();
  /** By packet identifier. */
  readonly #sent = new Map<number, EarlySent>();
  /** Sent and acknowledged, but without a place yet. */
  readonly #had = new Set<string>();
  /** Packet identifiers whose PUBREL must not go before that of an older message of the queue, which it names [MQTT-4.6.0-4]. */
  readonly #held = new Map<number, object>();
  /** Places in the queue that need not be sent. */
  readonly #passed = new Set<number>();

  /** Sent and not acknowledged. */
  get underWay(): number {
    return this.#sent.size;
  }

  push(message: EarlyMessage): void {
    if (this.#overflown.size === 0 && this.#waiting.length < WAITING_MAX) this.#waiting.push(message);
    else if (this.#overflown.size < OVERFLOWN_MAX) this.#overflown.add(message.name);
  }

  shift(): EarlyMessage | undefined {
    return this.#waiting.shift();
  }

  /** Returns the packet identifier that it goes under; `oldest` is the oldest ordinal under way. */
  send({ name, qos }: EarlyMessage, oldest: number): number {
    let place = placeOf(name);
    let packetId = 0;
    do packetId = packetIdOf(oldest + DISTANCE + (place++ % PACKET_IDS));
    while (this.#sent.has(packetId));
    this.#sent.set(packetId, { name, qos, ordinal: undefined, isReleased: false });
    return packetId;
  }

  find(packetId: number): EarlySent | undefined {
    return this.#sent.get(packetId);
  }

  /** Its PUBREL waits for that of `behind`. */
  hold(packetId: number, behind: object): void {
    if (!this.#held.has(packetId)) this.#held.set(packetId, behind);
  }

  /** Those that have waited for it, in the order of their PUBRECs; told once. */
  heldBehind(behind: object): readonly number[] {
    const waiting = [...this.#held].filter(([, each]) => each === behind).map(([packetId]) => packetId);
    for (const packetId of waiting) this.#held.delete(packetId);
    return waiting;
  }

  /** The client has it. */
  finish(packetId: number): EarlySent | undefined {
    const sent = this.#sent.get(packetId);
    if (sent === undefined) return undefined;
    this.#sent.delete(packetId);
    this.#held.delete(packetId);
    if (sent.ordinal === undefined) this.#had.add(sent.name);
    return sent;
  }

  /** The log has brought it, as the last of the queue. `isHad`: the client has it. True: it was sent. */
  placed(ordinal: number, name: string, isHad: boolean): boolean {
    // The log brings what comes from one node in its order, so those that still wait are not overtaken.
    this.#waiting = this.#waiting.filter((message) => message.name !== name);
    this.#overflown.delete(name);
    for (const sent of this.#sent.values()) if (sent.name === name) sent.ordinal = ordinal;
    const wasSent =
      this.#had.delete(name) || isHad || [...this.#sent.values()].some((sent) => sent.name === name);
    if (wasSent) this.#passed.add(ordinal);
    return wasSent;
  }

  /** The log knows that the client has it. */
  forget(name: string): void {
    this.#had.delete(name);
  }

  /** Whether this place of the queue need not be sent; asked once. */
  passes(ordinal: number): boolean {
    return this.#passed.delete(ordinal);
  }
}

/** Scattered, but the same for a name on every connection (FNV-1a). */
function placeOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193);
  return (hash >>> 0) % PACKET_IDS;
}
