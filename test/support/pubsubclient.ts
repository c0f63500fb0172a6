/**
 * A device as PubSubClient 2.8 makes it, the library of most Arduino sketches: MQTT 3.1.1, clean session, keepalive 15, a buffer
 * of 256 bytes. What does not fit is dropped without a word and, at QoS 1, never acknowledged; it publishes with QoS 0 only; a sketch
 * that is disconnected tries again after a pause of its own. Source: reference/users.md section 2.1.
 */

import { connect, type Socket } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";
import { onTestFinished } from "vitest";
import type { NodeProcess } from "./node-process.ts";

const BUFFER_BYTES = 256;
const KEEPALIVE_SECONDS = 15;

interface Options {
  readonly clientId: string;
  readonly will?: { readonly topic: string; readonly payload: string };
  readonly subscriptions: readonly { readonly topic: string; readonly qos: 0 | 1 }[];
  /** The `delay` of its loop between two attempts to connect, in ms. */
  readonly retryMs: number;
}

export class PubSubClient {
  /** Topic and payload of every message that fitted. */
  readonly received: (readonly [topic: string, payload: string])[] = [];
  /** Messages that did not. */
  dropped = 0;
  /** Answers to its pings. */
  pongs = 0;
  /** Return code of every CONNACK. */
  readonly connacks: number[] = [];
  readonly #node: NodeProcess;
  readonly #options: Options;
  #socket: Socket | undefined;
  #isConnected = false;
  #isStopped = false;
  #lastOut = 0;
  #lastIn = 0;
  #isPingOutstanding = false;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(node: NodeProcess, options: Options) {
    this.#node = node;
    this.#options = options;
    this.#connect();
    this.#timers.push(setInterval(() => this.#loop(), 100));
    onTestFinished(() => this.stop());
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  publish(topic: string, payload: string, retain = false): void {
    this.#send({ cmd: "publish", topic, payload, qos: 0, retain, dup: false });
  }

  /** Its power is cut. */
  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#socket?.destroy();
  }

  #connect(): void {
    if (this.#isStopped) return;
    const socket = connect({ host: this.#node.host, port: this.#node.ports.mqtt });
    this.#socket = socket;
    const reader = parser({ protocolVersion: 4 });
    reader.on("packet", (packet) => this.#received(packet));
    socket.on("connect", () => {
      const { clientId, will } = this.#options;
      this.#send({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clean: true,
        clientId,
        keepalive: KEEPALIVE_SECONDS,
        ...(will && { will: { ...will, payload: Buffer.from(will.payload), qos: 1 as const, retain: true } }),
      });
    });
    socket.on("data", (bytes) => {
      this.#lastIn = Date.now();
      reader.parse(bytes);
    });
    // A closed port and a reset are both nothing but a reason to try again.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#isConnected = false;
      if (!this.#isStopped) this.#timers.push(setTimeout(() => this.#connect(), this.#options.retryMs));
    });
  }

  #received(packet: Packet): void {
    if (packet.cmd === "connack") {
      this.#connacks(packet.returnCode ?? 0);
    } else if (packet.cmd === "publish") {
      if ((packet.length ?? 0) + 5 > BUFFER_BYTES) {
        this.dropped++;
        return;
      }
      this.received.push([packet.topic, packet.payload.toString()]);
      if (packet.qos === 1) this.#send({ cmd: "puback", messageId: packet.messageId });
    } else if (packet.cmd === "pingresp") {
      this.pongs++;
      this.#isPingOutstanding = false;
    }
  }

  #connacks(code: number): void {
    this.connacks.push(code);
    if (code !== 0) return;
    this.#isConnected = true;
    this.#isPingOutstanding = false;
    for (const [at, { topic, qos }] of this.#options.subscriptions.entries())
      this.#send({ cmd: "subscribe", messageId: at + 1, subscriptions: [{ topic, qos }] });
  }

  /** `loop()` of the library: a ping when nothing came or went for the keep-alive, the end when it is not answered. */
  #loop(): void {
    if (!this.#isConnected) return;
    const now = Date.now();
    if (now - this.#lastIn <= KEEPALIVE_SECONDS * 1000 && now - this.#lastOut <= KEEPALIVE_SECONDS * 1000)
      return;
    if (this.#isPingOutstanding) {
      this.#socket?.destroy();
      return;
    }
    this.#lastIn = now;
    this.#isPingOutstanding = true;
    this.#send({ cmd: "pingreq" });
  }

  #send(packet: object): void {
    this.#lastOut = Date.now();
    this.#socket?.write(generate(packet as Packet));
  }
}
