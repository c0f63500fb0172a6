/** How long and how deep the topics and filters of clients may be: what a trie and a subscription may cost. */

import { utf8Length } from "@skein/kernel";

export class TopicLimits {
  readonly #bytesMax: number;
  readonly #levelsMax: number;

  constructor({
    topicBytesMax,
    topicLevelsMax,
  }: {
    readonly topicBytesMax: number;
    readonly topicLevelsMax: number;
  }) {
    this.#bytesMax = topicBytesMax;
    this.#levelsMax = topicLevelsMax;
  }

  /** Whether a Topic Name or Topic Filter keeps within them. */
  allow(topic: string): boolean {
    let levels = 1;
    for (let at = topic.indexOf("/"); at !== -1; at = topic.indexOf("/", at + 1)) levels++;
    return levels <= this.#levelsMax && utf8Length(topic) <= this.#bytesMax;
  }
}
