/**
 * A client that lives longer than its connections, and goes to another broker each time.
 *
 * MQTT.js does the protocol, as it does for most clients of this kind: it answers by itself, and what it has sent and nobody acknowledged it
 * sends again, in order, before anything new. But it must not reconnect by itself, because it does not say where to, and its two
 * stores must outlive its connections, or a QoS 2 message that was received and not released would be lost or come twice. The
 * socket is ours, so that it can be cut.
 */

import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import type { Prng } from "@skein/kernel";
import { type IClientOptions, MqttClient, Store } from "mqtt";
import type { ConnectionLedger } from "../ledger/connection-ledger.ts";

/** Where a broker is now: a container may come back with another address. */
export interface Broker {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface RoamingOptions {
  readonly id: string;
  readonly version: 4 | 5;
  /** Its session outlives its connection. */
  readonly isKept: boolean;
  /** The one it goes to first, by number. */
  readonly broker: number;
  /** It comes back to the broker it was on as soon as that answers, instead of going to another one. */
  readonly isFaithful?: boolean;
}

/** What all clients of a run share. */
export interface Surroundings {
  readonly brokers: readonly Broker[];
  readonly random: Prng;
  readonly connections: ConnectionLedger;
  /** Milliseconds of the run. */
  now(): number;
}

type Message = Parameters<MqttClient["handleMessage"]>[0];
type ReceivedPublish = Extract<Message, { cmd: "publish" }>;

/** Notices a dead broker after one and a half of it. */
const KEEP_ALIVE_SECONDS = 4;
const CONNACK_MAX_MS = 4000;
const EXPIRY_SECONDS = 3600;
/** Between the loss of a connection and the next attempt: at least this, at most twice as much. */
const RETRY_MS = 150;
/** A broker that has read DISCONNECT closes the connection within this time. */
const LEAVE_MAX_MS = 2000;
const DISCONNECT = Uint8Array.of(0xe0, 0);

export class RoamingClient {
  readonly id: string;
  readonly isKept: boolean;
  readonly #options: RoamingOptions;
  readonly #around: Surroundings;
  readonly #mqtt: MqttClient;
  readonly #stores: { readonly incomingStore: Store; readonly outgoingStore: Store };
  #broker: number;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isWanted = false;
  #isReady = false;
  #hasSession = false;
  #connectAt = 0;
  #lastBroker: number | undefined;
  #isResuming = false;

  /** A CONNECT is about to be sent. */
  onAttempt: () => void = () => undefined;
  /** CONNACK came. */
  onConnected: () => void = () => undefined;
  /** What it had to send again is sent and acknowledged: it may publish and subscribe. `isPresent`: Session Present. */
  onReady: (isPresent: boolean) => void = () => undefined;
  /** The connection, or the attempt, is over. */
  onClosed: () => void = () => undefined;
  onMessage: (topic: string, payload: Buffer, isDup: boolean) => void = () => undefined;

  constructor(options: RoamingOptions, around: Surroundings) {
    this.#options = options;
    this.#around = around;
    this.id = options.id;
    this.isKept = options.isKept;
    this.#broker = options.broker % around.brokers.length;
    this.#stores = { incomingStore: new Store({ clean: false }), outgoingStore: new Store({ clean: false }) };
    this.#mqtt = new MqttClient(() => this.#open(), {
      ...this.#stores,
      clientId: options.id,
      protocolVersion: options.version,
      protocolId: "MQTT",
      clean: !options.isKept,
      ...(options.version === 5 && options.isKept
        ? { properties: { sessionExpiryInterval: EXPIRY_SECONDS } }
        : {}),
      keepalive: KEEP_ALIVE_SECONDS,
      connectTimeout: CONNACK_MAX_MS,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      manualConnect: true,
    });
    this.#listen();
  }

  /** MQTT.js, for subscribing and for what is sent and received. */
  get mqtt(): MqttClient {
    return this.#mqtt;
  }

  /** It is connected, or tries to be. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** The name of the broker it is on or goes to. */
  get broker(): string {
    return this.#around.brokers[this.#broker]?.name ?? "";
  }

  /** Of the CONNECTs that follow. */
  set will(will: NonNullable<IClientOptions["will"]>) {
    this.#mqtt.options.will = will;
  }

  /** Connects, and from now on comes back whenever it loses its connection. */
  come(): void {
    this.#isWanted = true;
    if (this.#socket === undefined && this.#retry === undefined) this.#attempt();
  }

  /** Cuts the connection as a power cut does, and stays away. */
  cut(): void {
    this.#stay();
    this.#socket?.destroy();
  }

  /** Sends DISCONNECT and stays away. Resolves with whether the broker closed the connection, so that it has surely read it. */
  leave(): Promise<boolean> {
    this.#stay();
    const socket = this.#socket;
    if (socket === undefined || !this.#mqtt.connected) {
      socket?.destroy();
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      let isRead = false;
      const late = setTimeout(() => socket.destroy(), LEAVE_MAX_MS);
      socket.once("end", () => {
        isRead = true;
      });
      socket.once("close", () => {
        clearTimeout(late);
        resolve(isRead);
      });
      socket.end(DISCONNECT);
    });
  }

  /** Cuts the connection if there is one, and comes back on another broker at once. */
  move(): void {
    this.#socket?.destroy();
  }

  #stay(): void {
    this.#isWanted = false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #attempt(): void {
    this.#retry = undefined;
    this.onAttempt();
    this.#connectAt = performance.now();
    this.#mqtt.reconnect(this.#stores);
  }

  #open(): Socket {
    const { host, port } = this.#around.brokers[this.#broker] as Broker;
    const socket = connect({ host, port, noDelay: true });
    this.#socket = socket;
    return socket;
  }

  #listen(): void {
    const mqtt = this.#mqtt;
    // Every error also ends the connection.
    mqtt.on("error", () => undefined);
    mqtt.on("packetreceive", (packet) => {
      if (packet.cmd !== "connack") return;
      const code = (this.#options.version === 5 ? packet.reasonCode : packet.returnCode) ?? 0;
      const tookMs = this.#lastBroker === undefined ? undefined : performance.now() - this.#connectAt;
      const { connections } = this.#around;
      connections.answered(
        this.id,
        code,
        this.#hasSession,
        packet.sessionPresent,
        tookMs,
        this.#around.now(),
      );
      if (code !== 0) return;
      this.#isResuming = this.#hasSession && this.#lastBroker !== this.#broker;
      this.#hasSession = this.isKept;
      this.#lastBroker = this.#broker;
      this.onConnected();
    });
    mqtt.on("connect", ({ sessionPresent }) => {
      this.#isReady = true;
      this.onReady(sessionPresent);
    });
    mqtt.on("message", (topic, payload, packet) => {
      if (this.#isResuming) {
        this.#isResuming = false;
        this.#around.connections.resumed(performance.now() - this.#connectAt);
      }
      this.onMessage(topic, payload, (packet as ReceivedPublish).dup);
    });
    mqtt.on("close", () => {
      if (this.#socket === undefined) return;
      this.#socket = undefined;
      this.#isReady = false;
      this.#isResuming = false;
      this.onClosed();
      this.#goElsewhere();
      if (!this.#isWanted) return;
      this.#retry = setTimeout(() => this.#attempt(), RETRY_MS + this.#around.random.below(RETRY_MS));
    });
  }

  /** To any other broker; who is faithful goes away only for one attempt. */
  #goElsewhere(): void {
    const { brokers, random } = this.#around;
    if (this.#options.isFaithful === true && this.#broker !== this.#options.broker % brokers.length) {
      this.#broker = this.#options.broker % brokers.length;
      return;
    }
    if (brokers.length > 1)
      this.#broker = (this.#broker + 1 + random.below(brokers.length - 1)) % brokers.length;
  }
}
