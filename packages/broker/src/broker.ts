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
  QoS,
  Stream,
  StreamHandler,
} from "@skein/kernel";
import { AcknowledgementPool } from "./acknowledgements.ts";
import type { Proof } from "./authentication.ts";
import { Channel } from "./channel.ts";
import type { ChannelHost } from "./channel-host.ts";
import type { ConnectPacket } from "./codec/connect-packet.ts";
import { PublishFrames } from "./codec/publish-encoder.ts";
import { PublishPacket } from "./codec/publish-packet.ts";
import { ReasonCode } from "./codec/reason-codes.ts";
import { TopicNames } from "./codec/topic-names.ts";
import { ConnectRate } from "./connect-rate.ts";
import { admit } from "./connecting.ts";
import { type Counters, newCounters } from "./counters.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import type { BrokerOptions, ListenerOptions } from "./options.ts";
import { BatchPool } from "./outbound-batch.ts";
import type { BrokerPorts } from "./ports.ts";
import { QueueBudget } from "./queue-budget.ts";
import type { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { Subscriptions } from "./subscriptions.ts";
import { SystemRetained } from "./system/system-retained.ts";
import { isSystemTopic, SystemTopics } from "./system/system-topics.ts";
import { TopicLimits } from "./topic-limits.ts";
import type { WillFate } from "./will.ts";

/** A gap between ticks from which on this process must have stood still, so that silence is not the clients' fault. */
const STALL_MS = 2_000;
/** Wills are published for a client that is gone: nobody waits for their acknowledgement. */
const UNAWAITED: Completion = { settle() {} };
/** Hears what comes from a connection that is reset at once. */
const IGNORED: StreamHandler = { received() {}, drained() {}, closed() {} };

export class Broker {
  readonly #ports: BrokerPorts;
  readonly #counters = newCounters();
  readonly #frames = new PublishFrames();
  readonly #subscriptions: Subscriptions;
  readonly #sessions: Sessions;
  readonly #system: SystemTopics;
  readonly #channels = new Set<Channel>();
  /** Those without a CONNACK, the oldest first. */
  readonly #connecting = new Set<Channel>();
  /** Those of them that authenticate. */
  readonly #authenticating = new Set<Channel>();
  readonly #connectRate: ConnectRate;
  readonly #wheel: DeadlineWheel<Channel>;
  readonly #host: ChannelHost<Channel>;
  readonly #flushAtTurnEnd = () => this.flush();
  #dirty: Channel[] = [];
  #flushed: Channel[] = [];
  #isFlushAsked = false;
  #lastTick: MonotonicMs;
  #clientCount = 0;
  #clientsMax = 0;
  #isShuttingDown = false;

  constructor(options: BrokerOptions, ports: BrokerPorts) {
    const { clock, retained, interest } = ports;
    this.#ports = ports;
    this.#subscriptions = new Subscriptions(options, interest);
    this.#connectRate = new ConnectRate(options.connectsPerSecondMax, options.connectsBurstMax);
    this.#lastTick = clock.monotonicMs();
    this.#system = this.#makeSystemTopics(options.systemIntervalSeconds, this.#lastTick);
    this.#wheel = new DeadlineWheel(this.#lastTick, (channel, now) => channel.deadline(now));
    this.#sessions = new Sessions({
      options,
      counters: this.#counters,
      retained: new SystemRetained(retained, this.#system),
      clock,
      frames: this.#frames,
      queueBudget: new QueueBudget(options.queuedTotalBytesMax),
      publishWill: (session) => this.#publishWill(session),
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
    for (const { clientId, stream } of this.#channels)
      if (clientId !== undefined && stream.localAddress === localAddress) count++;
    return count;
  }

  /** Sessions, connected or not. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Takes a new connection. It is reset at once while the broker shuts down or is full, or if too many come from its address
   * (never a transient refusal, P11).
   */
  accept(stream: Stream, listener: ListenerOptions): void {
    const { options, clock } = this.#host;
    const isFull = this.#isShuttingDown || this.#channels.size >= options.connectionsMax;
    if (isFull || !this.#connectRate.admits(stream.remoteAddress, clock.monotonicMs())) {
      this.#counters.connectionsRefused++;
      stream.start(IGNORED);
      stream.reset();
      return;
    }
    if (this.#connecting.size >= options.connectingMax) this.#resetOldestConnecting();
    this.#counters.connectionsAccepted++;
    const channel = new Channel(stream, listener, this.#host);
    this.#channels.add(channel);
    this.#connecting.add(channel);
    stream.start(channel);
  }

  /** Gives a message that was published on another node to every local subscriber that is not in a shared subscription. */
  deliver(message: ApplicationMessage): void {
    this.#deliverLocally(message, undefined);
  }

  /** Gives it to one local member of `sharedFilter` (`$share/name/filter`). False: there is none (any more). */
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean {
    return this.#subscriptions.deliverShared(sharedFilter, message);
  }

  /**
   * Publishes a message of this node itself (a command line) as a client would.
   * Returns the parts `done` will be settled for.
   */
  publish(message: ApplicationMessage, done: Completion | undefined): number {
    return this.#publish(message, undefined, done);
  }

  /** Drives keep-alive, connect timeout, wills and expiry. Call it about every 250 ms. */
  tick(now: MonotonicMs): void {
    const hasStalled = now - this.#lastTick > STALL_MS;
    this.#lastTick = now;
    // After a standstill the packets of all that time are still unread: read them before judging anyone's silence.
    if (hasStalled) return;
    this.#wheel.advance(now);
    this.#sessions.tick(now);
    // They are this node's: neither forwarded nor stored.
    if (this.#system.tick(now) && this.#subscriptions.systemCount > 0)
      this.#system.changes((message) => this.#deliverLocally(message, undefined));
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
   * `serverReference` is as with {@link shutdown}. Their wills are dropped, not published: the clients are about to come back on another node, and a
   * will that came after that would declare them dead (P9; wills become mesh-wide with the sessions).
   */
  resetClientsOn(localAddress: string, serverReference: string | undefined): void {
    for (const channel of [...this.#channels]) {
      const reference = referenceFor(channel, serverReference);
      if (channel.stream.localAddress === localAddress)
        channel.reset(farewell(reference), "discard", reference);
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
      const reference = referenceFor(channel, serverReference);
      channel.disconnect(farewell(reference), "discard", reference);
    }
  }

  /**
   * Ends every connection, because this server goes for good: 5.0 clients hear DISCONNECT 0x8B, or 0x9D with `serverReference`.
   * Wills are as with {@link shutdown}. Who comes later is served: it may stay after all.
   */
  sendAway(serverReference: string | undefined): void {
    for (const channel of [...this.#channels]) {
      const reference = referenceFor(channel, serverReference);
      const code = reference === undefined ? ReasonCode.ServerShuttingDown : ReasonCode.ServerMoved;
      channel.disconnect(code, "discard", reference);
    }
  }

  #publish(
    message: ApplicationMessage,
    publisher: Session | undefined,
    done: Completion | undefined,
  ): number {
    const { forwarder, retained } = this.#ports;
    const awaited = message.qos === 0 ? undefined : done;
    this.#deliverLocally(message, publisher);
    const parts = forwarder.forward(message, awaited);
    return message.retain ? parts + retained.put(message, awaited) : parts;
  }

  #deliverLocally(message: ApplicationMessage, publisher: Session | undefined): void {
    for (const any of this.#subscriptions.routes(message.topic)) {
      const route = any.subscriber === publisher ? any.ofOwn : any;
      if (route === undefined) continue; // [MQTT-3.8.3-3]
      const qos = Math.min(message.qos, route.qos) as QoS; // [MQTT-3.8.4-8]
      // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
      route.subscriber.deliver(message, qos, route.retainAsPublished && message.retain, route.identifiers);
    }
  }

  #publishWill(session: Session): void {
    if (session.will !== undefined && !isSystemTopic(session.will.message.topic))
      this.#publish(session.will.message, session, UNAWAITED);
  }

  #markDirty(channel: Channel): void {
    this.#dirty.push(channel);
    if (this.#isFlushAsked) return;
    this.#isFlushAsked = true;
    this.#ports.clock.atTurnEnd(this.#flushAtTurnEnd);
  }

  /** Whoever has said nothing for the longest time makes room for who has just come. */
  #resetOldestConnecting(): void {
    for (const channel of this.#connecting) {
      this.#counters.connectionsRefused++;
      this.#noLongerConnecting(channel);
      channel.reset(ReasonCode.QuotaExceeded, "discard");
      return;
    }
  }

  #noLongerConnecting(channel: Channel): void {
    this.#connecting.delete(channel);
    this.#authenticating.delete(channel);
  }

  #mayAuthenticate(channel: Channel): boolean {
    if (this.#authenticating.size >= this.#host.options.authenticatingMax) {
      this.#counters.connectionsRefused++;
      return false;
    }
    this.#authenticating.add(channel);
    return true;
  }

  #connect(channel: Channel, packet: ConnectPacket, proof: Proof | undefined): void {
    const { prng, log } = this.#ports;
    this.#noLongerConnecting(channel);
    if (admit(channel, packet, this.#host.options, this.#sessions, prng, proof)) {
      this.#clientsMax = Math.max(this.#clientsMax, ++this.#clientCount);
      this.#counters.clientsConnected++;
      const { clientId, listener, stream } = channel;
      const { remoteAddress, identity } = stream;
      // What it has proved comes before what it says, which nobody has checked yet.
      const userName = proof?.identity ?? identity ?? packet.username;
      log.debug({ clientId, userName, remoteAddress, listener: listener.name }, "client connected");
    }
  }

  #detach(session: Session, fate: WillFate): void {
    this.#clientCount--;
    this.#sessions.detach(session, fate);
  }

  #makeSystemTopics(intervalSeconds: number, startedAt: MonotonicMs): SystemTopics {
    const { clock, retained, node } = this.#ports;
    return new SystemTopics(intervalSeconds, startedAt, {
      counters: this.#counters,
      node,
      figures: () => ({
        uptimeMs: clock.monotonicMs() - startedAt,
        connections: this.#channels.size,
        clients: this.#clientCount,
        clientsMax: this.#clientsMax,
        sessions: this.#sessions.size,
        subscriptions: this.#subscriptions.count,
        sharedSubscriptions: this.#subscriptions.sharedCount,
        retained: retained.count,
        queued: this.#sessions.queued,
      }),
    });
  }

  #makeHost(options: BrokerOptions, clock: Pick<Clock, "monotonicMs">): ChannelHost<Channel> {
    const { log, authenticator } = this.#ports;
    const limits = new TopicLimits(options);
    return {
      options,
      clock,
      frames: this.#frames,
      batches: new BatchPool(),
      authenticator,
      mayAuthenticate: (channel) => this.#mayAuthenticate(channel),
      counters: this.#counters,
      topics: new TopicNames((topic) => limits.allow(topic)),
      acknowledgementPool: new AcknowledgementPool(),
      subscriptions: this.#subscriptions,
      publishPacket: new PublishPacket(),
      publish: (message, publisher, done) => this.#publish(message, publisher, done),
      connect: (channel, packet, proof) => this.#connect(channel, packet, proof),
      markDirty: (channel) => this.#markDirty(channel),
      detach: (session, fate) => this.#detach(session, fate),
      wakeAt: (channel, at) => this.#wheel.set(channel, at),
      takenOver: ({ clientId = "", stream }, by) => {
        this.#ports.takenOver?.(clientId, stream.remoteAddress, by);
      },
      gone: (channel) => {
        this.#channels.delete(channel);
        this.#noLongerConnecting(channel);
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

/** Other nodes are named by their ports for plain MQTT: not to clients that came in another way, an encrypted one perhaps. */
function referenceFor({ listener }: Channel, serverReference: string | undefined): string | undefined {
  return listener.isPlain === false ? undefined : serverReference;
}

/**
 * What 5.0 clients are told when their connection must end. Section 4.11: they may go elsewhere, and lose nothing if they do
 * not. A CONNACK with that code would turn them away, and is never sent (P11).
 */
function farewell(serverReference: string | undefined): number {
  return serverReference === undefined ? ReasonCode.ServerShuttingDown : ReasonCode.UseAnotherServer;
}
