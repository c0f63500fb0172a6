/**
 * The cheapest MQTT 3.1.1 client that still keeps to the protocol: a socket, a frame scanner, and packets written by hand.
 *
 * The generator must cost less than the broker it loads. So nothing is decoded but what an acknowledgement needs, answers to all packets of
 * one read leave in one write, and messages are counted where they lie. Each carries its publisher's number, a
 * sequence number and the time it was due, so that gaps and latency show.
 */

import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Offsets within a payload: sequence (u32), publisher (u32), time (f64). */
export const SEQUENCE_AT = 0;
export const PUBLISHER_AT = 4;
export const TIME_AT = 8;

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBACK = 9;
const UNKNOWN = -1;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface ClientEvents {
  /** A message; its payload is `bytes[payloadAt, end)`. */
  message?(bytes: Buffer, payloadAt: number, end: number, receiver: number): void;
  /** A message that was published here is done with: PUBACK or PUBCOMP. */
  acknowledged?(publisher: number): void;
}

export class RawClient {
  readonly socket: Socket;
  readonly #index: number;
  readonly #events: ClientEvents;
  #tail: Buffer = Buffer.alloc(0);
  #answers: Buffer = Buffer.alloc(256);
  #answerBytes = 0;
  #granted: (() => void) | undefined;

  private constructor(socket: Socket, index: number, events: ClientEvents) {
    this.socket = socket;
    this.#index = index;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("error", (error) => {
      // Who has taken its leave does not care how the broker closes the connection.
      if (socket.writableEnded) return;
      throw new Error(`The broker ended a connection of the bench: ${error.message}`);
    });
  }

  /** Resolves when CONNACK has come. `index` is handed back with every event. `isKept`: its session outlives the connection. */
  static async connect(
    { host, port }: Endpoint,
    name: string,
    index: number,
    events: ClientEvents,
    isKept = false,
  ): Promise<RawClient> {
    const socket = connect({ host, port });
    await once(socket, "connect");
    const client = new RawClient(socket, index, events);
    const accepted = client.#wait();
    socket.write(connectPacket(name, isKept));
    await accepted;
    return client;
  }

  /** Resolves when all are granted. */
  async subscribe(filters: readonly string[], qos: number): Promise<void> {
    const granted = this.#wait();
    this.socket.write(subscribePacket(filters, qos));
    await granted;
  }

  close(): void {
    this.socket.end(Buffer.from([0xe0, 0]));
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#granted = resolve;
    });
  }

  #read(chunk: Buffer): void {
    const bytes = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    let at = 0;
    for (;;) {
      const bodyAt = bodyOf(bytes, at);
      if (bodyAt === UNKNOWN) break;
      const end = bodyAt + lengthOf(bytes, at);
      if (end > bytes.length) break;
      this.#packet(bytes, at, bodyAt, end);
      at = end;
    }
    this.#tail = at === bytes.length ? EMPTY : Buffer.from(bytes.subarray(at));
    // Who has taken its leave answers no more.
    if (this.#answerBytes > 0 && !this.socket.writableEnded) {
      this.socket.write(Buffer.from(this.#answers.subarray(0, this.#answerBytes)));
    }
    this.#answerBytes = 0;
  }

  #packet(bytes: Buffer, at: number, bodyAt: number, end: number): void {
    const header = bytes[at] as number;
    switch (header >> 4) {
      case PUBLISH: {
        const qos = (header >> 1) & 3;
        const idAt = bodyAt + 2 + bytes.readUInt16BE(bodyAt);
        if (qos === 1) this.#answer(PUBACK << 4, bytes, idAt);
        else if (qos === 2) this.#answer(PUBREC << 4, bytes, idAt);
        this.#events.message?.(bytes, qos === 0 ? idAt : idAt + 2, end, this.#index);
        return;
      }
      case PUBREC:
        this.#answer((PUBREL << 4) | 2, bytes, bodyAt);
        return;
      case PUBREL:
        this.#answer(PUBCOMP << 4, bytes, bodyAt);
        return;
      case PUBACK:
      case PUBCOMP:
        this.#events.acknowledged?.(this.#index);
        return;
      case CONNACK:
        if (bytes[bodyAt + 1] !== 0) throw new Error(`The broker refused: code ${bytes[bodyAt + 1]}`);
        this.#granted?.();
        return;
      case SUBACK:
        if (bytes.subarray(bodyAt + 2, end).includes(0x80))
          throw new Error("The broker refused a subscription");
        this.#granted?.();
    }
  }

  #answer(header: number, bytes: Buffer, idAt: number): void {
    if (this.#answerBytes + 4 > this.#answers.length) {
      const grown = Buffer.alloc(this.#answers.length * 2);
      this.#answers.copy(grown);
      this.#answers = grown;
    }
    const answers = this.#answers;
    answers[this.#answerBytes++] = header;
    answers[this.#answerBytes++] = 2;
    answers[this.#answerBytes++] = bytes[idAt] as number;
    answers[this.#answerBytes++] = bytes[idAt + 1] as number;
  }
}

const EMPTY = Buffer.alloc(0);

/** Where the body of the packet at `at` begins, or UNKNOWN. */
function bodyOf(bytes: Buffer, at: number): number {
  for (let i = at + 1; i < bytes.length && i < at + 5; i++) if ((bytes[i] as number) < 0x80) return i + 1;
  return UNKNOWN;
}

function lengthOf(bytes: Buffer, at: number): number {
  let length = 0;
  for (let i = at + 1, shift = 0; ; i++, shift += 7) {
    const byte = bytes[i] as number;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) return length;
  }
}

function connectPacket(name: string, isKept: boolean): Buffer {
  // Clean session or not, no keep-alive.
  return packet(0x10, Buffer.from([0, 4, 77, 81, 84, 84, 4, isKept ? 0 : 2, 0, 0]), text(name));
}

function subscribePacket(filters: readonly string[], qos: number): Buffer {
  return packet(
    0x82,
    Buffer.from([0, 1]),
    ...filters.map((filter) => Buffer.concat([text(filter), Buffer.from([qos])])),
  );
}

/** PUBLISH frames for `topics`, one after the other, all of the same length. */
export interface FrameBlock {
  readonly bytes: Buffer;
  readonly frameBytes: number;
  /** Offsets within each frame; `idAt` only for QoS 1 and 2. */
  readonly idAt: number;
  readonly payloadAt: number;
}

/** @param topics all of the same length in bytes */
export function publishBlock(
  topics: readonly string[],
  qos: number,
  payloadBytes: number,
  publisher: number,
  isRetained = false,
): FrameBlock {
  const payload = Buffer.alloc(payloadBytes, 0x61);
  payload.writeUInt32BE(publisher, PUBLISHER_AT);
  const id = qos === 0 ? EMPTY : Buffer.from([0, 0]);
  const header = 0x30 | (qos << 1) | (isRetained ? 1 : 0);
  const frames = topics.map((topic) => packet(header, text(topic), id, payload));
  const frameBytes = frames[0]?.length ?? 0;
  const payloadAt = frameBytes - payloadBytes;
  return { bytes: Buffer.concat(frames), frameBytes, payloadAt, idAt: payloadAt - 2 };
}

function packet(header: number, ...parts: readonly Buffer[]): Buffer {
  let length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [header];
  do {
    head.push(length > 0x7f ? (length & 0x7f) | 0x80 : length);
    length >>>= 7;
  } while (length > 0);
  return Buffer.concat([Buffer.from(head), ...parts]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
