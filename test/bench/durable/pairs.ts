/**
 * Publishers of QoS 1 messages, each heard by one subscriber with a kept session on another node.
 *
 * Either as fast as acknowledgements come (each publisher has so many messages under way), or at a fixed rate whatever comes back. A
 * message is acknowledged when a majority of the nodes holds it. PUBACKs come in the order of the messages, so the
 * oldest time that is noted belongs to the one that comes.
 */

import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { type Endpoint, type FrameBlock, publishBlock, RawClient } from "../mqtt/raw-client.ts";

const QOS = 1;
const BEAT_MS = 1;
const DRAIN_MS = 20_000;

export interface PairsLoad {
  readonly pairs: number;
  readonly payloadBytes: number;
  /** Messages under way of each publisher; undefined: as many as come together at the rate. */
  readonly window: number | undefined;
  /** Messages a second of all; undefined: as fast as acknowledgements come. */
  readonly perSecond: number | undefined;
  readonly warmUpMs: number;
  readonly measuredMs: number;
}

export interface PairsResult {
  /** A second, in the measured time. */
  readonly acknowledged: number;
  readonly delivered: number;
  /** Of those that were sent in the measured time. */
  readonly latenciesMs: readonly number[];
  /** Sent and never acknowledged, or never delivered. */
  readonly missing: number;
}

class PairPublisher {
  readonly #client: RawClient;
  readonly #block: FrameBlock;
  readonly #sentAt: number[] = [];
  #answered = 0;
  #packetId = 0;

  constructor(client: RawClient, block: FrameBlock) {
    this.#client = client;
    this.#block = block;
  }

  get underWay(): number {
    return this.#sentAt.length - this.#answered;
  }

  get sent(): number {
    return this.#sentAt.length;
  }

  /** `dueAt`: when they were to be sent. */
  send(count: number, dueAt: number): void {
    const { bytes, frameBytes, idAt } = this.#block;
    const frames = Buffer.allocUnsafe(count * frameBytes);
    for (let at = 0; at < frames.length; at += frameBytes) {
      bytes.copy(frames, at, 0, frameBytes);
      this.#packetId = (this.#packetId % 0xffff) + 1;
      frames.writeUInt16BE(this.#packetId, at + idAt);
      this.#sentAt.push(dueAt);
    }
    this.#client.socket.write(frames);
  }

  /** @returns when the message that is acknowledged was sent */
  acknowledged(): number {
    return this.#sentAt[this.#answered++] ?? 0;
  }

  close(): void {
    this.#client.close();
  }
}

/** `run`: makes client ids and topics of its own. */
export async function measurePairs(
  nodes: readonly Endpoint[],
  load: PairsLoad,
  run: string,
): Promise<PairsResult> {
  const counts = { acknowledged: 0, delivered: 0 };
  const latencies: { readonly sentAt: number; readonly tookMs: number }[] = [];
  const publishers: PairPublisher[] = [];
  const subscribers: RawClient[] = [];
  for (let at = 0; at < load.pairs; at += 1) {
    const topic = `durable/${run}/${String(at).padStart(4, "0")}`;
    const subscriber = await RawClient.connect(
      nodes[(at + 1) % nodes.length] as Endpoint,
      `${run}-s${at}`,
      at,
      {
        message: () => {
          counts.delivered += 1;
        },
      },
      true,
    );
    await subscriber.subscribe([topic], QOS);
    subscribers.push(subscriber);
    const client = await RawClient.connect(nodes[at % nodes.length] as Endpoint, `${run}-p${at}`, at, {
      acknowledged: (publisher) => {
        counts.acknowledged += 1;
        const sentAt = publishers[publisher]?.acknowledged() ?? 0;
        latencies.push({ sentAt, tookMs: performance.now() - sentAt });
      },
    });
    publishers.push(new PairPublisher(client, publishBlock([topic], QOS, load.payloadBytes, at)));
  }
  const pump =
    load.perSecond === undefined ? flood(publishers, load.window ?? 1) : paced(publishers, load.perSecond);
  await delay(load.warmUpMs);
  const before = { ...counts, at: performance.now() };
  await delay(load.measuredMs);
  const after = { ...counts, at: performance.now() };
  clearInterval(pump);
  const sent = publishers.reduce((sum, publisher) => sum + publisher.sent, 0);
  const untilAt = performance.now() + DRAIN_MS;
  const missing = (): number => 2 * sent - counts.acknowledged - counts.delivered;
  while (missing() > 0 && performance.now() < untilAt) await delay(50);
  for (const client of [...publishers, ...subscribers]) client.close();
  const seconds = (after.at - before.at) / 1000;
  return {
    acknowledged: (after.acknowledged - before.acknowledged) / seconds,
    delivered: (after.delivered - before.delivered) / seconds,
    latenciesMs: latencies
      .filter(({ sentAt }) => sentAt >= before.at && sentAt < after.at)
      .map(({ tookMs }) => tookMs),
    missing: missing(),
  };
}

function flood(publishers: readonly PairPublisher[], window: number): NodeJS.Timeout {
  return setInterval(() => {
    const now = performance.now();
    for (const publisher of publishers) {
      const room = window - publisher.underWay;
      if (room > 0) publisher.send(room, now);
    }
  }, BEAT_MS);
}

function paced(publishers: readonly PairPublisher[], perSecond: number): NodeJS.Timeout {
  const everyMs = 1000 / perSecond;
  const startAt = performance.now();
  let sent = 0;
  return setInterval(() => {
    for (const now = performance.now(); startAt + sent * everyMs <= now; sent += 1)
      publishers[sent % publishers.length]?.send(1, startAt + sent * everyMs);
  }, BEAT_MS);
}
