/**
 * The connections without a CONNACK: few enough that a flood of them keeps nobody out. Whoever has said nothing for the longest time
 * makes room for who has just come.
 */

import type { Stream, StreamHandler } from "@skein/kernel";
import { ReasonCode } from "../codec/reason-codes.ts";
import type { Counters } from "../counters.ts";
import type { BrokerOptions } from "../options.ts";
import type { Channel } from "./channel.ts";

type Limits = Pick<BrokerOptions, "connectingMax" | "authenticatingMax">;

/** Hears what comes from a connection that is reset at once. */
const IGNORED: StreamHandler = { received() {}, drained() {}, closed() {} };

export class ConnectingChannels {
  readonly #limits: Limits;
  readonly #counters: Counters;
  /** The oldest first. */
  readonly #channels = new Set<Channel>();
  /** Those of them that authenticate. */
  readonly #authenticating = new Set<Channel>();

  constructor(limits: Limits, counters: Counters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  add(channel: Channel): void {
    if (this.#channels.size >= this.#limits.connectingMax) this.#resetOldest();
    this.#channels.add(channel);
  }

  /** It has its CONNACK, or is gone. */
  delete(channel: Channel): void {
    this.#channels.delete(channel);
    this.#authenticating.delete(channel);
  }

  /** It is not even heard. */
  refuse(stream: Stream): void {
    this.#counters.connectionsRefused++;
    stream.start(IGNORED);
    stream.reset();
  }

  /** Its client is to come again. */
  reset(channel: Channel): void {
    this.#counters.connectionsRefused++;
    this.delete(channel);
    channel.reset(ReasonCode.QuotaExceeded, "discard");
  }

  mayAuthenticate(channel: Channel): boolean {
    if (this.#authenticating.size >= this.#limits.authenticatingMax) {
      this.#counters.connectionsRefused++;
      return false;
    }
    this.#authenticating.add(channel);
    return true;
  }

  #resetOldest(): void {
    for (const channel of this.#channels) {
      this.reset(channel);
      return;
    }
  }
}
