/**
 * What a client has published and what has become of each message, told by the packets themselves.
 *
 * MQTT.js calls back only when all is over, with QoS 2 after PUBCOMP; but the promise is given with PUBREC, and every time a message
 * is sent counts. So each message is known by its packet identifier from its first PUBLISH to PUBACK or PUBCOMP.
 */

import type { RoamingClient } from "./roaming-client.ts";

/** First Reason Code that says no. */
const ERROR = 0x80;
/** Messages on their way: below the Receive Maximum of any broker. */
const WINDOW = 16;

export class Outgoing<Tag> {
  readonly #client: RoamingClient;
  readonly #tags = new Map<number, Tag>();
  #next: Tag | undefined;

  /** It is sent, for the first time or again. */
  onSent: (tag: Tag) => void = () => undefined;
  /** PUBACK or PUBREC came. */
  onAcknowledged: (tag: Tag) => void = () => undefined;
  /** The same, with an error: it will not be sent again. */
  onRefused: (tag: Tag, code: number) => void = () => undefined;

  constructor(client: RoamingClient) {
    this.#client = client;
    client.mqtt.on("packetsend", (packet) => {
      if (packet.cmd !== "publish" || packet.messageId === undefined) return;
      const tag = this.#tags.get(packet.messageId) ?? this.#next;
      if (tag === undefined) return;
      this.#tags.set(packet.messageId, tag);
      this.#next = undefined;
      this.onSent(tag);
    });
    client.mqtt.on("packetreceive", (packet) => {
      switch (packet.cmd) {
        case "puback":
        case "pubrec":
          this.#answered(packet.messageId, packet.reasonCode ?? 0, packet.cmd === "puback");
          return;
        case "pubcomp":
          this.#tags.delete(packet.messageId ?? 0);
      }
    });
  }

  /** Messages that are on their way. */
  get size(): number {
    return this.#tags.size;
  }

  get canPublish(): boolean {
    return this.#client.isReady && this.#tags.size < WINDOW;
  }

  /** Call it only when {@link canPublish} says so. */
  publish(
    topic: string,
    payload: string,
    options: { readonly qos: 1 | 2; readonly retain?: boolean },
    tag: Tag,
  ): void {
    this.#next = tag;
    this.#client.mqtt.publish(topic, payload, { ...options }, () => undefined);
  }

  #answered(id: number | undefined, code: number, isOver: boolean): void {
    const tag = id === undefined ? undefined : this.#tags.get(id);
    if (id === undefined || tag === undefined) return;
    if (code < ERROR) this.onAcknowledged(tag);
    else this.onRefused(tag, code);
    if (isOver || code >= ERROR) this.#tags.delete(id);
  }
}
