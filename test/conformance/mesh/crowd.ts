/** Clients of one world that take the steps of random-steps.ts, and tell what they hear. */

import type { Client, Received } from "../support/client.ts";
import type { World } from "../support/world.ts";
import {
  type Connect,
  type Message,
  PASS_MS,
  SESSION_SECONDS,
  type Step,
  WILL_DELAY_SECONDS,
} from "./random-steps.ts";

export class Crowd {
  readonly #world: World;
  readonly #clients = new Map<number, Client>();
  /** What each connection got and has not answered. */
  readonly #unanswered = new Map<Client, Received[]>();
  #published = 0;
  /** QoS by payload. */
  readonly #publishedWith = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Client `at` takes `step`; returns what all of them hear. */
  take(at: number, step: Step): readonly string[] {
    const client = this.#clients.get(at);
    if (step.kind === "pass") this.#world.pass(step.times * PASS_MS);
    else if (step.kind === "connect") this.#connect(at, step);
    else if (client !== undefined && client.stream.ended === undefined) this.#act(client, step);
    return [...this.#clients].flatMap(([index, each]) => this.#hear(each, index));
  }

  #connect(at: number, { version, clean, will }: Connect): void {
    const isFive = version === 5;
    const delay = at % 2 === 0 ? { willDelayInterval: WILL_DELAY_SECONDS } : {};
    const client = this.#world.attempt(`c${at}`, {
      version,
      clean,
      ...(isFive && !clean && { properties: { sessionExpiryInterval: SESSION_SECONDS } }),
      ...(will && {
        will: {
          topic: will.topic,
          payload: Buffer.from(will.isEmpty ? "" : `will of ${at}`),
          qos: will.qos,
          retain: will.retain,
          ...(isFive && { properties: { ...will.properties, ...delay } }),
        },
      }),
    });
    this.#clients.set(at, client);
    this.#unanswered.set(client, []);
  }

  #act(client: Client, step: Exclude<Step, { kind: "connect" | "pass" }>): void {
    switch (step.kind) {
      case "publish":
        client.sendTogether(...step.messages.map((message) => this.#packet(message, client.version)));
        return;
      case "subscribe": {
        const options = client.version === 5 ? step.options : {};
        const subscriptions = step.filters.map((topic) => ({ topic, qos: step.qos, ...options }));
        client.send({ cmd: "subscribe", messageId: 1, subscriptions });
        return;
      }
      case "unsubscribe":
        client.send({ cmd: "unsubscribe", messageId: 1, unsubscriptions: step.filters });
        return;
      case "acknowledge": {
        const answers = (this.#unanswered.get(client) ?? []).splice(0).map(answerTo);
        if (answers.length > 0) client.sendTogether(...answers);
        return;
      }
      case "disconnect":
        client.disconnect();
        return;
      case "sever":
        client.sever();
        return;
    }
  }

  #packet({ topic, qos, retain, isEmpty, properties }: Message, version: number): object {
    const messageId = ++this.#published;
    const payload = isEmpty ? "" : `${messageId}`;
    if (!isEmpty) this.#publishedWith.set(payload, qos);
    return { cmd: "publish", topic, payload, qos, retain, messageId, ...(version === 5 && { properties }) };
  }

  /**
   * What has come to `client`, kind by kind: acknowledgements do not wait for messages, nor messages for them, nor those of one
   * QoS for those of another [MQTT-4.6.0-6]. Retained messages come in no particular order, and come again in the same one.
   */
  #hear(client: Client, index: number): readonly string[] {
    const packets = client.packets.splice(0);
    this.#unanswered.get(client)?.push(...packets.filter(wantsAnswer));
    const kinds = [...new Set(packets.map((packet) => this.#kindOf(packet)))].sort();
    const lines = kinds.flatMap((kind) =>
      packets.filter((packet) => this.#kindOf(packet) === kind && packet.retain !== true).map(lineOf),
    );
    lines.push(
      ...packets
        .filter(({ retain }) => retain)
        .map(lineOf)
        .sort(),
    );
    if (client.stream.ended !== undefined) lines.push(`ended: ${client.stream.ended}`);
    return lines.map((line) => `c${index} ${line}`);
  }

  /** Messages are of one kind that were published, and are delivered, with the same QoS; of what is empty nobody knows with which. */
  #kindOf(packet: Received): string {
    const { cmd, qos, payload } = packet;
    if (cmd !== "publish") return cmd;
    return `publish ${qos} ${this.#publishedWith.get(String(payload)) ?? lineOf(packet)}`;
  }
}

function wantsAnswer({ cmd, qos }: Received): boolean {
  return cmd === "pubrel" || cmd === "pubrec" || (cmd === "publish" && qos !== 0);
}

function answerTo({ cmd, messageId, qos }: Received): object {
  if (cmd === "pubrel") return { cmd: "pubcomp", messageId, reasonCode: 0 };
  if (cmd === "pubrec") return { cmd: "pubrel", messageId, reasonCode: 0 };
  return { cmd: qos === 1 ? "puback" : "pubrec", messageId, reasonCode: 0 };
}

/** All that is the same however long the answer took: how much of a lifetime is left is not. */
function lineOf(packet: Received): string {
  const { cmd, topic, payload, qos, retain, dup, granted } = packet;
  const { sessionPresent, returnCode, reasonCode } = packet;
  const { messageExpiryInterval, ...properties } = packet.properties ?? {};
  // The server's own identifiers are in the order in which messages came.
  const messageId = cmd === "pubrel" ? undefined : packet.messageId;
  if (cmd !== "publish")
    return `${cmd} ${JSON.stringify({ messageId, granted, sessionPresent, returnCode, reasonCode })}`;
  const form = { qos, retain, dup, expires: messageExpiryInterval !== undefined, ...properties };
  return `publish ${topic} ${payload} ${JSON.stringify(form)}`;
}
