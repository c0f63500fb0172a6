/**
 * An MQTT client in a simulated world: real packets over a simulated connection, and the patience of a real one.
 *
 * It comes back after its profile's backoff, subscribes again where the server lost its session, and sends unfinished
 * publishes again where it did not. Everything a checker must know is observed when it happens. No timers of its own.
 *
 * Source: MQTT 5 sections 3.1, 3.12, 4.3, 4.4; client behaviour after reference/users.md 2.1 (profiles.ts).
 */

import type { QoS, Timer } from "@skein/kernel";
import type { ClientObservation, ClientTarget, SimClientHost } from "../observations.ts";
import { ClientConnection } from "./client-connection.ts";
import {
  type AcknowledgementKind,
  acknowledgementPacket,
  connectPacket,
  publishPacket,
  subscribePacket,
  unsubscribePacket,
} from "./client-packets.ts";
import { ClientSession } from "./client-session.ts";
import { ClientSubscriptions } from "./client-subscriptions.ts";
import type { Flight, Leaving, Moment } from "./leaving.ts";
import { type Inflight, Outgoing, type PublishExtras } from "./outgoing.ts";
import { PacketIds } from "./packet-ids.ts";
import { decodePayload } from "./payload.ts";
import { type ClientProfile, connectAsked, livesFor } from "./profiles.ts";
import type { Acknowledgement, ServerPacket } from "./server-packets.ts";
import type { SimClientEvents, SimClientOptions } from "./sim-client-options.ts";

/** How the observations call each way of leaving. */
const LEFT = { leave: "left", end: "lost", reset: "lost", abandon: "abandoned" } as const;

export class SimClient {
  readonly clientId: string;
  readonly #host: SimClientHost;
  readonly #profile: ClientProfile;
  readonly #events: SimClientEvents;
  readonly #will: SimClientOptions["will"];
  readonly #outgoing = new Outgoing();
  readonly #packetIds: PacketIds;
  readonly #subscriptions = new ClientSubscriptions();
  #target: SimClientOptions["target"];
  #connection: ClientConnection | undefined;
  /** Connections that CONNECT was sent on. */
  #connections = 0;
  /** Where the present connection ends. */
  #node = "";
  #isConnected = false;
  #isStopped = true;
  /** Until CONNACK: the session that there may be is not wanted. */
  #isAnew = false;
  /** Sessions so far. */
  #sessions = 0;
  #session: ClientSession | undefined;
  #flight: Flight | undefined;
  #attempt = 0;
  #backoff: Timer | undefined;

  constructor(host: SimClientHost, options: SimClientOptions, events: SimClientEvents = {}) {
    this.clientId = options.clientId;
    this.#host = host;
    this.#target = options.target;
    this.#profile = options.profile;
    this.#will = options.will;
    const isTaken = (id: number) => this.#outgoing.find(id) !== undefined || this.#subscriptions.isAsked(id);
    this.#packetIds = new PacketIds(options.packetIds ?? "counts on", isTaken);
    this.#events = events;
  }

  /** Id of the node it is or was connected to. */
  get node(): string {
    return this.#node;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** It is, or wants to be, connected. */
  get isStarted(): boolean {
    return !this.#isStopped;
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

  /** As {@link start}, with Clean Start: its session, if there is one, is given up. */
  startAnew(): void {
    this.#isAnew = true;
    this.start();
  }

  /** Leaves and stays away. */
  stop(leaving: Leaving = "leave"): void {
    this.#isStopped = true;
    this.#flight = undefined;
    this.#end(leaving);
  }

  /** Leaves without a word, and comes back to `target`. */
  moveTo(target: ClientTarget): void {
    this.#target = target;
    if (this.#connection !== undefined) this.#lost();
  }

  /** Leaves its connection and opens another one at once. */
  comeBack(leaving: Leaving): void {
    if (this.#isStopped) return;
    this.#end(leaving);
    this.#dial();
  }

  /** The next time `flight.moment` passes it leaves as that says, and comes back at once. */
  fleeAt(flight: Flight): void {
    this.#flight = flight;
  }

  /** It stays, whatever comes. */
  calmDown(): void {
    this.#flight = undefined;
  }

  /** False: too many wait already. It is sent now or when there is a connection. */
  publish(topic: string, payloadId: string, qos: QoS, retain: boolean, more: PublishExtras = {}): boolean {
    const isTaken = this.#outgoing.push({ topic, payloadId, qos, retain, ...more });
    if (this.#isConnected) this.#pump();
    return isTaken;
  }

  /** Subscribes now and after every loss of the session. Several filters go in one SUBSCRIBE. */
  subscribe(filter: string | readonly string[], qos: QoS): void {
    const filters = typeof filter === "string" ? [filter] : filter;
    this.#subscriptions.want(filters, qos);
    if (this.#isConnected) this.#sendSubscribe(filters, qos);
  }

  unsubscribe(filter: string): void {
    this.#subscriptions.giveUp(filter);
    if (this.#isConnected) this.#sendUnsubscribe(filter);
  }

  /** Calls `answered` with the PINGRESP: everything the broker had sent before has come. Never called if the connection ends. */
  ping(answered: () => void): void {
    if (this.#isConnected) this.#connection?.ping(answered);
  }

  /** Takes nothing from its connection for `forMs`: a phone that dozes, a disk that is busy. */
  pauseReading(forMs: number): void {
    this.#connection?.pauseReading(forMs);
  }

  // ---- connection

  #dial(): void {
    const target = typeof this.#target === "string" ? this.#target : this.#target();
    this.#backoff?.cancel();
    this.#connection = new ClientConnection(this.#host, this.#profile, target, {
      opened: (node) => {
        this.#node = node;
        this.#sendConnect();
      },
      received: (packet) => this.#received(packet),
      lost: () => this.#lost(),
    });
  }

  #sendConnect(): void {
    const { clientId } = this;
    const connection = ++this.#connections;
    const will = this.#will?.(connection);
    const asked = connectAsked(this.#profile, this.#isAnew);
    const { isClean, keepAliveSeconds } = asked;
    const expirySeconds = livesFor(asked);
    const about = { client: clientId, connection, isClean, expirySeconds, keepAliveSeconds, will };
    this.#observe({ kind: "connectSent", ...about });
    this.#write(connectPacket({ ...asked, clientId, will }), "connect out");
  }

  #accepted(isPresent: boolean, serverKeepAliveSeconds: number | undefined): void {
    // [MQTT-3.1.2-21]
    this.#connection?.accepted(serverKeepAliveSeconds ?? this.#profile.keepAliveSeconds);
    this.#attempt = 0;
    this.#isAnew = false;
    this.#isConnected = true;
    this.#packetIds.connected();
    const { clientId: client } = this;
    if (this.#session === undefined || !isPresent) {
      this.#session = new ClientSession(`${client}#${++this.#sessions}`);
      this.#outgoing.forget();
    }
    const session = this.#session;
    const connection = this.#connections;
    this.#observe({ kind: "connected", client, session: session.name, connection, isPresent });
    for (const [filter, qos] of this.#subscriptions.missing(session.filters))
      this.#sendSubscribe([filter], qos);
    for (const filter of this.#subscriptions.surplus(session.filters)) this.#sendUnsubscribe(filter);
    for (const entry of this.#outgoing.unfinished()) this.#transmit(entry, true);
    this.#pump();
    this.#events.connected?.();
  }

  /** The connection is of no use any more; the next one follows after the backoff. */
  #lost(): void {
    this.#end("reset");
    if (this.#isStopped) return;
    const { clock, prng } = this.#host;
    this.#attempt++;
    // Real clients are never in step.
    const waitMs = this.#profile.backoffMs(this.#attempt) + prng.below(250);
    this.#backoff = clock.after(waitMs, () => this.#dial());
  }

  #end(leaving: Leaving): void {
    const connection = this.#connection;
    const client = this.clientId;
    const number = this.#connections;
    this.#backoff?.cancel();
    this.#subscriptions.forgetAsked();
    this.#connection = undefined;
    const over = (code: number | undefined): void =>
      this.#observe({ kind: "connectionOver", client, connection: number, code });
    if (leaving === "abandon") connection?.abandon(over);
    else if (leaving === "leave" && this.#isConnected) connection?.leave(over);
    else connection?.drop(leaving === "reset");
    if (!this.#isConnected) return;
    this.#isConnected = false;
    const session = this.#session?.name ?? "";
    this.#observe({ kind: "disconnected", client, session, connection: number, how: LEFT[leaving] });
    this.#events.disconnected?.();
  }

  /** The moment of the flight has come. Without the packet that it does not see it cannot go on. */
  #flee({ isSeen, delayMs, leaving }: Flight): void {
    const connection = this.#connection;
    this.#flight = undefined;
    if (!isSeen) this.comeBack(leaving);
    else
      this.#host.clock.after(delayMs, () => {
        if (this.#connection === connection) this.comeBack(leaving);
      });
  }

  // ---- packets in

  #received(packet: ServerPacket): void {
    const flight = this.#flight?.moment === `${packet.kind} in` ? this.#flight : undefined;
    if (flight?.isSeen !== false) this.#handle(packet);
    if (flight !== undefined) this.#flee(flight);
  }

  #handle(packet: ServerPacket): void {
    switch (packet.kind) {
      case "connack":
        if (packet.code === 0) this.#accepted(packet.isSessionPresent, packet.keepAliveSeconds);
        else this.#refused(packet.code);
        return;
      case "publish":
        this.#message(packet);
        return;
      case "puback":
        this.#acknowledged(packet);
        this.#outgoing.finish(packet.packetId);
        this.#pump();
        return;
      case "pubrec":
        this.#pubrec(packet);
        return;
      case "pubrel":
        this.#session?.received.delete(packet.packetId);
        this.#acknowledge("pubcomp", packet.packetId);
        return;
      case "pubcomp":
        this.#outgoing.finish(packet.packetId);
        this.#pump();
        return;
      case "suback":
      case "unsuback":
        this.#answered(packet.packetId, packet.kind === "suback" ? packet.codes : [0]);
        return;
      default:
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
    if (this.#connection === undefined || qos === 0) return;
    if (qos === 2) this.#session?.received.add(packetId);
    this.#acknowledge(qos === 1 ? "puback" : "pubrec", packetId);
  }

  #pubrec(pubrec: Acknowledgement): void {
    const { packetId, reasonCode } = pubrec;
    const entry = this.#outgoing.find(packetId);
    if (entry !== undefined && !entry.isReleased) this.#acknowledged(pubrec);
    if (reasonCode >= 0x80) {
      this.#outgoing.finish(packetId);
      this.#pump();
      return;
    }
    if (entry !== undefined) entry.isReleased = true;
    this.#acknowledge("pubrel", packetId);
  }

  #acknowledged({ packetId, reasonCode, reason }: Acknowledgement): void {
    const publish = this.#outgoing.find(packetId)?.publish;
    if (publish === undefined) return;
    const about = { client: this.clientId, payloadId: publish.payloadId, reasonCode };
    // One that has passed a session by explains itself, too.
    const isSafeHereOnly = reasonCode < 0x80 && reason?.startsWith("safe on one node only") === true;
    if (this.#profile.version !== 5) this.#observe({ kind: "publishAcked", ...about, isUntold: true });
    else if (isSafeHereOnly) this.#observe({ kind: "publishAcked", ...about, isSafeHereOnly });
    else this.#observe({ kind: "publishAcked", ...about });
  }

  #answered(packetId: number, codes: readonly number[]): void {
    const asked = this.#subscriptions.answered(packetId);
    asked?.filters.forEach((filter, i) => {
      const code = codes[i] ?? 0x80;
      if (!asked.isSubscribe) {
        this.#session?.filters.delete(filter);
        this.#events.unsubscribed?.(filter);
      } else if (code <= 2) {
        this.#session?.filters.add(filter);
        this.#observe({ kind: "subscribeAcked", client: this.clientId, filter, qos: code as QoS });
        this.#events.subscribed?.(filter);
      }
    });
  }

  // ---- packets out

  #pump(): void {
    const next = () => this.#outgoing.next(this.#packetIds);
    for (let entry = next(); entry !== undefined; entry = next()) this.#transmit(entry, false);
  }

  #transmit({ packetId, publish, isReleased }: Inflight, dup: boolean): void {
    if (isReleased) {
      this.#acknowledge("pubrel", packetId);
      return;
    }
    const { topic, payloadId, paddingBytes = 0, qos, retain, expirySeconds } = publish;
    const packet = { topic, payloadId, qos, retain, expirySeconds, paddingBytes };
    this.#observe({ kind: "publishSent", client: this.clientId, packet });
    this.#write(publishPacket(this.#profile.version, packetId, packet, dup), "publish out");
  }

  #sendSubscribe(filters: readonly string[], qos: QoS): void {
    const packetId = this.#packetIds.next();
    this.#subscriptions.asked(packetId, filters, true);
    for (const filter of filters)
      this.#observe({ kind: "subscribeSent", client: this.clientId, filter, qos });
    this.#write(subscribePacket(this.#profile.version, packetId, filters, qos), "subscribe out");
  }

  #sendUnsubscribe(filter: string): void {
    const packetId = this.#packetIds.next();
    this.#subscriptions.asked(packetId, [filter], false);
    this.#observe({ kind: "unsubscribeSent", client: this.clientId, filter });
    this.#write(unsubscribePacket(this.#profile.version, packetId, filter), "unsubscribe out");
  }

  #acknowledge(packet: AcknowledgementKind, packetId: number): void {
    this.#write(acknowledgementPacket(this.#profile.version, packet, packetId), `${packet} out`);
  }

  #observe(observation: ClientObservation): void {
    this.#host.observe(observation, this.#node);
  }

  #write(bytes: Uint8Array, moment: Moment): void {
    this.#connection?.write(bytes);
    if (this.#flight?.moment === moment) this.#flee(this.#flight);
  }
}
