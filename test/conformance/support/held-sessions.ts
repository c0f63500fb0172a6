/**
 * The sessions of a mesh in a test's hands: nothing is committed before the test says so, and any session may be claimed from "another
 * node".
 */

import type { Broker } from "@skein/broker";
import {
  type ApplicationMessage,
  type Completion,
  filterMatches,
  type KeptSession,
  type KeptSubscription,
  messageSize,
  type OwedMessage,
  PASSED_BY,
  parseSharedFilter,
  type SessionClaim,
  type SessionHolder,
  type SessionOpening,
  type SessionStore,
  type SubscriptionWish,
  type WillFate,
} from "@skein/kernel";

/** What a claim ended with. */
interface Closing {
  readonly clientId: string;
  readonly fate: WillFate;
  readonly expirySeconds: number;
  readonly sentThrough: number;
}

/** One command in the log. */
interface Command {
  /** {@link PASSED_BY}: what it is answered. */
  readonly apply: () => unknown;
  readonly done: Completion | undefined;
}

class HeldSession implements KeptSession {
  readonly subscriptions = new Map<string, KeptSubscription>();
  readonly received = new Set<number>();
  /** Identifiers of `received` that stand for something else than what comes next. */
  readonly others = new Set<number>();
  readonly owedByOrdinal = new Map<number, OwedMessage>();
  sentThrough = -1;
  /** Of the next message; a test may set it. */
  nextOrdinal = 0;
  /** Seconds that have passed for messages that expire. */
  age = 0;
  holder: SessionHolder | undefined;

  get queued(): number {
    return this.owedByOrdinal.size;
  }

  get queuedBytes(): number {
    return [...this.owedByOrdinal.values()].reduce((sum, { message }) => sum + messageSize(message), 0);
  }

  after(ordinal: number): OwedMessage | undefined {
    for (const owed of this.owedByOrdinal.values()) if (owed.ordinal > ordinal) return owed;
    return undefined;
  }

  owed(ordinal: number): OwedMessage | undefined {
    return this.owedByOrdinal.get(ordinal);
  }

  lifetimeLeft({ message }: OwedMessage): number | undefined {
    const lifetime = message.properties?.messageExpirySeconds;
    return lifetime === undefined ? undefined : Math.max(0, lifetime - this.age);
  }

  holds(packetId: number): boolean {
    return this.received.has(packetId) && !this.others.has(packetId);
  }

  /** The subscription with the highest QoS that makes this session want the message with QoS 1 or 2. */
  wish({ topic, qos }: ApplicationMessage, isOwn: boolean): KeptSubscription | undefined {
    return [...this.subscriptions.values()]
      .filter(({ filter }) => parseSharedFilter(filter) === undefined && filterMatches(filter, topic))
      .filter((kept) => Math.min(qos, kept.qos) > 0 && !(isOwn && kept.noLocal))
      .sort((a, b) => b.qos - a.qos)[0];
  }

  /** `early`: how its holder has been told of it before. */
  append(
    message: ApplicationMessage,
    { qos, identifier, retainAsPublished }: KeptSubscription,
    early?: { readonly name: string; readonly isHad: boolean },
  ): void {
    const ordinal = this.nextOrdinal++;
    this.owedByOrdinal.set(ordinal, {
      ordinal,
      message,
      qos: Math.min(message.qos, qos) as 1 | 2,
      retain: message.retain && retainAsPublished,
      identifiers: identifier === undefined ? undefined : [identifier],
      isReleased: false,
    });
    if (early !== undefined) this.holder?.placed(ordinal, early.name, early.isHad);
    this.holder?.grown();
  }
}

export class HeldSessions implements SessionStore {
  claimsEveryClient = false;
  /** The broker that the log delivers to. */
  broker: Broker | undefined;
  readonly kept = new Map<string, HeldSession>();
  readonly openings: SessionOpening[] = [];
  readonly closings: Closing[] = [];
  readonly wishes: SubscriptionWish[] = [];
  /** What `publish` was asked for. */
  readonly published: {
    readonly message: ApplicationMessage;
    readonly publisher: string | undefined;
    readonly served: readonly string[];
  }[] = [];
  /** Packet identifiers of QoS 2 messages that came with DUP. */
  readonly repeated: number[] = [];
  /** Names of the messages that came early, and that their client has. */
  readonly hadEarly = new Set<string>();
  /** Clients whose queues have no room. */
  readonly full = new Set<string>();
  /** Shared subscriptions with a kept member that is connected, as a test says. */
  readonly attended = new Set<string>();
  /** Those of other nodes; who comes before they are written waits. */
  outboxes: "open" | "written" = "written";
  readonly #waiting: (() => void)[] = [];
  #log: Command[] = [];
  readonly #owners = new Map<string, SessionHolder>();
  /** The newest of each client, committed or not. */
  readonly #newest = new Map<string, SessionHolder>();

  get count(): number {
    return this.kept.size;
  }

  /** As a test says. */
  expired = 0;

  /** Commands that are not committed. */
  get pending(): number {
    return this.#log.length;
  }

  has(clientId: string): boolean {
    return this.kept.has(clientId);
  }

  wants(topic: string): boolean {
    const message = {
      topic,
      payload: new Uint8Array(0),
      qos: 2,
      retain: false,
      properties: undefined,
    } as const;
    return [...this.kept.values()].some((session) => session.wish(message, false) !== undefined);
  }

  publish(
    message: ApplicationMessage,
    publisher: string | undefined,
    served: readonly string[],
    done: Completion | undefined,
  ): number {
    this.published.push({ message, publisher, served });
    return this.#propose(done, () => this.#append(message, publisher));
  }

  deals(sharedFilter: string): boolean {
    return this.attended.has(sharedFilter);
  }

  deal(): number {
    return 0;
  }

  afterOutboxes(then: () => void): void {
    if (this.outboxes === "written") then();
    else this.#waiting.push(then);
  }

  open(opening: SessionOpening, holder: SessionHolder): SessionClaim {
    const { clientId } = opening;
    this.openings.push(opening);
    this.#newest.set(clientId, holder);
    this.#propose(undefined, () => {
      this.#owners.get(clientId)?.lost(undefined);
      this.#owners.set(clientId, holder);
      const older = opening.cleanStart ? undefined : this.kept.get(clientId);
      const session = older ?? new HeldSession();
      if (opening.expirySeconds > 0 || older !== undefined) this.kept.set(clientId, session);
      else this.kept.delete(clientId);
      session.holder = holder;
      holder.opened(session, older !== undefined);
    });
    /** Of an older owner nothing counts. */
    const command = (done: Completion | undefined, apply: (session: HeldSession) => unknown): number =>
      this.#propose(done, () => {
        const session = this.kept.get(clientId);
        return this.#owners.get(clientId) === holder && session !== undefined ? apply(session) : undefined;
      });
    return {
      subscribe: (wishes, done) => {
        this.wishes.push(...wishes);
        return command(done, ({ subscriptions }) => {
          for (const wish of wishes) subscriptions.set(wish.filter, wish);
        });
      },
      unsubscribe: (filters, done) =>
        command(done, ({ subscriptions }) => {
          for (const filter of filters) subscriptions.delete(filter);
        }),
      publish: (message, packetId, isRepeated, done) => {
        if (isRepeated) this.repeated.push(packetId);
        return command(done, ({ received }) => {
          if (received.has(packetId)) return undefined;
          received.add(packetId);
          this.broker?.deliverFromLog(message, clientId, true, []);
          return this.#append(message, clientId);
        });
      },
      release: (packetId, done) => command(done, ({ received }) => received.delete(packetId)),
      acknowledge: (ordinal) => {
        command(undefined, ({ owedByOrdinal }) => owedByOrdinal.delete(ordinal));
      },
      acknowledgeEarly: (name) => void this.hadEarly.add(name),
      confirm: (ordinal, done) =>
        command(done, ({ owedByOrdinal }) => {
          const owed = owedByOrdinal.get(ordinal);
          if (owed !== undefined) owedByOrdinal.set(ordinal, { ...owed, isReleased: true });
        }),
      close: (fate, expirySeconds, sentThrough) => {
        this.closings.push({ clientId, fate, expirySeconds, sentThrough });
        command(undefined, (session) => {
          session.sentThrough = Math.max(session.sentThrough, sentThrough);
          session.holder = undefined;
          if (expirySeconds === 0) this.kept.delete(clientId);
        });
        this.#propose(undefined, () => {
          if (this.#owners.get(clientId) === holder) this.#owners.delete(clientId);
        });
      },
    };
  }

  // ---- the test's side

  /** What other nodes have acknowledged on their own is in the log. */
  writeOutboxes(): void {
    this.outboxes = "written";
    for (const then of this.#waiting.splice(0)) then();
  }

  /** Applies what has been proposed, or the first `count` of it. */
  commit(count = this.#log.length): void {
    for (const { apply, done } of this.#log.splice(0, count)) {
      const isPassed = apply() === PASSED_BY;
      done?.settle(isPassed ? PASSED_BY : 0);
    }
  }

  /** Applies nothing of what has been proposed. */
  refuse(reasonCode: number): void {
    for (const { done } of this.#log.splice(0)) done?.settle(reasonCode);
  }

  /** The client has come to another node. */
  steal(clientId: string): void {
    const owner = this.#owners.get(clientId);
    this.#owners.delete(clientId);
    owner?.lost(undefined);
  }

  /** What has been proposed comes too late: the client is on another node already. */
  overtake(clientId: string): void {
    this.#log.length = 0;
    this.#newest.get(clientId)?.lost(undefined);
  }

  /** The log brings a message to `clientId` that has come early, as `name`. */
  place(clientId: string, name: string, message: ApplicationMessage): void {
    const session = this.session(clientId);
    const wish = session.wish(message, false);
    if (wish !== undefined) session.append(message, wish, { name, isHad: this.hadEarly.has(name) });
  }

  session(clientId: string): HeldSession {
    const session = this.kept.get(clientId);
    if (session === undefined) throw new Error(`no session of ${clientId} is kept`);
    return session;
  }

  #propose(done: Completion | undefined, apply: () => unknown): number {
    this.#log.push({ apply, done });
    return done === undefined ? 0 : 1;
  }

  #append(message: ApplicationMessage, publisher: string | undefined): number {
    let reasonCode = 0;
    for (const [clientId, session] of this.kept) {
      const wish = session.wish(message, clientId === publisher);
      if (wish === undefined) continue;
      if (this.full.has(clientId)) reasonCode = PASSED_BY;
      else session.append(message, wish);
    }
    return reasonCode;
  }
}
