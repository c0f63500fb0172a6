/**
 * Sessions that outlive the node their client is connected to, as a broker sees them.
 *
 * The broker owns connections; the mesh owns sessions. A connection *claims* the session of its Client Identifier; the newest
 * claim of the mesh holds it, and whatever an older one still asks for changes nothing. What a session is owed is a queue
 * of messages with ordinals, the same on every node: the packet identifier of a message is its ordinal's
 * ({@link packetIdOf}), so any node sends it again under the same one.
 *
 * Calls that take a Completion follow its rules: they return the parts, and never settle before they have returned.
 *
 * Source: MQTT 5 sections 4.1, 4.3, 4.4; architecture.md section 5; reference design, section 4.3.
 */

import type { NodeId } from "../ids.ts";
import type { ApplicationMessage, Completion, QoS } from "../message.ts";

/** A Will Message and when it is due. Source: MQTT 5 sections 3.1.2.5 and 3.1.3.2.2. */
export interface SessionWill {
  readonly message: ApplicationMessage;
  /** Will Delay Interval: seconds between the loss of the connection and the publication. */
  readonly delaySeconds: number;
}

/** What a CONNECT says of its session. */
export interface SessionOpening {
  readonly clientId: string;
  readonly cleanStart: boolean;
  /**
   * Seconds the session lives without a connection. 0: it ends with it, and only its will and its claim are kept; a session that is
   * present and not cleaned is resumed all the same [MQTT-3.1.2-5].
   */
  readonly expirySeconds: number;
  /** Keep Alive in force; 0: none. For how long a will waits when the node is gone. */
  readonly keepAliveSeconds: number;
  readonly will: SessionWill | undefined;
  /** Most messages it may be owed, as far as the mesh has room. */
  readonly queuedMessagesMax: number;
  /** Most bytes of them. */
  readonly queuedBytesMax: number;
}

/** One subscription as it is kept (MQTT 5 section 3.8.3.1). */
export interface KeptSubscription {
  /** As in SUBSCRIBE, `$share/...` included. */
  readonly filter: string;
  /** Granted. */
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  readonly identifier: number | undefined;
}

/** One Topic Filter of a SUBSCRIBE. */
export interface SubscriptionWish extends KeptSubscription {
  /** Retain Handling. Those retained messages that are delivered with QoS 1 or 2 go into the queue. */
  readonly retainHandling: 0 | 1 | 2;
}

/** A QoS 1 or 2 message that a session is owed. */
export interface OwedMessage {
  /** One more than that of the message before, in the order of the log. Where they begin, the session decides. */
  readonly ordinal: number;
  readonly message: ApplicationMessage;
  /** It is delivered with. */
  readonly qos: 1 | 2;
  /** RETAIN as it is delivered. */
  readonly retain: boolean;
  /** Subscription Identifiers. */
  readonly identifiers: readonly number[] | undefined;
  /** QoS 2: its PUBREC is committed, so PUBREL may be sent, and must be sent again after a reconnect. */
  readonly isReleased: boolean;
}

/** What this node's replica holds of a session. It follows the log: what it answers changes from turn to turn. */
export interface KeptSession {
  readonly subscriptions: ReadonlyMap<string, KeptSubscription>;
  /** Packet identifiers of QoS 2 messages that the client has published and not released. */
  readonly received: Iterable<number>;
  /** Whether `packetId` is one of these now, and its message said the same as `message`. */
  readonly holds: (packetId: number, message: ApplicationMessage) => boolean;
  /** Messages owed. */
  readonly queued: number;
  /** What they take, about, topics and properties included. */
  readonly queuedBytes: number;
  /** Messages up to this ordinal may have been sent on an earlier connection: they go with DUP. -1: none. */
  readonly sentThrough: number;
  /** Ordinal of the next message that it will be owed. */
  readonly nextOrdinal: number;
  /** The first message owed whose ordinal is greater; undefined: there is none now. */
  after(ordinal: number): OwedMessage | undefined;
  /** The message owed with this ordinal. */
  owed(ordinal: number): OwedMessage | undefined;
  /** Seconds left of its Message Expiry Interval; undefined: it has none; 0: it has expired. */
  lifetimeLeft(owed: OwedMessage): number | undefined;
}

/** What becomes of the will when a connection ends. `defer`: it waits for a while, for its client to come back elsewhere. */
export type WillFate = "publish" | "discard" | "defer";

/** The broker's end of a claim. Nothing here is called before `open` has returned. */
export interface SessionHolder {
  /** The claim holds: answer the CONNECT. Called at most once. `isPresent`: Session Present. */
  opened(kept: KeptSession, isPresent: boolean): void;
  /** Messages have been added to the queue, or may be sent now. */
  grown(): void;
  /**
   * Without a quorum messages come before the log has them (Broker.deliverEarly); this one, `name`, has got its place in the queue now,
   * at its end. `isHad`: the client has acknowledged it. Whoever has been sent it is not sent it again. Ordinal undefined: the log
   * knows that the client has it, so it is not in the queue.
   */
  placed(ordinal: number | undefined, name: string, isHad: boolean): void;
  /**
   * A newer connection of this client, on node `by` if that is known, has claimed the session: this one is over (0x8E). Nothing is called
   * after it.
   */
  lost(by: NodeId | undefined): void;
}

/** A connection's claim to its session. Unusable after `lost` or `close`: calls then change nothing, and settle as refused. */
export interface SessionClaim {
  /** Settles when all of it is committed and every node in reach knows it. */
  subscribe(wishes: readonly SubscriptionWish[], done: Completion): number;
  unsubscribe(filters: readonly string[], done: Completion): number;
  /**
   * Publishes a QoS 2 message of this session through the log, to everybody, exactly once however often it is published with this
   * packet identifier, and into the retained store if it has RETAIN. Who is subscribed on this node gets it from the log, too.
   * `isRepeated`: the client may have sent it before (DUP), to another node that says so later.
   */
  publish(message: ApplicationMessage, packetId: number, isRepeated: boolean, done: Completion): number;
  /** PUBREL came: the packet identifier is free when `done` is settled. */
  release(packetId: number, done: Completion): number;
  /** The client has the message: PUBACK or PUBCOMP came. It is gathered; after a crash the message may be sent again. */
  acknowledge(ordinal: number): void;
  /** The client has a message that came early. Its place in the queue is acknowledged when it has one. */
  acknowledgeEarly(name: string): void;
  /** PUBREC came for a QoS 2 message: send PUBREL when `done` is settled, not before. */
  confirm(ordinal: number, done: Completion): number;
  /**
   * The connection has ended. `expirySeconds`: as it is in force now. `sentThrough`: the highest ordinal that was sent on it,
   * or the session's own `sentThrough` if that is higher; -1 where the claim was not answered, which changes nothing.
   */
  close(fate: WillFate, expirySeconds: number, sentThrough: number): void;
}

/**
 * Which of the shared subscriptions of one QoS 1 or 2 message a live member serves. The others are for the log, which knows the kept
 * members: each message goes to one member of all (MQTT 5 section 4.8.2).
 */
export interface SharedChoice {
  /** It is left to the log. */
  isDealt(sharedFilter: string): boolean;
  /** A live member has it, or will have it. */
  serve(sharedFilter: string): void;
}

/** The sessions of the mesh. */
export interface SessionStore {
  /**
   * Calls `then` when what other nodes in reach have acknowledged without a quorum is in the log, so that a client which was there finds its
   * session here as it left it: most of the time before this returns, and within a second at most. A CONNECT that may find a session waits for it
   * before it is opened.
   */
  afterOutboxes(then: () => void): void;
  /** A CONNECT has come. A newer one of the same client, on any node, makes this claim void. */
  open(opening: SessionOpening, holder: SessionHolder): SessionClaim;
  /** Whether a QoS 1 or 2 message of this topic is owed to any session that is kept: then it must be published here, too. */
  wants(topic: string): boolean;
  /**
   * Puts a message into the queues of all sessions that want it, and into the retained store if it has RETAIN. `publisher`: Client
   * Identifier, whose own subscriptions may have No Local; undefined: no client has published it. `served`: shared subscriptions that
   * a live member serves.
   */
  publish(
    message: ApplicationMessage,
    publisher: string | undefined,
    served: readonly string[],
    done: Completion | undefined,
  ): number;
  /** Whether a kept member of this shared subscription, with QoS 1 or 2, is connected: such a one goes before all live ones. */
  deals(sharedFilter: string): boolean;
  /** Gives a QoS 1 or 2 message to a kept member of a shared subscription, if it has one: the live ones are gone. */
  deal(sharedFilter: string, message: ApplicationMessage, done: Completion | undefined): number;
  /** Whether a session of this client is kept, or is about to be. */
  has(clientId: string): boolean;
  /**
   * Whether each client claims its session. True in a mesh of more than one node: its older connection may be on any of them. Else
   * those need not that bring no will and neither have a session nor want one.
   */
  readonly claimsEveryClient: boolean;
  /** Sessions of the mesh that live without a connection, or may. */
  readonly count: number;
  /** Sessions of the mesh that have ended because their Session Expiry Interval was over, since this process began. */
  readonly expired: number;
}

const PACKET_IDS = 65_535;

/** The packet identifier of the message with this ordinal. Fewer than 65,535 messages are ever under way. */
export function packetIdOf(ordinal: number): number {
  return 1 + (ordinal % PACKET_IDS);
}
