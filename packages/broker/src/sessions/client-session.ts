/**
 * What every session has, whoever keeps it: its subscriptions, its connection, and the way a message takes to that.
 *
 * QoS 0 is sent or dropped, never kept, and retained messages are replayed as fast as the client reads. What becomes of QoS 1 and
 * 2 differs: in a session of this node (session.ts) they wait in its own queue, in one that the mesh keeps (stored-session.ts)
 * they come from the log.
 *
 * Source: MQTT 5 sections 4.1 (session state), 4.3 (QoS flows), 4.9 (flow control).
 */

import type { ApplicationMessage, Clock, Completion, MonotonicMs, QoS } from "@skein/kernel";
import type { ProtocolVersion } from "../codec/connect-packet.ts";
import { type Frame, frameBytes, type PublishFrame } from "../codec/packet-writer.ts";
import type { PublishForm, PublishFrames } from "../codec/publish-encoder.ts";
import type { Counters } from "../counters.ts";
import type { ReceivedQos2 } from "../inbound/acknowledgements.ts";
import type { BrokerOptions } from "../options.ts";
import type { OutboundAliases } from "../outbound/outbound-aliases.ts";
import { RetainedReplay, type WaitingRetained } from "../outbound/retained-replay.ts";
import type { RetainedReader, RetainedStore, RetainedView } from "../ports.ts";
import { OwnSubscriptions } from "../subscriptions/own-subscriptions.ts";
import type { Subscriber, Subscription } from "../subscriptions/subscription-index.ts";
import type { Granted } from "../subscriptions/subscriptions.ts";
import type { QueueBudget } from "./queue-budget.ts";

/** The connection of a session, as far as the session needs it. */
export interface Outlet {
  readonly version: ProtocolVersion;
  /** Receive Maximum of the client. */
  readonly receiveMaximum: number;
  /** Maximum Packet Size of the client, in bytes. */
  readonly clientPacketBytesMax: number;
  /** Topic Aliases, if the client allows any. */
  readonly aliases: OutboundAliases | undefined;
  /** Fewer bytes than the bound wait for its socket. */
  readonly hasRoom: boolean;
  /** Sends a frame at the end of this turn. `packetId` is 0 where it has none. */
  send(frame: Frame, packetId: number): void;
  /** Calls {@link ClientSession.pump} at the end of this turn. */
  wake(): void;
  /** A newer connection of the same client has come, from address `by`: ends this one. */
  takenOver(by: string): void;
  /** The mesh does not take what the client has done, and no packet can say so: ends the connection. */
  refuse(reasonCode: number): void;
}

export interface SessionPorts {
  readonly options: BrokerOptions;
  readonly counters: Counters;
  readonly retained: RetainedStore;
  /** The node's own values, below `$SYS`. */
  readonly system: RetainedView;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly frames: PublishFrames;
  readonly queueBudget: QueueBudget;
}

/** Where messages of clients go. */
export interface PublishPort {
  /** Delivers, forwards and retains. Returns the parts `done` will be settled for. */
  publish(message: ApplicationMessage, publisher: ClientSession, done: Completion | undefined): number;
}

export abstract class ClientSession implements Subscriber, RetainedReader {
  readonly clientId: string;
  /** The present connection. */
  outlet: Outlet | undefined;
  /** Session Expiry Interval: seconds it lives without a connection. */
  expirySeconds = 0;
  protected readonly ports: SessionPorts;
  // Most sessions need one of these three or none, and an empty Map takes as much memory as a full object: each is made when needed.
  #subscriptions: OwnSubscriptions | undefined;
  #received: ReceivedQos2 | undefined;
  /** Undefined while no subscription waits for retained messages. */
  #replay: RetainedReplay | undefined;

  constructor(clientId: string, ports: SessionPorts) {
    this.clientId = clientId;
    this.ports = ports;
  }

  get subscriptions(): OwnSubscriptions {
    this.#subscriptions ??= new OwnSubscriptions();
    return this.#subscriptions;
  }

  get received(): ReceivedQos2 {
    this.#received ??= new Map();
    return this.#received;
  }

  get replay(): RetainedReplay {
    this.#replay ??= new RetainedReplay(this.ports.clock, this.ports.system);
    return this.#replay;
  }

  /** Retained messages could be sent now. */
  protected get isReplaying(): boolean {
    return this.#replay?.isPending === true;
  }

  get isConnected(): boolean {
    return this.outlet !== undefined;
  }

  abstract readonly isReady: boolean;
  abstract readonly isKept: boolean;
  /** Messages in the queue, for status. */
  abstract readonly queued: number;
  /** What they take, about, topics and properties included. */
  abstract readonly queuedBytes: number;
  /** Something could be sent if there were room. */
  abstract readonly hasBacklog: boolean;
  /** Highest ordinal that may have been sent, of a queue that the mesh keeps; -1: none. */
  abstract readonly sentThrough: number;

  abstract puback(packetId: number): void;
  abstract pubrec(packetId: number, reasonCode: number, outlet: Outlet): void;
  abstract pubcomp(packetId: number): void;

  /**
   * Whether `packetId`, which is in `received` and was answered, stands for another message than `message`: its PUBREL went to an earlier connection, and
   * has come through the log since, or stands in the outbox of a node without a quorum.
   */
  isAnother(_packetId: number, _message: ApplicationMessage): boolean {
    return false;
  }

  /**
   * Publishes a QoS 2 message of this client, which is in `received` now. `isRepeated`: it came with DUP. Returns the parts `done` will be
   * settled for.
   */
  abstract publishOnce(
    message: ApplicationMessage,
    packetId: number,
    isRepeated: boolean,
    port: PublishPort,
    done: Completion,
  ): number;
  /** PUBREL came for it. Returns the parts that its PUBCOMP waits for. */
  abstract release(packetId: number, done: Completion): number;
  /** Subscriptions of one SUBSCRIBE have been added. Returns the parts that its SUBACK waits for. */
  abstract keepSubscriptions(granted: readonly Granted[], done: Completion): number;
  /** Subscriptions have been removed. Returns the parts that the UNSUBACK waits for. */
  abstract dropSubscriptions(filters: readonly string[], done: Completion): number;
  /** The session is over on this node. */
  abstract end(): void;

  /** A QoS 1 or 2 message has come the live way. */
  protected abstract owe(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void;
  /** Sends one thing that waits. False: nothing waits, or the client's window is full. */
  protected abstract sendNext(outlet: Outlet): boolean;
  /** The same for a retained message that is to be sent with QoS 1 or 2. */
  protected abstract sendRetainedOwed(outlet: Outlet, waiting: WaitingRetained, qos: QoS): boolean;

  deliver(
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): void {
    const isSent = qos === 0 ? this.#deliverQos0(message, retain, identifiers) : false;
    if (qos > 0) this.owe(message, qos, retain, identifiers);
    if (message.retain && this.#replay?.isWatching === true)
      this.#replay.superseded(message, isSent || qos > 0);
  }

  /** A connection of this client has come, and has got its CONNACK. */
  resume(outlet: Outlet): void {
    this.outlet = outlet;
    this.pump();
  }

  /** Sends what waits, as far as there is room. Call it whenever room may have appeared. */
  pump(): void {
    const { outlet } = this;
    this.#replay?.beginRound();
    while (outlet?.hasRoom === true && this.sendNext(outlet));
    if (this.#replay?.isWatching === false) this.#replay = undefined;
  }

  /** Retained messages of the subscriptions added to `replay` follow as soon as the store lets them be read, those of `$SYS` at once. */
  readRetained(): void {
    if (this.#replay?.beginQuestion() === true) this.ports.retained.read(this);
    if (this.#replay?.isWatching === false) this.#replay = undefined;
    else if (this.isReplaying) this.pump();
  }

  /** The subscription has ended or was replaced. */
  forget(subscription: Subscription): void {
    this.#replay?.remove(subscription);
  }

  /** Ends all subscriptions, each with a call of `ended`. */
  dropAll(ended: (subscription: Subscription) => void): void {
    const subscriptions = this.#subscriptions;
    if (subscriptions === undefined) return;
    this.#subscriptions = undefined;
    for (const subscription of subscriptions.values()) ended(subscription);
  }

  mayRead(view: RetainedView): void {
    this.replay.answered(view);
    this.readRetained();
  }

  protected sendRetained(outlet: Outlet): boolean {
    const waiting = this.replay.peek();
    if (waiting === undefined) {
      if (this.isReplaying) outlet.wake();
      return false;
    }
    const { subscription, message, since } = waiting;
    const qos = Math.min(message.qos, subscription.qos) as QoS;
    if (qos > 0) return this.sendRetainedOwed(outlet, waiting, qos);
    this.replay.advance(message);
    const left = this.lifetimeLeft(message, since);
    if (left === 0) return true;
    const frame = this.encode(outlet, message, 0, true, identifiersOf(subscription), left);
    if (frame !== undefined) this.send(outlet, frame, 0);
    return true;
  }

  /**
   * Seconds that are left of the Message Expiry Interval of a message that has waited since `since`; undefined: it has none. 0: it has
   * expired and must not be sent, which is counted [MQTT-3.3.2-5].
   */
  protected lifetimeLeft(message: ApplicationMessage, since: MonotonicMs): number | undefined {
    const lifetime = message.properties?.messageExpirySeconds;
    if (lifetime === undefined) return undefined;
    const left = lifetime - Math.floor((this.ports.clock.monotonicMs() - since) / 1000);
    if (left > 0) return left;
    this.ports.counters.expiredDropped++;
    return 0;
  }

  /** The frame of a message that is sent now, for the first time; undefined: the client does not take one so large, which is counted. */
  protected encode(
    outlet: Outlet,
    message: ApplicationMessage,
    qos: QoS,
    retain: boolean,
    identifiers: readonly number[] | undefined,
    expirySeconds: number | undefined,
  ): PublishFrame | undefined {
    const { frames } = this.ports;
    const alias = outlet.aliases?.of(message.topic);
    const isParticular =
      outlet.version === 5 &&
      (identifiers !== undefined || expirySeconds !== undefined || alias !== undefined);
    const frame = isParticular
      ? frames.encode(message, outlet.version, {
          qos,
          retain,
          dup: false,
          identifiers,
          expirySeconds,
          alias,
        })
      : frames.shared(message, outlet.version, qos, retain);
    if (!this.#fits(outlet, frame)) return undefined;
    if (alias !== undefined) alias.isSet = true;
    return frame;
  }

  /** The same for one that may have been sent on an earlier connection. */
  protected encodeAgain(
    outlet: Outlet,
    message: ApplicationMessage,
    form: PublishForm,
  ): PublishFrame | undefined {
    const frame = this.ports.frames.encode(message, outlet.version, form);
    return this.#fits(outlet, frame) ? frame : undefined;
  }

  protected send(outlet: Outlet, frame: PublishFrame, packetId: number): void {
    const { counters } = this.ports;
    outlet.send(frame, packetId);
    counters.publishesSent++;
    counters.publishBytesSent += frame.payloadBytes;
  }

  /** [MQTT-3.1.2-24] [MQTT-3.1.2-25]: too large is as if it had been sent. */
  #fits(outlet: Outlet, frame: Frame): boolean {
    if (frameBytes(frame) <= outlet.clientPacketBytesMax) return true;
    this.ports.counters.tooLargeDropped++;
    return false;
  }

  #deliverQos0(
    message: ApplicationMessage,
    retain: boolean,
    identifiers: readonly number[] | undefined,
  ): boolean {
    const { outlet } = this;
    if (outlet === undefined) return false;
    if (!outlet.hasRoom) {
      this.ports.counters.slowReaderDropped++;
      return false;
    }
    const frame = this.encode(outlet, message, 0, retain, identifiers, undefined);
    if (frame !== undefined) this.send(outlet, frame, 0);
    return true;
  }
}

export function identifiersOf({ identifier }: Subscription): readonly number[] | undefined {
  return identifier === undefined ? undefined : [identifier];
}
