/**
 * Topic Aliases towards one client that allowed them with its Topic Alias Maximum.
 *
 * A frame with an alias belongs to one connection, so it is encoded for that connection alone instead of being shared by all
 * receivers. That pays where bytes are dearer than our time, and only the client knows: who does not ask for aliases gets shared
 * frames. Who asks gets an alias for each of the first topics that come a second time, for as long as the connection lasts. A topic
 * that comes once never gets one, and a stream of ever new topics replaces nothing, so it costs no more than without.
 *
 * Source: MQTT 5 section 3.3.2.3.4.
 */

export interface OutboundAlias {
  /** 1 to the client's Topic Alias Maximum [MQTT-3.1.2-26]. */
  readonly alias: number;
  /** The client knows it: the topic need not be sent any more. */
  isSet: boolean;
}

/** A shorter topic is not worth the three bytes of an alias. */
const TOPIC_LENGTH_MIN = 8;

export class OutboundAliases {
  readonly #max: number;
  readonly #byTopic = new Map<string, OutboundAlias>();
  /** Topics that came once; at most `#max`. */
  readonly #once = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The alias of `topic`, which is about to be sent; undefined: it has none. Who sends the message sets `isSet`. */
  of(topic: string): OutboundAlias | undefined {
    const known = this.#byTopic.get(topic);
    if (known !== undefined || this.#byTopic.size >= this.#max || topic.length < TOPIC_LENGTH_MIN)
      return known;
    if (!this.#once.delete(topic)) {
      this.#remember(topic);
      return undefined;
    }
    const alias = { alias: this.#byTopic.size + 1, isSet: false };
    this.#byTopic.set(topic, alias);
    return alias;
  }

  #remember(topic: string): void {
    if (this.#once.size >= this.#max) {
      for (const oldest of this.#once) {
        this.#once.delete(oldest);
        break;
      }
    }
    this.#once.add(topic);
  }
}
