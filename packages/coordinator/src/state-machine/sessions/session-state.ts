/**
 * One session as the log knows it: who holds it, what it wants, what it is owed.
 *
 * The owner is the connection with the newest claim, named by where and as which command it was proposed. A session
 * that is not kept (expiry 0) is a claim and perhaps a will: it ends with its connection.
 *
 * Source: MQTT 5 section 4.1; reference design, section 4.3 (rules 2, 7, 8, 10).
 */

import type {
  Incarnation,
  KeptSubscription,
  NodeId,
  SessionOpening,
  SessionWill,
  WillFate,
} from "@skein/kernel";
import type { Stamp } from "../../hybrid-clock.ts";
import type { MessageHandle, OwedMessages } from "./owed-messages.ts";
import { type RepeatedMessage, withoutAwaited } from "./repeated-messages.ts";
import { QUEUED_BYTES_MAX, QUEUED_MESSAGES_MAX, SessionQueue } from "./session-queue.ts";

/** The connection that holds a session. */
export interface SessionOwner {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Number of its OPEN among the commands of (node, incarnation). */
  readonly claim: number;
}

/**
 * What a connection must be to a session for a command of it to count: its owner; or the `last` one, as long as nobody else has come (its node was
 * taken for gone, and speaks again); or any that has held it since it began.
 */
export type Standing = "owner" | "last" | "former";

/** Former owners remembered. A client is on fewer nodes in the time for which one is cut off. */
const FORMERS_MAX = 4;
/** Session Expiry Interval of a session that never ends. */
export const NEVER_EXPIRES = 0xffff_ffff;
const NOTHING_REPEATED: readonly RepeatedMessage[] = [];
/** A will waits at least so long for a client whose node is gone. */
const GRACE_MIN_MS = 15_000;

/** All of a session, as a snapshot holds it; but its queue, which is the one that it has. */
export interface SavedSession
  extends Pick<
    SessionState,
    | "clientId"
    | "owner"
    | "formers"
    | "claimedAt"
    | "isPresent"
    | "expirySeconds"
    | "keepAliveSeconds"
    | "will"
    | "queuedMessagesMax"
    | "queuedBytesMax"
    | "willAt"
    | "isWillDeferred"
    | "endsAt"
    | "sentThrough"
    | "queue"
    | "repeated"
  > {
  readonly subscriptions: readonly KeptSubscription[];
  /** By Packet Identifier, which rises. */
  readonly received: readonly (readonly [packetId: number, content: number])[];
}

export class SessionState {
  readonly clientId: string;
  /** Undefined while no connection holds it. */
  owner: SessionOwner | undefined;
  /** Connections that have held it since it began, the newest last; and those that would have, had they been heard of in time. */
  formers: readonly SessionOwner[] = [];
  /** When its newest claim was made. */
  claimedAt: Stamp = 0;
  /** Its newest claim found it there (Session Present). */
  isPresent = false;
  expirySeconds = 0;
  keepAliveSeconds = 0;
  will: SessionWill | undefined;
  /** What the node of its newest claim lets it be owed. */
  queuedMessagesMax = QUEUED_MESSAGES_MAX;
  queuedBytesMax = QUEUED_BYTES_MAX;
  /** When its will is due (SessionTime, ms); undefined: it waits for nothing. */
  willAt: number | undefined;
  /** The will waits for a client whose node is gone, so that a newer claim takes it back without a word. */
  isWillDeferred = false;
  /** When it ends (SessionTime, ms); undefined: while it is held, or never. */
  endsAt: number | undefined;
  /** Messages up to this ordinal may have been sent. */
  sentThrough = -1;
  readonly subscriptions = new Map<string, KeptSubscription>();
  /**
   * Packet Identifiers of QoS 2 messages that its client has sent and not released, with what each said (content-hash.ts; 0: not known): under the
   * same identifier something else is another message, of a client whose PUBREL is not here yet.
   */
  readonly received = new Map<number, number>();
  /** QoS 2 messages of its client that may come once more, the oldest first. */
  repeated: readonly RepeatedMessage[] = NOTHING_REPEATED;
  queue: SessionQueue;

  /** A new one. What it is owed gets ordinals from `firstOrdinal` on. */
  constructor(clientId: string, messages: OwedMessages, firstOrdinal: number) {
    this.clientId = clientId;
    this.queue = new SessionQueue(messages, firstOrdinal);
  }

  /** It lives without a connection. */
  get isKept(): boolean {
    return this.expirySeconds > 0;
  }

  isHeldBy(owner: SessionOwner): boolean {
    return isSame(this.owner, owner);
  }

  /** Whether a command of `owner` counts that takes this standing. */
  hears(owner: SessionOwner, standing: Standing): boolean {
    if (this.isHeldBy(owner)) return true;
    if (standing === "owner") return false;
    if (standing === "last") return this.owner === undefined && isSame(this.formers.at(-1), owner);
    return this.formers.some((former) => isSame(former, owner));
  }

  /** A connection has it from now on. */
  claim(opening: SessionOpening, owner: SessionOwner, claimedAt: Stamp, isPresent: boolean): void {
    this.formers = isPresent ? formersOf(this) : [];
    this.owner = owner;
    this.claimedAt = claimedAt;
    this.isPresent = isPresent;
    this.expirySeconds = opening.expirySeconds;
    this.keepAliveSeconds = opening.keepAliveSeconds;
    this.will = opening.will;
    this.queuedMessagesMax = Math.min(opening.queuedMessagesMax, QUEUED_MESSAGES_MAX);
    this.queuedBytesMax = Math.min(opening.queuedBytesMax, QUEUED_BYTES_MAX);
    this.willAt = undefined;
    this.isWillDeferred = false;
    this.endsAt = undefined;
  }

  /**
   * A connection that was made before the newest one, and is heard of after it: its node, without a quorum, has sent what is owed. It does not get
   * the session, but what its client has had from it counts.
   */
  overtaken(owner: SessionOwner): void {
    // In front of who has held it last, which nobody could tell if there were no former one.
    const place = this.owner === undefined ? this.formers.length - 1 : this.formers.length;
    if (place < 0) return;
    this.formers = this.formers.toSpliced(place, 0, owner).slice(-FORMERS_MAX);
    this.assumeSent();
  }

  /** When something about it is due; undefined: nothing is. */
  get dueAt(): number | undefined {
    const { willAt, endsAt } = this;
    return willAt === undefined || endsAt === undefined ? (willAt ?? endsAt) : Math.min(willAt, endsAt);
  }

  /**
   * All that is owed may have been sent, for all that is known: what the client has acknowledged leaves the queue later than the next
   * message is sent, and without a leader not at all.
   */
  assumeSent(): void {
    this.sentThrough = this.queue.nextOrdinal - 1;
  }

  /** Nothing comes with DUP any more of what older connections have brought. */
  forgetAwaited(): void {
    this.repeated = withoutAwaited(this.repeated);
  }

  /** Its connection has ended (`now`: SessionTime, ms). */
  leave(fate: WillFate, now: number): void {
    Object.assign(this, departed(this, fate, now));
  }

  /** Whether one more message may be owed. */
  hasRoomFor(handle: MessageHandle): boolean {
    return this.queue.hasRoomFor(handle, this);
  }

  /** All of it; lists are sorted, so that equal sessions are equal. */
  save(): SavedSession {
    const { subscriptions, received, ...fields } = this;
    return {
      ...fields,
      subscriptions: [...subscriptions.values()].sort((a, b) => (a.filter < b.filter ? -1 : 1)),
      received: [...received].sort(([a], [b]) => a - b),
    };
  }

  /** Takes over what was saved of it, its queue too, but for the subscriptions. */
  restore({ subscriptions: _, received, ...fields }: SavedSession): void {
    Object.assign(this, fields);
    this.received.clear();
    for (const [packetId, content] of received) this.received.set(packetId, content);
  }

  /** Whether its client has sent this already, and not released it. `content`: 0 if that is not known. */
  holds(packetId: number, content: number): boolean {
    const held = this.received.get(packetId);
    return held !== undefined && (held === content || held === 0 || content === 0);
  }

  /** Its client says that it will not send `packetId` again. */
  released(packetId: number): void {
    this.received.delete(packetId);
    this.repeated = withoutAwaited(this.repeated, packetId);
  }

  /** Its connection says how far it has come. */
  close(expirySeconds: number, sentThrough: number): void {
    this.expirySeconds = expirySeconds;
    this.sentThrough = Math.min(Math.max(this.sentThrough, sentThrough), this.queue.nextOrdinal - 1);
    // Who was not answered has sent nothing again.
    if (sentThrough >= 0) this.forgetAwaited();
  }

  /** What the session holds is gone; the claim stays. */
  empty(): void {
    this.formers = [];
    this.subscriptions.clear();
    this.received.clear();
    this.repeated = NOTHING_REPEATED;
    this.queue.clear();
    this.sentThrough = this.queue.nextOrdinal - 1;
  }
}

function isSame(own: SessionOwner | undefined, owner: SessionOwner): boolean {
  return own?.node === owner.node && own.incarnation === owner.incarnation && own.claim === owner.claim;
}

/** Those of a session that its owner leaves. */
function formersOf({ owner, formers }: Pick<SessionState, "owner" | "formers">): readonly SessionOwner[] {
  return owner === undefined ? formers : [...formers, owner].slice(-FORMERS_MAX);
}

/** What becomes of `session` when its connection ends (`now`: SessionTime, ms). */
export function departed(
  session: Pick<
    SessionState,
    "owner" | "formers" | "endsAt" | "expirySeconds" | "keepAliveSeconds" | "will" | "willAt"
  >,
  fate: WillFate,
  now: number,
): Pick<SessionState, "owner" | "formers" | "endsAt" | "will" | "willAt" | "isWillDeferred"> {
  const { expirySeconds, keepAliveSeconds, willAt } = session;
  const endsAt = expirySeconds < NEVER_EXPIRES ? now + expirySeconds * 1000 : session.endsAt;
  const will = fate === "discard" ? undefined : session.will;
  const isWillDeferred = will !== undefined && fate === "defer";
  const left = { owner: undefined, formers: formersOf(session), endsAt, will, willAt, isWillDeferred };
  if (will === undefined) return left;
  const delayMs = Math.min(will.delaySeconds, expirySeconds) * 1000;
  if (!isWillDeferred) return { ...left, willAt: now + delayMs };
  const dueAt = now + Math.max(GRACE_MIN_MS, keepAliveSeconds * 1500, will.delaySeconds * 1000);
  // Who has nothing but its will ends when that is out.
  return { ...left, willAt: dueAt, endsAt: endsAt === undefined ? undefined : Math.max(endsAt, dueAt) };
}
