/**
 * An MQTT client in a simulated world: real packets over a simulated connection, and the patience of a real one.
 *
 * It connects, keeps its connection alive, notices silence, comes back after its profile's backoff, subscribes again where
 * the server lost its session, and sends unfinished publishes again where it did not. Everything a checker must know is
 * observed at the moment it happens. No promises and no timers of its own: the world's clock calls back.
 *
 * Source: MQTT 5 sections 3.1, 3.12, 4.3, 4.4; client behaviour after reference/users.md 2.1 (profiles.ts).
 */

import { acknowledgementFrame, encodePublish, type Frame, PacketType } from "@skein/broker/codec";
import type { QoS, Stream, Timer } from "@skein/kernel";
import type { ClientObservation, ClientTarget, SimClientHost } from "../observations.ts";
import {
  connectPacket,
  DISCONNECT,
  PINGREQ,
  subscribePacket,
  unsubscribePacket,
  withPacketId,
} from "./client-packets.ts";
import { type ClientSession, ClientSessions } from "./client-sessions.ts";
import { type Inflight, Outgoing } from "./outgoing.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import type { ClientProfile } from "./profiles.ts";
import { type ServerPacket, ServerPacketReader } from "./server-packets.ts";

export interface SimClientOptions {
  readonly clientId: string;
  readonly target: ClientTarget;
  readonly profile: ClientProfile;
}

/** A message as the application behind the client gets it. */
export interface ReceivedMessage {
  readonly topic: string;
  readonly payloadId: string;
  readonly retain: boolean;
}

/** What the application behind the client may want to hear. */
export interface SimClientEvents {
  connected?(): void;
  disconnected?(): void;
  message?(message: ReceivedMessage): void;
  subscribed?(filter: string): void;
  unsubscribed?(filter: string): void;
}

export class SimClient {
  readonly clientId: string;
  readonly #host: SimClientHost;
  readonly #profile: ClientProfile;
  readonly #events: SimClientEvents;
  readonly #outgoing = new Outgoing();
  readonly #filters = new Map<string, QoS>();
  /** SUBSCRIBE and UNSUBSCRIBE without an answer, by packet identifier. */
  readonly #pending = new Map<
    number,
    { readonly filters: readonly string[]; readonly isSubscribe: boolean }
  >();
  /** What to call with each PINGRESP. */
  #pings: (() => void)[] = [];
  #target: ClientTarget;
  #stream: Stream | undefined;
  #reader: ServerPacketReader | undefined;
  /** Where the present connection ends. */
  #node = "";
  #isConnected = false;
  #isStopped = true;
  readonly #sessions: ClientSessions;
  #session: ClientSession | undefined;
  #attempt = 0;
  /** Backoff, patience with CONNACK, or keep-alive: one at a time. */
  #timer: Timer | undefined;
  #pingTimer: Timer | undefined;
  #lastSentAt = 0;
  #lastReceivedAt = 0;
  #keepAliveMs = 0;

  constructor(host: SimClientHost, options: SimClientOptions, events: SimClientEvents = {}) {
    this.clientId = options.clientId;
    this.#host = host;
    this.#target = options.target;
    this.#profile = options.profile;
    this.#events = events;
    this.#sessions = new ClientSessions(options.clientId);
  }

  /** Id of the node it is or was connected to. */
  get node(): string {
    return this.#node;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Publishes that wait or are not acknowledged. */
  get unfinished(): number {
    return this.#outgoing.count;
  }

  start(): void {
    this.#isStopped = false;
    this.#attempt = 0;
    this.#dial();
  }

  /** Disconnects and stays away. */
  stop(): void {
    this.#isStopped = true;
    if (this.#isConnected) this.#write(DISCONNECT);
    this.#drop(false);
  }

  /** Leaves without a word, and comes back to `target`. */
  moveTo(target: ClientTarget): void {
    this.#target = target;
    if (this.#stream !== undefined) this.#lost();
  }

  /** False: too many wait already. It is sent now or when there is a connection. */
  publish(topic: string, payloadId: string, qos: QoS, retain: boolean, paddingBytes = 0): boolean {
    const isTaken = this.#outgoing.push({ topic, payloadId, qos, retain, paddingBytes });
    if (this.#isConnected) this.#pump();
    return isTaken;
  }

  /** Subscribes now and after every loss of the session. Several filters go in one SUBSCRIBE. */
  subscribe(filter: string | readonly string[], qos: QoS): void {
    const filters = typeof filter === "string" ? [filter] : filter;
    for (const each of filters) this.#filters.set(each, qos);
    if (this.#isConnected) this.#sendSubscribe(filters, qos);
  }

  unsubscribe(filter: string): void {
    this.#filters.delete(filter);
    if (!this.#isConnected) return;
    const packetId = this.#outgoing.takePacketId();
    this.#pending.set(packetId, { filters: [filter], isSubscribe: false });
    this.#observe({ kind: "unsubscribeSent", client: this.clientId, filter });
    this.#write(unsubscribePacket(this.#profile.version, packetId, filter));
  }

  /** Calls `answered` with the PINGRESP: everything the broker had sent before has come. Never called if the connection ends. */
  ping(answered: () => void): void {
    if (!this.#isConnected) return;
    this.#pings.push(answered);
    this.#write(PINGREQ);
    this.#pingTimer ??= this.#host.clock.after(this.#profile.pingTimeoutMs, () => this.#lost());
  }

  /** Takes nothing from its connection for `forMs`: a phone that dozes, a disk that is busy. */
  pauseReading(forMs: number): void {
    const stream = this.#stream;
    stream?.pause();
    this.#host.clock.after(forMs, () => stream?.resume());
  }

  // ---- connection

  #dial(): void {
    const { clock } = this.#host;
    const { version, connectTimeoutMs } = this.#profile;
    const reader = new ServerPacketReader(version, (packet) => this.#handle(packet, reader));
    this.#reader = reader;
    this.#timer = clock.after(connectTimeoutMs, () => this.#lost());
    this.#stream = this.#host.connect(this.#target, {
      connected: (node) => {
        if (this.#reader !== reader) return;
        this.#node = node;
        this.#sendConnect();
      },
      received: (bytes) => {
        this.#lastReceivedAt = this.#host.clock.monotonicMs();
        reader.feed(bytes);
      },
      drained: () => undefined,
      closed: () => {
        if (this.#reader === reader) this.#lost();
      },
    });
  }

  #sendConnect(): void {
    const { version, isClean, keepAliveSeconds, sessionExpirySeconds } = this.#profile;
    const { clientId } = this;
    this.#write(connectPacket({ version, clientId, isClean, keepAliveSeconds, sessionExpirySeconds }));
  }

  #accepted(isSessionPresent: boolean, serverKeepAliveSeconds: number | undefined): void {
    // [MQTT-3.1.2-21]
    this.#keepAliveMs = (serverKeepAliveSeconds ?? this.#profile.keepAliveSeconds) * 1000;
    this.#timer?.cancel();
    this.#attempt = 0;
    this.#isConnected = true;
    const session = this.#sessions.on(this.#node, isSessionPresent);
    if (session !== this.#session) this.#outgoing.forget();
    this.#session = session;
    this.#observe({ kind: "connected", client: this.clientId, session: session.name });
    if (!isSessionPresent) for (const [filter, qos] of this.#filters) this.#sendSubscribe([filter], qos);
    for (const entry of this.#outgoing.unfinished()) this.#transmit(entry, true);
    this.#keepAlive();
    this.#pump();
    this.#events.connected?.();
  }

  /** The connection is of no use any more; the next one follows after the backoff. */
  #lost(): void {
    this.#drop(true);
    if (this.#isStopped) return;
    const { clock, prng } = this.#host;
    this.#attempt++;
    // Real clients are never in step.
    const waitMs = this.#profile.backoffMs(this.#attempt) + prng.below(250);
    this.#timer = clock.after(waitMs, () => this.#dial());
  }

  #drop(isReset: boolean): void {
    const stream = this.#stream;
    this.#timer?.cancel();
    this.#pingTimer?.cancel();
    this.#pingTimer = undefined;
    this.#pings = [];
    this.#pending.clear();
    this.#reader?.stop();
    this.#reader = undefined;
    this.#stream = undefined;
    if (isReset) stream?.reset();
    else stream?.end();
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#observe({ kind: "disconnected", client: this.clientId, session: this.#session?.name ?? "" });
    this.#events.disconnected?.();
  }

  /** PINGREQ when nothing was sent, or nothing came, for the keep-alive time [MQTT-3.1.2-20]; so do PubSubClient and Paho. */
  #keepAlive(): void {
    const { clock } = this.#host;
    const now = clock.monotonicMs();
    const isDue = now >= Math.min(this.#lastSentAt, this.#lastReceivedAt) + this.#keepAliveMs;
    if (isDue && this.#pings.length === 0) this.ping(() => undefined);
    const dueAt = isDue ? now : Math.min(this.#lastSentAt, this.#lastReceivedAt);
    this.#timer = clock.after(dueAt + this.#keepAliveMs - now, () => this.#keepAlive());
  }

  // ---- packets in

  #handle(packet: ServerPacket, reader: ServerPacketReader): void {
    if (this.#reader !== reader) return;
    switch (packet.kind) {
      case "connack":
        if (packet.code === 0) this.#accepted(packet.isSessionPresent, packet.keepAliveSeconds);
        else this.#refused(packet.code);
        return;
      case "publish":
        this.#message(packet);
        return;
      case "puback":
        this.#acknowledged(packet.packetId, packet.reasonCode);
        this.#outgoing.finish(packet.packetId);
        this.#pump();
        return;
      case "pubrec":
        this.#pubrec(packet.packetId, packet.reasonCode);
        return;
      case "pubrel":
        this.#session?.received.delete(packet.packetId);
        this.#acknowledge(PacketType.Pubcomp, packet.packetId);
        return;
      case "pubcomp":
        this.#outgoing.finish(packet.packetId);
        this.#pump();
        return;
      case "suback":
      case "unsuback":
        this.#answered(packet.packetId, packet.kind === "suback" ? packet.codes : [0]);
        return;
      case "pingresp":
        this.#pingTimer?.cancel();
        this.#pingTimer = undefined;
        this.#pings.shift()?.();
        return;
      case "disconnect":
        this.#lost();
    }
  }

  #refused(code: number): void {
    this.#observe({ kind: "refused", client: this.clientId, code });
    this.#lost();
  }

  #message(packet: Extract<ServerPacket, { kind: "publish" }>): void {
    const { topic, payload, qos, dup, retain, packetId } = packet;
    // Method B of MQTT 5 section 4.3.3: the identifier is kept, the message is handed on at once.
    const isKnown = qos === 2 && this.#session?.received.has(packetId) === true;
    if (!isKnown) {
      const payloadId = decodePayload(payload);
      this.#observe({ kind: "delivered", client: this.clientId, topic, payloadId, qos, dup, retain });
      this.#events.message?.({ topic, payloadId, retain });
    }
    // The application may have left.
    if (this.#stream === undefined || qos === 0) return;
    if (qos === 2) this.#session?.received.add(packetId);
    this.#acknowledge(qos === 1 ? PacketType.Puback : PacketType.Pubrec, packetId);
  }

  #pubrec(packetId: number, reasonCode: number): void {
    const entry = this.#outgoing.find(packetId);
    if (entry !== undefined && !entry.isReleased) this.#acknowledged(packetId, reasonCode);
    if (reasonCode >= 0x80) {
      this.#outgoing.finish(packetId);
      this.#pump();
      return;
    }
    if (entry !== undefined) entry.isReleased = true;
    this.#acknowledge(PacketType.Pubrel, packetId);
  }

  #acknowledged(packetId: number, reasonCode: number): void {
    const publish = this.#outgoing.find(packetId)?.publish;
    if (publish === undefined) return;
    const { payloadId } = publish;
    this.#observe({ kind: "publishAcked", client: this.clientId, payloadId, reasonCode });
  }

  #answered(packetId: number, codes: readonly number[]): void {
    const pending = this.#pending.get(packetId);
    if (pending === undefined) return;
    this.#pending.delete(packetId);
    pending.filters.forEach((filter, i) => {
      const code = codes[i] ?? 0x80;
      if (!pending.isSubscribe) {
        this.#events.unsubscribed?.(filter);
      } else if (code <= 2) {
        this.#observe({ kind: "subscribeAcked", client: this.clientId, filter, qos: code as QoS });
        this.#events.subscribed?.(filter);
      }
    });
  }

  // ---- packets out

  #pump(): void {
    for (let entry = this.#outgoing.next(); entry !== undefined; entry = this.#outgoing.next()) {
      this.#transmit(entry, false);
    }
  }

  #transmit({ packetId, publish, isReleased }: Inflight, dup: boolean): void {
    if (isReleased) {
      this.#acknowledge(PacketType.Pubrel, packetId);
      return;
    }
    const { topic, payloadId, paddingBytes, qos, retain } = publish;
    this.#observe({
      kind: "publishSent",
      client: this.clientId,
      packet: { topic, payloadId, qos, retain },
    });
    const message = {
      topic,
      payload: encodePayload(payloadId, paddingBytes),
      qos,
      retain,
      properties: undefined,
    };
    const form = { qos, retain, dup: dup && qos > 0, identifiers: undefined, expirySeconds: undefined };
    this.#writeFrame(encodePublish(message, this.#profile.version, form), packetId);
  }

  #sendSubscribe(filters: readonly string[], qos: QoS): void {
    const packetId = this.#outgoing.takePacketId();
    this.#pending.set(packetId, { filters, isSubscribe: true });
    for (const filter of filters) {
      this.#observe({ kind: "subscribeSent", client: this.clientId, filter, qos });
    }
    this.#write(subscribePacket(this.#profile.version, packetId, filters, qos));
  }

  #acknowledge(type: 4 | 5 | 6 | 7, packetId: number): void {
    this.#writeFrame(acknowledgementFrame(type, 0, this.#profile.version), packetId);
  }

  #observe(observation: ClientObservation): void {
    this.#host.observe(observation, this.#node);
  }

  #writeFrame(frame: Frame, packetId: number): void {
    this.#write(withPacketId(frame, packetId));
  }

  #write(bytes: Uint8Array): void {
    this.#lastSentAt = this.#host.clock.monotonicMs();
    this.#stream?.write(bytes);
  }
}
