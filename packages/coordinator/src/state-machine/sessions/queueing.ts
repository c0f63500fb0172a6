/**
 * How a message gets into the queues of sessions: it is offered, put into those that want it, and let go of.
 *
 * Source: reference design, sections 4.3 and 4.4; MQTT 5 section 4.8.2.
 */

import type { ApplicationMessage, KeptSubscription } from "@skein/kernel";
import { type MessageHandle, NO_ROOM, OwedMessages } from "./owed-messages.ts";
import { PassedSessions } from "./passed-sessions.ts";
import type { PublishingPort } from "./publishing-port.ts";
import type { SessionRoute, SessionRoutes } from "./session-routes.ts";
import type { SessionState } from "./session-state.ts";
import { SharedTurns } from "./shared-turns.ts";

/** Short is a queue that owes less than this part of what all may owe. */
const SHORT_PART = 64;

/** A message on its way into queues. */
export interface Offered {
  readonly handle: MessageHandle;
  readonly message: ApplicationMessage;
}

export interface QueueingPorts extends Pick<PublishingPort, "index" | "owedBytesMax" | "retained"> {
  readonly routes: SessionRoutes;
  /** There is more in its queue. */
  readonly grown: (session: SessionState) => void;
}

export class Queueing {
  readonly shared = new SharedTurns();
  readonly passed = new PassedSessions();
  readonly #ports: QueueingPorts;
  #messages = new OwedMessages();

  constructor(ports: QueueingPorts) {
    this.#ports = ports;
  }

  get messages(): OwedMessages {
    return this.#messages;
  }

  /** What is owed is in `messages` from now on. */
  restore(messages: OwedMessages): void {
    this.#messages = messages;
  }

  /** To be put into queues, then let go of. `at`: time of the sessions, ms. */
  offer(message: ApplicationMessage, at: number): Offered {
    const handle = this.#messages.put(message, at, this.#ports.owedBytesMax());
    if (handle === NO_ROOM) this.passed.inAll++;
    return { handle, message };
  }

  /** From now on it is there for as long as a queue holds it. */
  letGo({ handle }: Offered): void {
    if (handle !== NO_ROOM) this.#messages.release(handle);
  }

  /** False: there is no room, so it passes the session by, which is counted. `group`: the shared subscription it comes by. */
  give(offered: Offered, route: Omit<SessionRoute, "ofOwn">, group?: string): boolean {
    if (this.#put(offered, route, group)) return true;
    this.passed.count(route.session.clientId, offered.message, offered.handle === NO_ROOM);
    return false;
  }

  /** Gives `messages` to one session, in order, as far as there is room for all so far; the rest passes it by, counted. `at`: as for {@link offer}. */
  giveAll(messages: readonly ApplicationMessage[], route: Omit<SessionRoute, "ofOwn">, at: number): void {
    for (const [place, message] of messages.entries()) {
      const offered = this.offer(message, at);
      const isGiven = this.give(offered, route);
      this.letGo(offered);
      if (isGiven) continue;
      const isInAll = offered.handle === NO_ROOM;
      const rest = messages.slice(place + 1);
      if (isInAll) this.passed.inAll += rest.length;
      for (const other of rest) this.passed.count(route.session.clientId, other, isInAll);
      return;
    }
  }

  /** Gives what is retained, for a new subscription. What there is no room for passes it by: it is good for all that comes later. `at`: as for {@link offer}. */
  replay(session: SessionState, { filter, qos, identifier }: KeptSubscription, at: number): void {
    if (qos === 0) return;
    const found: ApplicationMessage[] = [];
    this.#ports.retained(
      filter,
      (message) => void (message.qos > 0 && found.push({ ...message, retain: true })),
    );
    found.sort((a, b) => (a.topic < b.topic ? -1 : 1));
    const identifiers = identifier === undefined ? undefined : [identifier];
    this.giveAll(found, { session, qos, retainAsPublished: true, identifiers }, at);
  }

  /** Gives it to one member of a shared subscription, to one that has room if any has. False: none has. */
  deal(filter: string, offered: Offered): boolean {
    const chosen = this.#chosen(filter, offered);
    return chosen === undefined || this.give(offered, chosen, filter);
  }

  /** What a member of a shared subscription leaves behind goes to those that are connected, in order, as far as they have room. */
  reassign({ queue, sentThrough }: SessionState): void {
    for (const { group, ordinal, qos, handle, message } of [...queue]) {
      if (group === undefined || (qos === 2 && ordinal <= sentThrough)) continue; // [MQTT-4.8.2-4]
      if (!this.#ports.routes.isAttended(group)) continue;
      const offered = { handle, message };
      const chosen = this.#chosen(group, offered);
      if (chosen === undefined || this.#put(offered, chosen, group)) queue.remove(ordinal);
    }
  }

  #chosen(filter: string, { handle }: Offered): SessionRoute | undefined {
    const members = this.#ports.routes.members(filter);
    return this.shared.next(filter, members, (session) => this.#hasRoom(session, handle));
  }

  /** The last quarter of the store is for short queues: what nobody empties must not take it from who takes all that comes. */
  #hasRoom(session: SessionState, handle: MessageHandle): boolean {
    if (handle === NO_ROOM || !session.hasRoomFor(handle)) return false;
    const max = this.#ports.owedBytesMax();
    return this.#messages.bytes * 4 <= max * 3 || session.queue.bytes * SHORT_PART < max;
  }

  /** False: there is no room. */
  #put(offered: Offered, route: Omit<SessionRoute, "ofOwn">, group: string | undefined): boolean {
    const { session, identifiers } = route;
    const { handle, message } = offered;
    const qos = Math.min(message.qos, route.qos);
    if (qos === 0) return true;
    if (!this.#hasRoom(session, handle)) return false;
    const retain = route.retainAsPublished && message.retain;
    const form = { qos: qos as 1 | 2, retain, identifiers, group, isReleased: false };
    session.queue.push(handle, form, this.#ports.index());
    this.#ports.grown(session);
    return true;
  }
}
