/**
 * Many retained messages for a reader that takes so many a second: does it get all of them, and what does that cost its node?
 *
 * A slow reader with QoS 1 reads at once and acknowledges slowly; with QoS 0 it reads slowly, and the kernels between it and its node
 * take what they take.
 */

import { once } from "node:events";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { generate, type Packet, parser } from "mqtt-packet";
import { usageOf } from "../mqtt/process-usage.ts";
import { type Endpoint, publishBlock, RawClient } from "../mqtt/raw-client.ts";

const BEAT_MS = 10;
const LOOK_EVERY_MS = 250;
const WRITES_UNDER_WAY = 500;
/** Nothing has come for so long: no more will. */
const SILENCE_MS = 15_000;

export interface ReplayResult {
  readonly received: number;
  readonly seconds: number;
  /** The most that its node had more than before the SUBSCRIBE. */
  readonly extraMegabytes: number;
}

/** Writes the retained messages `PREFIX/0` and so on. */
export async function writeRetained(
  node: Endpoint,
  prefix: string,
  count: number,
  bytes: number,
): Promise<void> {
  let answered = 0;
  let wake: () => void = () => undefined;
  const writer = await RawClient.connect(node, `${prefix}-writer`, 0, {
    acknowledged: () => {
      answered += 1;
      wake();
    },
  });
  for (let at = 0; at < count; at += 1) {
    const { bytes: frame, idAt } = publishBlock([`${prefix}/${at}`], 1, bytes, 0, true);
    frame.writeUInt16BE(1 + (at % 0xffff), idAt);
    writer.socket.write(frame);
    while (at - answered >= WRITES_UNDER_WAY || (at === count - 1 && answered < count))
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  writer.close();
}

export async function replay(
  node: Endpoint,
  pid: number,
  prefix: string,
  options: {
    readonly qos: 0 | 1;
    readonly isKept: boolean;
    readonly perSecond: number;
    readonly count: number;
  },
): Promise<ReplayResult> {
  const { qos, isKept, perSecond, count } = options;
  const socket = connect({ ...node, noDelay: true });
  await once(socket, "connect");
  const reader = parser({ protocolVersion: 4 });
  const owed: number[] = [];
  let received = 0;
  let lastAt = performance.now();
  let frameBytes = 0;
  reader.on("packet", (packet: Packet) => {
    if (packet.cmd !== "publish") return;
    received += 1;
    lastAt = performance.now();
    frameBytes = Math.max(frameBytes, packet.length ?? 0);
    if (packet.qos === 1) owed.push(packet.messageId ?? 0);
  });
  const clientId = `${prefix}-reader-${qos}-${isKept}`;
  socket.write(
    generate({
      cmd: "connect",
      clientId,
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: !isKept,
      keepalive: 0,
    }),
  );
  const before = usageOf([pid]).rssBytes;
  let most = before;
  const startAt = performance.now();
  socket.write(generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: `${prefix}/#`, qos }] }));
  if (qos === 1) socket.on("data", (bytes) => reader.parse(bytes));
  const look = setInterval(() => {
    most = Math.max(most, usageOf([pid]).rssBytes);
  }, LOOK_EVERY_MS);
  let due = 0;
  await new Promise<void>((resolve) => {
    let at = performance.now();
    const beat = setInterval(() => {
      const now = performance.now();
      due = Math.min(due + ((now - at) * perSecond) / 1000, perSecond);
      at = now;
      if (qos === 1) {
        for (; due >= 1 && owed.length > 0; due -= 1)
          socket.write(generate({ cmd: "puback", messageId: owed.shift() ?? 0 }));
      } else {
        // Before the first message its size is not known: CONNACK, SUBACK and the beginning of it are small.
        const size = Math.floor(due) * (frameBytes === 0 ? 100 : frameBytes + 3);
        const bytes: Buffer | null =
          size === 0 ? null : (socket.read(Math.min(size, socket.readableLength)) as Buffer | null);
        if (bytes !== null) {
          reader.parse(bytes);
          due = 0;
        }
      }
      const isOver = received >= count && owed.length === 0;
      if (!isOver && now - lastAt < SILENCE_MS) return;
      clearInterval(beat);
      resolve();
    }, BEAT_MS);
  });
  clearInterval(look);
  const seconds = (performance.now() - startAt) / 1000;
  socket.destroy();
  return { received, seconds, extraMegabytes: (most - before) / 1_048_576 };
}
