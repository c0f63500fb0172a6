/**
 * An Application Message as it travels between broker, mesh and coordinator, independent of any wire form (but for those bytes of a
 * client's that need only be passed on), and the way its publisher learns that it is safe.
 *
 * Source: MQTT 5 section 3.3 (PUBLISH).
 */

/** MQTT quality of service. */
export type QoS = 0 | 1 | 2;

/** The PUBLISH properties that belong to the message, not to one connection (MQTT 5 section 3.3.2.3). */
export interface MessageProperties {
  /** True: the payload is UTF-8 text. */
  readonly payloadIsUtf8?: boolean;
  /** Lifetime that was left when this node got the message, in seconds. */
  readonly messageExpirySeconds?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
  /** Name and value pairs in the publisher's order; names may repeat. */
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** A PUBLISH of MQTT, or several side by side: `bytes[at, end)`, which nobody changes. */
export interface PublishBytes {
  /** Of the protocol: 3 and 4 write it the same way. */
  readonly version: 3 | 4 | 5;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
}

/** One published message. Immutable; `payload` is never modified after creation and may be shared. */
export interface ApplicationMessage {
  /** Topic Name: valid UTF-8, no wildcards, not empty. */
  readonly topic: string;
  readonly payload: Uint8Array;
  /** QoS it was published with. */
  readonly qos: QoS;
  /** RETAIN flag of the publisher. */
  readonly retain: boolean;
  readonly properties: MessageProperties | undefined;
  /**
   * The one it came in, where that says all of the above and nothing else: with QoS 0, without RETAIN and Topic Alias. It may be passed on
   * as it stands. Undefined: the message must be written.
   */
  readonly packet?: PublishBytes | undefined;
}

/**
 * Collects the parts an acknowledgement waits for.
 *
 * A call that takes a Completion returns how many times it will later call `settle`. It never settles before
 * it has returned, so the caller can add up the parts of several calls first.
 */
export interface Completion {
  /**
   * One awaited part ended. `reasonCode` is 0x00, {@link SAFE_HERE_ONLY}, {@link PASSED_BY}, or the MQTT 5 reason code (0x80-0xFF)
   * its publisher should hear. The highest of all parts counts.
   */
  settle(reasonCode: number): void;
}

/**
 * Taken, but for want of a quorum it is safe on this node's disk alone. No Reason Code of MQTT: a publisher hears 0x00, in 5.0 with a
 * Reason String.
 */
export const SAFE_HERE_ONLY = 0x7e;

/**
 * Taken, and everybody who had room for it has it or is owed it; some sessions that are kept had none, and are counted. No Reason Code
 * of MQTT: a publisher hears 0x00, of 5.0 with a Reason String, or of QoS 1 0x97.
 */
export const PASSED_BY = 0x7f;
