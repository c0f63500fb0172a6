/**
 * The local members of shared subscriptions, and which of them gets the next message.
 *
 * Members take turns. One that can take the message at once goes before one whose connection is slow, and that before
 * a durable session without a connection, in whose queue the message would wait. What is for members whose sessions the mesh keeps
 * with QoS 1 or 2 comes to them from the log, which deals it out by its own turns (log-or-live.ts). Which node serves a message is the
 * forwarder's choice; this only picks among the members here. Source: MQTT 5 section 4.8.2.
 */

import type { ApplicationMessage, QoS } from "@skein/kernel";
import type { Subscription } from "./subscription-index.ts";

interface Group {
  readonly members: Subscription[];
  /** Where the search for the next member begins. */
  next: number;
}

export class SharedSubscriptions {
  readonly #groups = new Map<string, Group>();

  add(subscription: Subscription): void {
    const group = this.#groups.get(subscription.filter);
    if (group === undefined) this.#groups.set(subscription.filter, { members: [subscription], next: 0 });
    else group.members.push(subscription);
  }

  remove(subscription: Subscription): void {
    const group = this.#groups.get(subscription.filter);
    const at = group?.members.indexOf(subscription) ?? -1;
    if (group === undefined || at === -1) return;
    group.members.splice(at, 1);
    if (group.members.length === 0) this.#groups.delete(subscription.filter);
  }

  /** Gives `message` to one member of `$share/name/filter` that does not get it from the log. False: there is none here. */
  deliver(sharedFilter: string, message: ApplicationMessage): boolean {
    const group = this.#groups.get(sharedFilter);
    if (group === undefined) return false;
    const member = pick(group, message.qos);
    if (member === undefined) return false;
    const qos = Math.min(message.qos, member.qos) as QoS; // [MQTT-4.8.2-3]
    const identifiers = member.identifier === undefined ? undefined : [member.identifier];
    member.subscriber.deliver(message, qos, member.retainAsPublished && message.retain, identifiers);
    return true;
  }
}

function pick(group: Group, messageQos: QoS): Subscription | undefined {
  const { members } = group;
  let connected: Subscription | undefined;
  let offline: Subscription | undefined;
  const first = group.next % members.length;
  group.next = first + 1;
  for (let i = 0; i < members.length; i++) {
    const member = members[(first + i) % members.length] as Subscription;
    if (member.subscriber.isKept && Math.min(messageQos, member.qos) > 0) continue;
    if (member.subscriber.isReady) {
      group.next = first + i + 1;
      return member;
    }
    if (member.subscriber.isConnected) connected ??= member;
    else offline ??= member;
  }
  return connected ?? offline;
}
