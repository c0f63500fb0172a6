/**
 * How a message gets into the queues of sessions: it is offered, put into those that want it, and let go of.
 *
 * Source: reference design, sections 4.3 and 4.4; MQTT 5 section 4.8.2.
 */

import type { ApplicationMessage } from "@skein/kernel";
import { type MessageHandle, NO_ROOM, OwedMessages } from "./owed-messages.ts";
import type { PublishingPort } from "./publishing-port.ts";
import { Refusals } from "./refusals.ts";
import type { SessionRoute, SessionRoutes } from "./session-routes.ts";
import type { SessionState } from "./session-state.ts";
import { SharedTurns } from "./shared-turns.ts";

/** A message on its way into queues. */
export interface Offered extends Pick<ApplicationMessage, "qos" | "retain"> {
  readonly handle: MessageHandle;
}

export interface QueueingPorts extends Pick<PublishingPort, "index" | "owedBytesMax"> {
  readonly routes: SessionRoutes;
  /** There is more in its queue. */
  readonly grown: (session: SessionState) => void;
}

export class Queueing {
  readonly shared = new SharedTurns();
  readonly refusals = new Refusals();
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
    if (handle === NO_ROOM) this.refusals.inAll++;
    return { handle, qos: message.qos, retain: message.retain };
  }

  /** From now on it is there for as long as a queue holds it. */
  letGo({ handle }: Offered): void {
    if (handle !== NO_ROOM) this.#messages.release(handle);
  }

  /** False: there is no room. `group`: the shared subscription it comes by. */
  put(offered: Offered, route: Omit<SessionRoute, "ofOwn">, group?: string): boolean {
    const { session, identifiers } = route;
    const { handle } = offered;
    const qos = Math.min(offered.qos, route.qos);
    if (qos === 0) return true;
    if (handle === NO_ROOM) return false;
    if (!session.hasRoomFor(handle)) {
      this.refusals.count(session.clientId);
      return false;
    }
    const retain = route.retainAsPublished && offered.retain;
    const form = { qos: qos as 1 | 2, retain, identifiers, group, isReleased: false };
    session.queue.push(handle, form, this.#ports.index());
    this.#ports.grown(session);
    return true;
  }

  /** Gives it to one member of a shared subscription. False: there is no room. */
  deal(filter: string, offered: Offered): boolean {
    const chosen = this.shared.next(filter, this.#ports.routes.members(filter));
    return chosen === undefined || this.put(offered, chosen, filter);
  }

  /** What a member of a shared subscription leaves behind goes to those that are connected, in order. */
  reassign({ queue, sentThrough }: SessionState): void {
    for (const { group, ordinal, qos, handle, message } of [...queue]) {
      if (group === undefined || (qos === 2 && ordinal <= sentThrough)) continue; // [MQTT-4.8.2-4]
      const offered = { handle, qos: message.qos, retain: message.retain };
      if (this.#ports.routes.isAttended(group) && this.deal(group, offered)) queue.remove(ordinal);
    }
  }
}
