/** A tiny MQTT client over mqtt-packet: it sends what the test says and keeps what came. */

import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type Packet,
  parser,
} from "mqtt-packet";
import { MemoryStream } from "./memory-stream.ts";

export type Command = Packet["cmd"];
type Properties = Partial<
  NonNullable<IConnackPacket["properties"]> & NonNullable<IPublishPacket["properties"]>
>;
/** Packets as mqtt-packet reads them, all fields of all types optional. */
export type Received = Partial<
  Omit<IPublishPacket, "cmd"> & {
    sessionPresent: boolean;
    returnCode: number;
    reasonCode: number;
    granted: number[];
  }
> & { cmd: Command; properties?: Properties };

export class Client {
  readonly stream: MemoryStream;
  readonly version: 3 | 4 | 5;
  /** Everything that came and was not taken yet, in order. */
  readonly packets: Received[] = [];
  /** The bytes of every write that came. */
  readonly chunks: Uint8Array[] = [];
  readonly #settle: () => void;

  constructor(version: 3 | 4 | 5, localAddress: string, settle: () => void) {
    this.version = version;
    this.#settle = settle;
    const reader = parser({ protocolVersion: version });
    reader.on("packet", (packet: Packet) => this.packets.push(packet as unknown as Received));
    reader.on("error", (error: Error) => {
      throw error;
    });
    this.stream = new MemoryStream(localAddress, (bytes) => {
      this.chunks.push(bytes);
      reader.parse(Buffer.from(bytes));
    });
  }

  /** Sends one packet and lets the broker come to rest. */
  send(packet: object): this {
    return this.sendBytes(this.encode(packet));
  }

  /** Sends several packets in one read of the broker. */
  sendTogether(...packets: object[]): this {
    return this.sendBytes(Buffer.concat(packets.map((packet) => this.encode(packet))));
  }

  sendBytes(bytes: Uint8Array | readonly number[]): this {
    this.stream.feed(Uint8Array.from(bytes));
    this.#settle();
    return this;
  }

  encode(packet: object): Buffer {
    return generate(packet as Packet, { protocolVersion: this.version });
  }

  /** Takes the oldest packet, which must be a `cmd`. */
  take(cmd: Command): Received {
    const packet = this.packets.shift();
    if (packet?.cmd !== cmd) throw new Error(`expected ${cmd}, got ${packet?.cmd ?? "nothing"}`);
    return packet;
  }

  /** Takes all packets of one kind, leaving the others. */
  takeAll(cmd: Command): Received[] {
    const taken = this.packets.filter((packet) => packet.cmd === cmd);
    const others = this.packets.filter((packet) => packet.cmd !== cmd);
    this.packets.splice(0, this.packets.length, ...others);
    return taken;
  }

  /** Payloads of all messages that came, as text. */
  takePayloads(): string[] {
    return this.takeAll("publish").map((packet) => String(packet.payload));
  }

  subscribe(filter: string, qos: 0 | 1 | 2 = 0, options: object = {}, properties?: object): Received {
    this.send({
      cmd: "subscribe",
      messageId: 101,
      subscriptions: [{ topic: filter, qos, ...options }],
      ...(properties && { properties }),
    });
    const [suback] = this.takeAll("suback");
    if (suback === undefined) throw new Error("no SUBACK came");
    return suback;
  }

  publish(topic: string, payload: string, fields: object = {}): this {
    return this.send({ cmd: "publish", topic, payload, qos: 0, ...fields });
  }

  disconnect(fields: object = {}): void {
    this.send({ cmd: "disconnect", reasonCode: 0, ...fields });
    this.stream.sever();
    this.#settle();
  }

  /** The network fails: no DISCONNECT is sent. */
  sever(): void {
    this.stream.sever();
    this.#settle();
  }
}

export function connectPacket(version: 3 | 4 | 5, clientId: string, fields: Partial<IConnectPacket>): object {
  return {
    cmd: "connect",
    protocolId: version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: version,
    clean: true,
    keepalive: 0,
    clientId,
    ...fields,
  };
}
