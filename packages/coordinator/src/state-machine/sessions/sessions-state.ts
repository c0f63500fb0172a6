/**
 * All sessions of the mesh, as the log has made them: claimed, subscribed, owed messages, left, ended.
 *
 * Each method is one command, carried out the same way on every node: no clock but the log's, nothing in order of
 * arrival. A command of a connection that no longer owns its session is `stale` and changes nothing, but that what its client has got it has got. What the commands
 * publish (wills, and QoS 2 messages of kept sessions) is collected for the live subscribers of every node.
 *
 * Source: reference design, section 4.3; MQTT 5 sections 3.1.2, 3.1.4, 4.1, 4.3, 4.8.2.
 */

import type { ApplicationMessage, KeptSubscription, NodeId, SessionOpening, WillFate } from "@skein/kernel";
import type { Stamp } from "../../hybrid-clock.ts";
import { AbsentSessions } from "./absent-sessions.ts";
import { type EndedBy, EndedSessions } from "./ended-sessions.ts";
import type { OwedMessages } from "./owed-messages.ts";
import type { PassedSessions } from "./passed-sessions.ts";
import type { Publication, PublishingPort, SessionOutcome } from "./publishing-port.ts";
import { Queueing } from "./queueing.ts";
import { type Brought, takeLate, takeOnce } from "./repeated-messages.ts";
import { RunningHash } from "./running-hash.ts";
import { type Routes, SessionRoutes } from "./session-routes.ts";
import { type SessionOwner, SessionState, type Standing } from "./session-state.ts";
import { SessionTime } from "./session-time.ts";
import type { SavedSessions } from "./sessions-snapshot.ts";
import type { SharedTurns } from "./shared-turns.ts";
import type { Arrived } from "./staged-sessions.ts";
import { inOwnTerms, type MergeTerms, TakenOver, unite } from "./unite-sessions.ts";

export class SessionsState {
  readonly time = new SessionTime();
  readonly routes = new SessionRoutes();
  readonly hash = new RunningHash();
  /** Sessions without a connection. */
  readonly absent = new AbsentSessions();
  readonly ended = new EndedSessions();
  readonly #byClientId = new Map<string, SessionState>();
  readonly #port: PublishingPort;
  readonly #queueing: Queueing;
  #publications: Publication[] = [];
  /** Sessions that the command under way has changed, for this node's connections. */
  #changed = new Set<SessionState>();

  constructor(port: PublishingPort) {
    this.#port = port;
    const grown = (session: SessionState): void => this.#touch(session);
    this.#queueing = new Queueing({
      routes: this.routes,
      index: () => port.index(),
      owedBytesMax: () => port.owedBytesMax(),
      retained: (filter, visit) => port.retained(filter, visit),
      grown,
    });
  }

  get count(): number {
    return this.#byClientId.size;
  }

  get owed(): OwedMessages {
    return this.#queueing.messages;
  }

  get passed(): PassedSessions {
    return this.#queueing.passed;
  }

  get shared(): SharedTurns {
    return this.#queueing.shared;
  }

  /** Nothing is due before (SessionTime, ms). */
  get nextDue(): number {
    return this.absent.nextDue;
  }

  get(clientId: string): SessionState | undefined {
    return this.#byClientId.get(clientId);
  }

  all(): Iterable<SessionState> {
    return this.#byClientId.values();
  }

  /** What was published since the last call. */
  takePublications(): readonly Publication[] {
    const publications = this.#publications;
    if (publications.length > 0) this.#publications = [];
    return publications;
  }

  /** Sessions that were changed since the last call. */
  takeChanged(): ReadonlySet<SessionState> {
    const changed = this.#changed;
    if (changed.size > 0) this.#changed = new Set();
    return changed;
  }

  /** Whether a message of `topic` goes into any queue. */
  wants(topic: string): boolean {
    return this.routes.match(topic).isWanted;
  }

  open(opening: SessionOpening, owner: SessionOwner, claimedAt: Stamp): SessionOutcome {
    const { clientId, cleanStart } = opening;
    const older = this.#byClientId.get(clientId);
    // It was held back by a partition, and its client has been elsewhere since: is there, or has gone again. One node's claims come in their order.
    const isOvertaken =
      older !== undefined && older.owner?.node !== owner.node && older.claimedAt > claimedAt;
    if (isOvertaken && !cleanStart) older.overtaken(owner);
    if (isOvertaken) return "stale";
    if (older !== undefined) this.#endClaim(older, cleanStart);
    const isPresent = older?.isKept === true && !cleanStart;
    const session = older ?? this.#add(clientId);
    if (!isPresent) this.#empty(session);
    session.claim(opening, owner, claimedAt, isPresent);
    this.#touch(session);
    return "applied";
  }

  close(
    clientId: string,
    owner: SessionOwner,
    fate: WillFate,
    expirySeconds: number,
    sentThrough: number,
  ): SessionOutcome {
    const session = this.#owned(clientId, owner, "owner");
    if (session === undefined) return "stale";
    session.close(expirySeconds, sentThrough);
    this.#leave(session, fate);
    return "applied";
  }

  /** A process is gone, with all earlier ones of its node: its clients have time to come back elsewhere. */
  nodeGone(node: NodeId, incarnation: number): boolean {
    const left = [...this.#byClientId.values()].filter(
      ({ owner }) => owner?.node === node && owner.incarnation <= incarnation,
    );
    for (const session of left.sort((a, b) => (a.clientId < b.clientId ? -1 : 1))) {
      session.assumeSent();
      session.forgetAwaited();
      this.#leave(session, "defer");
    }
    return left.length > 0;
  }

  subscribe(
    clientId: string,
    owner: SessionOwner,
    wishes: readonly (KeptSubscription & { readonly retainHandling: number })[],
  ): SessionOutcome {
    const session = this.#owned(clientId, owner, "last");
    if (session === undefined) return "stale";
    for (const { retainHandling, ...subscription } of wishes) {
      const { filter } = subscription;
      const isNew = !session.subscriptions.has(filter);
      this.#subscribe(session, subscription);
      const isReplayed = retainHandling === 0 || (retainHandling === 1 && isNew);
      if (isReplayed && !filter.startsWith("$share/"))
        this.#queueing.replay(session, subscription, this.time.elapsed);
    }
    this.#touch(session);
    return "applied";
  }

  unsubscribe(clientId: string, owner: SessionOwner, filters: readonly string[]): SessionOutcome {
    const session = this.#owned(clientId, owner, "last");
    if (session === undefined) return "stale";
    for (const filter of filters) this.routes.delete(session, filter);
    this.#touch(session);
    return "applied";
  }

  /** Messages the client has got. */
  acknowledge(clientId: string, owner: SessionOwner, ordinals: readonly number[]): SessionOutcome {
    const session = this.#owned(clientId, owner, "former");
    if (session === undefined) return "stale";
    for (const ordinal of ordinals) session.queue.remove(ordinal);
    this.#note(session);
    return "applied";
  }

  /** PUBREC of the client for a message owed. */
  confirm(clientId: string, owner: SessionOwner, ordinal: number): SessionOutcome {
    const session = this.#owned(clientId, owner, "former");
    if (session === undefined) return "stale";
    session.queue.release(ordinal);
    this.#note(session);
    return "applied";
  }

  /** A message for whoever wants it, however often it is published. */
  publish(
    message: ApplicationMessage,
    publisher: string | undefined,
    served: readonly string[],
  ): SessionOutcome {
    let outcome: SessionOutcome = "applied";
    const isRetained = !message.retain || this.#port.retain(message);
    const { sessions, shared } = message.qos === 0 ? NO_ROUTES : this.routes.match(message.topic);
    if (sessions.length === 0 && shared.length === 0) return isRetained ? outcome : "full";
    const offered = this.#queueing.offer(message, this.time.elapsed);
    const { had = NOBODY } = this.#port.alone() ?? {};
    for (const route of sessions) {
      const own = route.session.clientId === publisher ? route.ofOwn : route;
      if (own === undefined || had.includes(route.session.clientId)) continue;
      if (!this.#queueing.give(offered, own)) outcome = "passed";
    }
    for (const filter of shared)
      if (!served.includes(filter) && !this.#queueing.deal(filter, offered)) outcome = "passed";
    this.#queueing.letGo(offered);
    return isRetained ? outcome : "full";
  }

  /** A message for one member of a shared subscription. */
  deal(sharedFilter: string, message: ApplicationMessage): SessionOutcome {
    const offered = this.#queueing.offer(message, this.time.elapsed);
    const isDealt = this.#queueing.deal(sharedFilter, offered);
    this.#queueing.letGo(offered);
    return isDealt ? "applied" : "passed";
  }

  /**
   * A QoS 2 message of a session, for everybody, once. One whose connection is over, but which was acknowledged without a quorum, must
   * not be lost, and comes in its order: it goes into the queues. Unless its client has sent it here as well (repeated-messages.ts).
   */
  publishOnce(clientId: string, owner: SessionOwner, brought: Brought): SessionOutcome {
    const session = this.#owned(clientId, owner, "last");
    if (session === undefined)
      return this.#port.alone()?.isAcknowledged === true ? this.#publishLate(clientId, brought) : "stale";
    const publish = (): SessionOutcome => this.#publishToAll(brought.message, clientId);
    const outcome = takeOnce(session, brought, this.#port, publish);
    this.#note(session);
    return outcome;
  }

  /** PUBREL of the client. */
  release(clientId: string, owner: SessionOwner, packetId: number): SessionOutcome {
    const session = this.#owned(clientId, owner, "last");
    if (session === undefined) return "stale";
    session.released(packetId);
    this.#note(session);
    return "applied";
  }

  /** Publishes wills and ends sessions whose time has come. */
  advance(): void {
    const now = this.time.elapsed;
    if (now < this.nextDue) return;
    for (const session of this.absent.due(now)) {
      if (session.willAt !== undefined && session.willAt <= now) this.#publishWill(session);
      if (session.endsAt !== undefined && session.endsAt <= now) this.#end(session, "expiry");
      this.#note(session);
    }
    this.absent.plan();
  }

  /** The sessions of a cluster that was merged. Returns how many messages of them found no room. */
  takeIn(arrived: Arrived, terms: MergeTerms): number {
    const now = this.time.elapsed;
    const touched: SessionState[] = [];
    const takenOver = new TakenOver(arrived, this.owed, this.#port.owedBytesMax(), now);
    const messages = { own: this.owed, takenOver };
    let refused = 0;
    for (const theirs of inOwnTerms(arrived, terms, now)) {
      const ours = this.#byClientId.get(theirs.clientId);
      const session = ours ?? this.#add(theirs.clientId);
      const united = unite(session, ours?.save(), theirs, terms, messages, now);
      for (const subscription of united.added) this.#subscribe(session, subscription);
      refused += united.refused;
      this.#touch(session);
      touched.push(session);
    }
    takenOver.close();
    for (const session of touched) if (session.owner === undefined) this.#queueing.reassign(session);
    this.#endSurplus();
    return refused;
  }

  /** Replaces everything. */
  restore({ elapsed, hash, turns, messages, sessions, absent }: SavedSessions): void {
    // Not one by one: those that were here are never looked at again, and what they were owed goes with its slabs.
    this.routes.clear();
    this.#byClientId.clear();
    this.#queueing.restore(messages);
    this.absent.clear();
    this.#publications = [];
    this.time.restore(elapsed);
    this.hash.restore(hash);
    this.shared.restore(turns);
    for (const saved of sessions) {
      const session = this.#add(saved.clientId);
      session.restore(saved);
      for (const subscription of saved.subscriptions) this.routes.set(session, subscription);
    }
    for (const place of absent) {
      const session = this.#byClientId.get(sessions[place]?.clientId ?? "");
      if (session !== undefined) this.absent.note(session);
    }
  }

  /** Its ordinals begin at the log index: a client that did not hear of the end of its last session still holds identifiers of that. */
  #add(clientId: string): SessionState {
    const session = new SessionState(clientId, this.owed, this.#port.index());
    this.#byClientId.set(clientId, session);
    return session;
  }

  #subscribe(session: SessionState, subscription: KeptSubscription): void {
    this.routes.set(session, subscription);
    this.hash.add(`${subscription.filter} ${subscription.qos}`);
  }

  #owned(clientId: string, owner: SessionOwner, standing: Standing): SessionState | undefined {
    const session = this.#byClientId.get(clientId);
    return session?.hears(owner, standing) === true ? session : undefined;
  }

  /** A newer claim has come. A will that waits because a node is gone, or whose client is still held elsewhere, is taken back. */
  #endClaim(session: SessionState, cleanStart: boolean): void {
    const isPending = session.willAt !== undefined && !session.isWillDeferred;
    // [MQTT-3.1.3-9] takes it back, unless the session ends with a clean start [MQTT-3.1.2-8].
    if (isPending && cleanStart) this.#publishWill(session);
    if (session.owner !== undefined) session.assumeSent();
  }

  /** The connection of `session` has ended. */
  #leave(session: SessionState, fate: WillFate): void {
    session.leave(fate, this.time.elapsed);
    this.#touch(session);
    this.#queueing.reassign(session);
    this.advance();
    this.#endSurplus();
  }

  #endSurplus(): void {
    for (const session of this.absent.surplus()) this.#end(session, "surplus");
  }

  #publishWill(session: SessionState): void {
    const { will, clientId } = session;
    session.will = undefined;
    session.willAt = undefined;
    session.isWillDeferred = false;
    if (will === undefined) return;
    this.#publishToAll(will.message, clientId);
  }

  #end(session: SessionState, by: EndedBy): void {
    this.ended.count(session, by);
    if (session.willAt !== undefined) this.#publishWill(session); // [MQTT-3.1.2-8]
    this.#empty(session);
    this.#byClientId.delete(session.clientId);
    this.absent.delete(session);
    this.#touch(session);
  }

  #empty(session: SessionState): void {
    for (const filter of [...session.subscriptions.keys()]) this.routes.delete(session, filter);
    session.empty();
  }

  /** It was acknowledged without a quorum. */
  #publishLate(clientId: string, brought: Brought): SessionOutcome {
    const publish = (): SessionOutcome => this.publish(brought.message, clientId, []);
    const session = this.#byClientId.get(clientId);
    if (session === undefined) return publish();
    const outcome = takeLate(session, brought, this.#port, publish);
    if (this.#port.remembersRepeated()) this.#note(session);
    return outcome;
  }

  /** Live subscribers get it, too. */
  #publishToAll(message: ApplicationMessage, publisher: string): SessionOutcome {
    const { shared } = message.qos === 0 ? NO_ROUTES : this.routes.match(message.topic);
    const dealt = shared.filter((filter) => this.routes.isDealt(filter));
    this.#publications.push({ message, publisher, dealt });
    return this.publish(message, publisher, []);
  }

  /** This node's connections must look at it. */
  #touch(session: SessionState): void {
    this.#note(session);
    this.#changed.add(session);
  }

  #note(session: SessionState): void {
    const { clientId, queue, owner, received, repeated } = session;
    if (this.#byClientId.get(clientId) === session) this.absent.note(session);
    const known = `${received.size}${repeated.at(-1)?.index ?? ""}`;
    this.hash.add(`${clientId} ${owner?.claim ?? 0} ${queue.nextOrdinal} ${queue.length} ${known}`);
  }
}

const NOBODY: readonly string[] = [];
const NO_ROUTES: Routes = { sessions: [], shared: [], isWanted: false };
