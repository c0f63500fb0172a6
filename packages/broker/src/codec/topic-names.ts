/**
 * Turns the bytes of a Topic Name into its string without decoding the same topic again and again.
 *
 * A publisher repeats few topics, so a direct-mapped table from a hash of the bytes to the checked string replaces
 * UTF-8 decoding and validation on the hot path. A collision only costs a decode. The table is bounded by
 * construction, and long topics are not kept. Source: reference measurements, rule 4 (byte-hash table).
 */

import { hashOfBytes, isSameBytes, isValidTopicName } from "@skein/kernel";
import { copyOf, textAt } from "./field-reader.ts";
import { PacketError } from "./packet-error.ts";
import { ReasonCode } from "./reason-codes.ts";

const SLOTS = 2048;
const CACHED_BYTES_MAX = 256;

interface Slot {
  readonly bytes: Uint8Array;
  readonly topic: string;
}

export class TopicNames {
  readonly #slots: (Slot | undefined)[] = new Array(SLOTS).fill(undefined);
  readonly #isAllowed: (topic: string) => boolean;

  /** @param isAllowed whether a valid Topic Name keeps within limits */
  constructor(isAllowed: (topic: string) => boolean = () => true) {
    this.#isAllowed = isAllowed;
  }

  /**
   * The Topic Name in `bytes[at, end)`, which is not empty.
   * @throws {PacketError} Topic Name invalid (wildcards, too many levels) or Malformed Packet (bad UTF-8).
   */
  read(bytes: Uint8Array, at: number, end: number): string {
    const index = hashOfBytes(bytes, at, end) & (SLOTS - 1);
    const slot = this.#slots[index];
    if (slot !== undefined && isSameBytes(slot.bytes, bytes, at, end)) return slot.topic;
    const topic = textAt(bytes, at, end);
    if (!isValidTopicName(topic)) {
      throw new PacketError(ReasonCode.TopicNameInvalid, "topic name has a wildcard or too many levels");
    }
    if (!this.#isAllowed(topic)) {
      throw new PacketError(ReasonCode.TopicNameInvalid, "topic name is too long or has too many levels");
    }
    if (end - at <= CACHED_BYTES_MAX) this.#slots[index] = { bytes: copyOf(bytes.subarray(at, end)), topic };
    return topic;
  }
}
