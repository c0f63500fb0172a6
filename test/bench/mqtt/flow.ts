/**
 * Publishers and subscribers of one flow, in the generator's process.
 *
 * A group is a set of publishers whose messages go to the same subscribers: each pair, or all. In a closed loop a group sends again when
 * what it has sent has arrived; that is all the flow control there is, so the broker decides the pace. Paced publishers look at the
 * clock without sleeping, because timers of a millisecond would make bursts of lone messages.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import type { Load, Outcome } from "./generator.ts";
import {
  type Endpoint,
  type FrameBlock,
  PUBLISHER_AT,
  publishBlock,
  RawClient,
  SEQUENCE_AT,
  TIME_AT,
} from "./raw-client.ts";
import type { FlowScenario } from "./scenarios.ts";

/** Bursts of a publisher under way at a time: one on its way out while the other comes back. */
const BURSTS_UNDER_WAY = 2;
const LOOK_EVERY_MS = 1;
const DRAIN_MS = 10_000;
/** Wildcard filters, and topics of a publisher of theirs: a multiple of the burst, so that it is cut from one piece. */
const WILDCARDS = 2500;
const TOPICS_EACH = 96;
const CLIENTS_AT_ONCE = 50;
const LATENCIES_MAX = 2_000_000;

class Publisher {
  readonly client: RawClient;
  readonly #block: FrameBlock;
  readonly #qos: number;
  #frame = 0;
  #packetId = 0;
  sequence = 0;

  constructor(client: RawClient, block: FrameBlock, qos: number) {
    this.client = client;
    this.#block = block;
    this.#qos = qos;
  }

  /** Writes `count` messages at once. `dueMs`: when they were to be sent. */
  send(count: number, dueMs: number): void {
    const { bytes, frameBytes, payloadAt, idAt } = this.#block;
    if (this.#frame + count * frameBytes > bytes.length) this.#frame = 0;
    const size = count * frameBytes;
    const frames = Buffer.allocUnsafe(size);
    bytes.copy(frames, 0, this.#frame, this.#frame + size);
    for (let at = 0; at < size; at += frameBytes) {
      frames.writeUInt32BE(++this.sequence, at + payloadAt + SEQUENCE_AT);
      frames.writeDoubleBE(dueMs, at + payloadAt + TIME_AT);
      if (this.#qos > 0) {
        this.#packetId = (this.#packetId % 0xffff) + 1;
        frames.writeUInt16BE(this.#packetId, at + idAt);
      }
    }
    this.#frame += size;
    this.client.socket.write(frames);
  }
}

/** Who sends to the same subscribers. */
interface Group {
  readonly publishers: Publisher[];
  /** Deliveries of each message. */
  readonly copies: number;
  sent: number;
  received: number;
  acknowledged: number;
}

export class Flow implements Load {
  readonly #scenario: FlowScenario;
  readonly #groups: Group[];
  readonly #groupOf: Group[] = [];
  /** By subscriber and publisher: the sequence number that came last. */
  readonly #last: Map<number, number>[] = [];
  readonly #latenciesUs: number[] = [];
  #disordered = 0;
  #isSending = false;
  units = 0;

  private constructor(scenario: FlowScenario) {
    this.#scenario = scenario;
    const { shape, publishers } = scenario;
    const count = shape === "pairs" ? publishers : 1;
    const copies = shape === "wildcards" ? 4 : shape === "pairs" ? 1 : scenario.subscribers;
    this.#groups = Array.from({ length: count }, () => {
      return { publishers: [], copies, sent: 0, received: 0, acknowledged: 0 };
    });
  }

  static async prepare(scenario: FlowScenario, publish: Endpoint, subscribe: Endpoint): Promise<Flow> {
    const flow = new Flow(scenario);
    await inTurns(scenario.subscribers, (index) => flow.#addSubscriber(index, subscribe));
    await inTurns(scenario.publishers, (index) => flow.#addPublisher(index, publish));
    return flow;
  }

  async #addSubscriber(index: number, endpoint: Endpoint): Promise<void> {
    const { shape, qos, subscribers } = this.#scenario;
    this.#last[index] = new Map();
    this.#groupOf[index] = this.#group(index);
    const client = await RawClient.connect(endpoint, `bench-s${index}`, index, {
      message: (bytes, payloadAt, _, receiver) => this.#received(bytes, payloadAt, receiver),
    });
    await client.subscribe(
      shape === "wildcards" ? wildcards(index, subscribers) : [topicOf(shape, index)],
      qos,
    );
  }

  async #addPublisher(index: number, endpoint: Endpoint): Promise<void> {
    const { shape, qos, payload, pace } = this.#scenario;
    const group = this.#group(index);
    const client = await RawClient.connect(endpoint, `bench-p${index}`, index, {
      acknowledged: () => {
        group.acknowledged++;
      },
    });
    const burst = pace.kind === "bursts" ? pace.burst : 1;
    const topics =
      shape === "wildcards"
        ? Array.from({ length: TOPICS_EACH }, (_, i) => wildcardTopic(index * TOPICS_EACH + i))
        : new Array<string>(burst).fill(topicOf(shape, index));
    group.publishers.push(new Publisher(client, publishBlock(topics, qos, payload, index), qos));
  }

  #group(index: number): Group {
    return this.#groups[this.#scenario.shape === "pairs" ? index : 0] as Group;
  }

  async start(): Promise<void> {
    this.#isSending = true;
    const { pace } = this.#scenario;
    if (pace.kind === "bursts") this.#burst(pace.burst);
    else if (pace.kind === "rate") this.#paced(pace.perSecond, performance.now(), 0);
    else for (const group of this.#groups) this.#sendLone(group);
  }

  async finish(): Promise<Outcome> {
    this.#isSending = false;
    const deadline = performance.now() + DRAIN_MS;
    const isOver = (): boolean =>
      this.#groups.every(({ sent, received, copies, acknowledged }) => {
        return received >= sent * copies && (this.#scenario.qos === 0 || acknowledged >= sent);
      });
    while (!isOver() && performance.now() < deadline) await delay(5);
    const published = this.#groups.reduce((sum, { sent }) => sum + sent, 0);
    const expected = this.#groups.reduce((sum, { sent, copies }) => sum + sent * copies, 0);
    return {
      published,
      units: this.units,
      missing: expected - this.units,
      disordered: this.#disordered,
      ...this.#latency(),
    };
  }

  /** Of the later three quarters: the code is compiled by then. */
  #latency(): Pick<Outcome, "p50Us" | "p99Us"> {
    const sorted = this.#latenciesUs.slice(this.#latenciesUs.length >> 2).sort((a, b) => a - b);
    return { p50Us: sorted[sorted.length >> 1], p99Us: sorted[Math.floor(sorted.length * 0.99)] };
  }

  #received(bytes: Buffer, payloadAt: number, receiver: number): void {
    this.units++;
    const group = this.#groupOf[receiver] as Group;
    group.received++;
    const publisher = bytes.readUInt32BE(payloadAt + PUBLISHER_AT);
    const sequence = bytes.readUInt32BE(payloadAt + SEQUENCE_AT);
    const last = this.#last[receiver] as Map<number, number>;
    if (sequence <= (last.get(publisher) ?? 0)) this.#disordered++;
    last.set(publisher, sequence);
    const { kind } = this.#scenario.pace;
    if (kind === "bursts") return;
    const us = (performance.now() - bytes.readDoubleBE(payloadAt + TIME_AT)) * 1000;
    if (this.#latenciesUs.length < LATENCIES_MAX) this.#latenciesUs.push(us);
    if (kind !== "lone" || !this.#isSending) return;
    if (this.#scenario.shape === "pairs") this.#sendLone(group);
    else if (group.received % group.copies === 0) this.#sendOne(group, publisher);
  }

  #sendLone(group: Group): void {
    for (const publisher of group.publishers) publisher.send(1, performance.now());
    group.sent += group.publishers.length;
  }

  #sendOne(group: Group, index: number): void {
    group.publishers[index]?.send(1, performance.now());
    group.sent++;
  }

  /** A burst of each publisher of every group that has room, once a millisecond. */
  #burst(burst: number): void {
    if (!this.#isSending) return;
    const now = performance.now();
    for (const group of this.#groups) {
      const round = burst * group.publishers.length;
      const underWay = Math.max(group.sent - group.received / group.copies, this.#unacknowledged(group));
      if (underWay > round * (BURSTS_UNDER_WAY - 1)) continue;
      for (const publisher of group.publishers) publisher.send(burst, now);
      group.sent += round;
    }
    setTimeout(() => this.#burst(burst), LOOK_EVERY_MS);
  }

  #unacknowledged({ sent, acknowledged }: Group): number {
    return this.#scenario.qos === 0 ? 0 : sent - acknowledged;
  }

  /** Message number `sent` is due at its share of the time since `startMs`. */
  #paced(perSecond: number, startMs: number, sent: number): void {
    if (!this.#isSending) return;
    const everyMs = 1000 / perSecond;
    let next = sent;
    for (const now = performance.now(); startMs + next * everyMs <= now; next++) {
      const group = this.#groups[next % this.#groups.length] as Group;
      const at = Math.floor(next / this.#groups.length) % group.publishers.length;
      group.publishers[at]?.send(1, startMs + next * everyMs);
      group.sent++;
    }
    setImmediate(() => this.#paced(perSecond, startMs, next));
  }
}

function topicOf(shape: FlowScenario["shape"], index: number): string {
  return shape === "pairs" ? `bench/${String(index).padStart(4, "0")}/state` : "bench/all/state";
}

function wildcardTopic(number: number): string {
  return `home/${String(number % WILDCARDS).padStart(4, "0")}/lamp/state`;
}

/** This subscriber's share of the filters: four match each topic, of four different subscribers. */
function wildcards(index: number, subscribers: number): readonly string[] {
  const filters: string[] = [];
  for (let number = 0; number < WILDCARDS; number++) {
    const name = String(number).padStart(4, "0");
    const forms = [`home/${name}/+/state`, `home/${name}/#`, `+/${name}/+/state`, `home/${name}/+/+`];
    for (const [form, filter] of forms.entries())
      if ((number + (form * subscribers) / 4) % subscribers === index) filters.push(filter);
  }
  return filters;
}

/** Some at a time: an accept queue is short. */
async function inTurns(count: number, one: (index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += CLIENTS_AT_ONCE) {
    const size = Math.min(CLIENTS_AT_ONCE, count - from);
    await Promise.all(Array.from({ length: size }, (_, i) => one(from + i)));
  }
}
