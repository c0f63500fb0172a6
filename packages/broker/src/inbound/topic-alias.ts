/** Topic Aliases that a client has set on one connection; they end with it [MQTT-3.3.2-7]. Source: MQTT 5 section 3.3.2.3.4. */

export class TopicAliases {
  readonly #maximum: number;
  #topics: (string | undefined)[] = [];

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Whether the client may use `alias` (0 was refused by the decoder). */
  isAllowed(alias: number): boolean {
    return alias <= this.#maximum;
  }

  set(alias: number, topic: string): void {
    this.#topics[alias] = topic;
  }

  get(alias: number): string | undefined {
    return this.#topics[alias];
  }
}
