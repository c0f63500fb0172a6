/**
 * The MQTT core of one node: connections in, messages to whoever subscribed, here and through its ports everywhere.
 *
 * A publish goes synchronously to the local subscribers, the forwarder and, if it is to be retained, the store; the
 * acknowledgement follows when all of them have it. Output is gathered per connection and leaves in `flush`, once per
 * turn of the event loop, asked for only in turns that have output. There are no timers: `tick` drives every deadline.
 *
 * Data flow: docs/architecture.md. Source: MQTT 5 section 4; hot path rules of the architecture.
 */

import type {
  ApplicationMessage,
  Clock,
  Completion,
  MonotonicMs,
  PublishBytes,
  SessionStore,
  Stream,
  WillFate,
} from "@skein/kernel";
import type { ConnectPacket } from "./codec/connect-packet.ts";
import { FieldReader } from "./codec/field-reader.ts";
import { PublishFrames } from "./codec/publish-encoder.ts";
import { PublishPacket } from "./codec/publish-packet.ts";
import { ReasonCode } from "./codec/reason-codes.ts";
import { recordOf } from "./codec/received-publish.ts";
import { TopicNames } from "./codec/topic-names.ts";
import type { Proof } from "./connection/authentication.ts";
import { Channel } from "./connection/channel.ts";
import type { ChannelHost } from "./connection/channel-host.ts";
import { ConnectRate } from "./connection/connect-rate.ts";
import { type Admission, admit } from "./connection/connecting.ts";
import { ConnectingChannels } from "./connection/connecting-channels.ts";
import { farewell, referenceFor } from "./connection/farewell.ts";
import { type Counters, newCounters } from "./counters.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { AcknowledgementPool } from "./inbound/acknowledgements.ts";
import type { BrokerOptions, ListenerOptions } from "./options.ts";
import { LocalDelivery } from "./outbound/local-delivery.ts";
import { LogOrLive } from "./outbound/log-or-live.ts";
import { BatchPool } from "./outbound/outbound-batch.ts";
import type { BrokerPorts } from "./ports.ts";
import { ClaimedSessions } from "./sessions/claimed-sessions.ts";
import type { ClientSession } from "./sessions/client-session.ts";
import { QueueBudget } from "./sessions/queue-budget.ts";
import type { Session } from "./sessions/session.ts";
import type { KeeperPorts, SessionKeeper } from "./sessions/session-keeper.ts";
import { Sessions } from "./sessions/sessions.ts";
import { Standstill } from "./standstill.ts";
import { Subscriptions } from "./subscriptions/subscriptions.ts";
import { SystemTopics } from "./system/system-topics.ts";
import { TopicLimits } from "./topic-limits.ts";
import { UNAWAITED } from "./unawaited.ts";

export class Broker {
  readonly #ports: BrokerPorts;
  readonly #counters = newCounters();
  readonly #frames = new PublishFrames();
  readonly #subscriptions: Subscriptions;
  readonly #local: LocalDelivery;
  readonly #sessions: SessionKeeper;
  readonly #store: SessionStore | undefined;
  readonly #logOrLive: LogOrLive | undefined;
  readonly #system: SystemTopics;
  readonly #channels = new Set<Channel>();
  readonly #connecting: ConnectingChannels;
  readonly #connectRate: ConnectRate;
  readonly #wheel: DeadlineWheel<Channel>;
  readonly #host: ChannelHost<Channel>;
  readonly #flushAtTurnEnd = () => this.flush();
  #dirty: Channel[] = [];
  #flushed: Channel[] = [];
  #isFlushAsked = false;
  readonly #standstill: Standstill;
  #clientCount = 0;
  #clientsMax = 0;
  #isShuttingDown = false;

  constructor(options: BrokerOptions, ports: BrokerPorts) {
    const { clock, retained, interest } = ports;
    this.#ports = ports;
    this.#subscriptions = new Subscriptions(options, interest);
    this.#connecting = new ConnectingChannels(options, this.#counters);
    this.#local = new LocalDelivery(this.#subscriptions, this.#frames);
    this.#connectRate = new ConnectRate(options.connectsPerSecondMax, options.connectsBurstMax);
    const startedAt = clock.monotonicMs();
    this.#standstill = new Standstill(startedAt);
    this.#system = this.#makeSystemTopics(options.systemIntervalSeconds, startedAt);
    this.#wheel = new DeadlineWheel(startedAt, (channel, now) => channel.deadline(now));
    this.#store = ports.sessions;
    this.#logOrLive = this.#store === undefined ? undefined : new LogOrLive(this.#store);
    this.#sessions = this.#makeSessions({
      options,
      counters: this.#counters,
      retained,
      system: this.#system,
      clock,
      frames: this.#frames,
      queueBudget: new QueueBudget(options.queuedTotalBytesMax),
      ended: (session) => this.#subscriptions.removeAll(session),
    });
    this.#host = this.#makeHost(options, clock);
  }

  /** What happened since the start. */
  get counters(): Readonly<Counters> {
    return this.#counters;
  }

  /** Connected clients (after CONNACK). */
  get clientCount(): number {
    return this.#clientCount;
  }

  /** Connected clients that came in on `localAddress`. */
  clientsOn(localAddress: string): number {
    let count = 0;
    for (const { isConnected, stream } of this.#channels)
      if (isConnected && stream.localAddress === localAddress) count++;
    return count;
  }

  /** Sessions, connected or not; where the mesh keeps sessions, all of those. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Takes a new connection. It is reset at once while the broker shuts down or is full, or if too many come from its address
   * (never a transient refusal, P11), and at its CONNECT if that may be older than a standstill of this process.
   */
  accept(stream: Stream, listener: ListenerOptions): void {
    const { options, clock } = this.#host;
    const isFull = this.#isShuttingDown || this.#channels.size >= options.connectionsMax;
    if (isFull || !this.#connectRate.admits(stream.remoteAddress, clock.monotonicMs())) {
      this.#connecting.refuse(stream);
      return;
    }
    this.#counters.connectionsAccepted++;
    const channel = new Channel(stream, listener, this.#host);
    this.#channels.add(channel);
    this.#connecting.add(channel);
    stream.start(channel);
  }

  /** Gives a message that was published on another node to every local subscriber that is not in a shared subscription. */
  deliver(message: ApplicationMessage): void {
    this.#local.deliver(message, undefined);
  }

  /** Does so with each of the messages in `packets`. Returns how many they were. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  deliverPackets(packets: PublishBytes): number {
    return this.#local.deliverPackets(packets);
  }

  /**
   * Gives it to one local member of `sharedFilter` (`$share/name/filter`) that does not get it from the log. False: there is none (any
   * more).
   */
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean {
    return this.#subscriptions.deliverShared(sharedFilter, message);
  }

  /** No node has such a member any more. Returns the parts `done` will be settled for. */
  unserved(sharedFilter: string, message: ApplicationMessage, done: Completion | undefined): number {
    return this.#store?.deal(sharedFilter, message, done) ?? 0;
  }

  /**
   * Gives local subscribers a message that all nodes get from the log: a will, or one that the client `publisherClientId` has published with
   * QoS 2 in a session that the mesh keeps. Such sessions get from the log what they are owed, so only QoS 0 goes to them here.
   * `isFirstHand`: this node has put it there, so it also picks the members of shared subscriptions, but for those that the log has `dealt`.
   */
  deliverFromLog(
    message: ApplicationMessage,
    publisherClientId: string | undefined,
    isFirstHand: boolean,
    dealt: readonly string[],
  ): void {
    this.#local.deliver(message, this.#sessionOf(publisherClientId));
    if (isFirstHand) this.#ports.forwarder.forwardShared(message, dealt);
  }

  /**
   * Gives local subscribers a message that comes before the log has it, because there is no quorum: to sessions that the mesh keeps what
   * they will be owed, and with `isForEverybody` to all others, too. `name`: see SessionHolder.placed. `onlyFor`: nobody but this
   * client's session gets it.
   */
  deliverEarly(
    message: ApplicationMessage,
    publisherClientId: string | undefined,
    name: string,
    isForEverybody: boolean,
    onlyFor?: string,
  ): void {
    const publisher = this.#sessionOf(publisherClientId);
    const only = this.#sessionOf(onlyFor);
    if (onlyFor !== undefined && only === undefined) return;
    if (isForEverybody && only === undefined) this.#local.deliver(message, publisher);
    this.#local.deliverEarly(message, publisher, name, only);
  }

  /** The mesh has found no room for a message of this node in a queue that it keeps. */
  countRefused(): void {
    this.#counters.queueFullDropped++;
  }

  /** Publishes a message of this node itself (a command line) as a client would. Returns the parts `done` will be settled for. */
  publish(message: ApplicationMessage, done: Completion | undefined): number {
    return this.#publish(message, undefined, done);
  }

  /** Drives keep-alive, connect timeout, wills and expiry. Call it about every 250 ms. */
  tick(now: MonotonicMs): void {
    // After a standstill the packets of all that time are still unread: read them before judging anyone's silence.
    if (this.#standstill.tick(now)) return;
    this.#wheel.advance(now);
    this.#sessions.tick(now);
    // They are this node's: neither forwarded nor stored.
    if (this.#system.tick(now) && this.#subscriptions.systemCount > 0)
      this.#system.changes((message) => this.#local.deliver(message, undefined));
  }

  /** Writes the gathered output of every connection. Called through `clock.atTurnEnd`. */
  flush(): void {
    this.#isFlushAsked = false;
    const channels = this.#dirty;
    this.#dirty = this.#flushed;
    for (const channel of channels) channel.flush();
    channels.length = 0;
    this.#flushed = channels;
    this.#frames.clear();
  }

  /**
   * Resets every client connected to `localAddress`, 5.0 clients with DISCONNECT first: before the floating address moves.
   * `serverReference` is as with {@link shutdown}. Their wills are deferred, not published: the clients are about to come back on another node, and a
   * will that came after that would declare them dead (P9).
   */
  resetClientsOn(localAddress: string, serverReference: string | undefined): void {
    for (const channel of [...this.#channels]) {
      const reference = referenceFor(channel.listener, serverReference);
      if (channel.stream.localAddress === localAddress)
        channel.reset(farewell(reference), "defer", reference);
    }
  }

  /** The connections on `localAddress`: their other ends, and the ports they came in on. */
  *connectionsOn(
    localAddress: string,
  ): Iterable<{ readonly remoteAddress: string; readonly serverPort: number }> {
    for (const { stream, listener } of this.#channels) {
      if (stream.localAddress === localAddress && listener.port !== undefined)
        yield { remoteAddress: stream.remoteAddress, serverPort: listener.port };
    }
  }

  /**
   * Ends every connection, and resets those that come later. 5.0 clients hear DISCONNECT 0x8B, or 0x9C with `serverReference`
   * (MQTT 5 section 4.11: `host:port`, several separated by spaces) if there is one. Wills are not published:
   * a server that shuts down may defer them (MQTT 5 section 3.1.2.5), and its clients go to another node now.
   */
  shutdown(serverReference: string | undefined): void {
    this.#isShuttingDown = true;
    for (const channel of [...this.#channels]) {
      const reference = referenceFor(channel.listener, serverReference);
      channel.disconnect(farewell(reference), "defer", reference);
    }
  }

  /**
   * Ends every connection, because this server goes for good: 5.0 clients hear DISCONNECT 0x8B, or 0x9D with `serverReference`.
   * Wills are as with {@link shutdown}. Who comes later is served: it may stay after all.
   */
  sendAway(serverReference: string | undefined): void {
    for (const channel of [...this.#channels]) {
      const reference = referenceFor(channel.listener, serverReference);
      const code = reference === undefined ? ReasonCode.ServerShuttingDown : ReasonCode.ServerMoved;
      channel.disconnect(code, "defer", reference);
    }
  }

  #publish(
    message: ApplicationMessage,
    publisher: ClientSession | undefined,
    done: Completion | undefined,
  ): number {
    const { forwarder, retained } = this.#ports;
    const store = this.#store;
    const awaited = message.qos === 0 ? undefined : done;
    this.#local.deliver(message, publisher);
    const choice = message.qos > 0 && store?.wants(message.topic) === true ? this.#logOrLive : undefined;
    const parts = forwarder.forward(message, awaited, choice);
    if (store !== undefined && choice !== undefined)
      return parts + store.publish(recordOf(message), publisher?.clientId, choice.take(), awaited);
    return message.retain ? parts + retained.put(recordOf(message), awaited) : parts;
  }

  #sessionOf(clientId: string | undefined): ClientSession | undefined {
    return clientId === undefined ? undefined : this.#sessions.find(clientId);
  }

  #publishWill(session: Session): void {
    if (session.will !== undefined) this.#publish(session.will.message, session, UNAWAITED);
  }

  #markDirty(channel: Channel): void {
    this.#dirty.push(channel);
    if (this.#isFlushAsked) return;
    this.#isFlushAsked = true;
    this.#ports.clock.atTurnEnd(this.#flushAtTurnEnd);
  }

  #connect(channel: Channel, packet: ConnectPacket, proof: Proof | undefined): void {
    if (this.#standstill.mayBeOld(this.#ports.clock.monotonicMs())) {
      this.#connecting.reset(channel);
      return;
    }
    this.#connecting.delete(channel);
    const admission = admit(channel, packet, this.#host.options, this.#sessions, this.#ports.prng, proof);
    if (admission !== undefined) this.#sessions.open(admission, channel);
  }

  #connected({ listener, stream: { remoteAddress } }: Channel, { clientId, userName }: Admission): void {
    this.#clientsMax = Math.max(this.#clientsMax, ++this.#clientCount);
    this.#counters.clientsConnected++;
    this.#ports.log.debug({ clientId, userName, remoteAddress, listener: listener.name }, "client connected");
  }

  #detach(session: ClientSession, fate: WillFate): void {
    this.#clientCount--;
    this.#sessions.detach(session, fate);
  }

  #makeSessions(ports: KeeperPorts): SessionKeeper {
    if (this.#store === undefined)
      return new Sessions({ ...ports, publishWill: (session) => this.#publishWill(session) });
    return new ClaimedSessions(this.#store, { ...ports, subscriptions: this.#subscriptions });
  }

  #makeSystemTopics(intervalSeconds: number, startedAt: MonotonicMs): SystemTopics {
    const { clock, retained, node } = this.#ports;
    return new SystemTopics(intervalSeconds, startedAt, {
      counters: this.#counters,
      node,
      figures: () => ({
        uptimeMs: clock.monotonicMs() - startedAt,
        connections: this.#channels,
        clients: this.#clientCount,
        clientsMax: this.#clientsMax,
        sessions: this.#sessions.size,
        subscriptions: this.#subscriptions.count,
        sharedSubscriptions: this.#subscriptions.sharedCount,
        retained: retained.count,
        queued: this.#sessions.queued,
        storedBytes: retained.bytes + this.#sessions.queuedBytes,
      }),
    });
  }

  #makeHost(options: BrokerOptions, clock: Pick<Clock, "monotonicMs">): ChannelHost<Channel> {
    const { log, authenticator } = this.#ports;
    const limits = new TopicLimits(options);
    return {
      options,
      clock,
      batches: new BatchPool(),
      authenticator,
      mayAuthenticate: (channel) => this.#connecting.mayAuthenticate(channel),
      counters: this.#counters,
      topics: new TopicNames((topic) => limits.allow(topic)),
      acknowledgementPool: new AcknowledgementPool(),
      subscriptions: this.#subscriptions,
      fields: new FieldReader(),
      publishPacket: new PublishPacket(),
      publish: (message, publisher, done) => this.#publish(message, publisher, done),
      connect: (channel, packet, proof) => this.#connect(channel, packet, proof),
      markDirty: (channel) => this.#markDirty(channel),
      connected: (channel, admission) => this.#connected(channel, admission),
      detach: (session, fate) => this.#detach(session, fate),
      wakeAt: (channel, at) => this.#wheel.set(channel, at),
      takenOver: ({ clientId = "", stream }, by) => {
        this.#ports.takenOver?.(clientId, stream.remoteAddress, by);
      },
      gone: (channel) => {
        this.#channels.delete(channel);
        this.#connecting.delete(channel);
        this.#wheel.delete(channel);
      },
      faulted: (channel, reasonCode, cause) => {
        this.#counters.clientFaults++;
        const { clientId, listener, stream } = channel;
        const { remoteAddress, identity } = stream;
        const who = { clientId, identity, remoteAddress, listener: listener.name };
        log.debug({ ...who, reasonCode, cause }, "client refused");
      },
    };
  }
}
