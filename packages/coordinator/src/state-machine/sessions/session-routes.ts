/**
 * Which sessions a message goes to, each once: the subscriptions of all sessions by Topic Filter.
 *
 * Per topic and change the filters that match are compiled into routes: one for each session with the highest QoS, and the
 * Subscription Identifiers of its overlapping subscriptions; and the shared subscriptions, each named once. Everything is
 * sorted, because the order of insertion differs between replicas.
 *
 * Source: MQTT 5 sections 3.3.4, 3.8.3.1 and 4.8.2.
 */

import { FilterIndex, type KeptSubscription, parseSharedFilter, type QoS } from "@skein/kernel";
import type { SessionState } from "./session-state.ts";

/** A subscription and whose it is. */
export interface Member {
  readonly session: SessionState;
  readonly subscription: KeptSubscription;
}

export interface SessionRoute {
  readonly session: SessionState;
  readonly qos: QoS;
  readonly retainAsPublished: boolean;
  readonly identifiers: readonly number[] | undefined;
  /** Of a message that the session published itself: undefined if it gets none (No Local). */
  readonly ofOwn: SessionRoute | undefined;
}

export interface Routes {
  readonly sessions: readonly SessionRoute[];
  /** `$share/name/filter` of those that have members. */
  readonly shared: readonly string[];
  /** Any of them with QoS 1 or 2. */
  readonly isWanted: boolean;
}

export class SessionRoutes {
  #index = new FilterIndex<Member, Routes>(compile);
  /** By `$share/...` filter; members sorted by Client Identifier when asked for. */
  readonly #members = new Map<string, Map<string, Member>>();

  /** Forgets all of them. The sessions that had them must not be used any more. */
  clear(): void {
    this.#index = new FilterIndex<Member, Routes>(compile);
    this.#members.clear();
  }

  match(topic: string): Routes {
    return this.#index.match(topic);
  }

  /** Members of a shared subscription, sorted. */
  members(
    sharedFilter: string,
  ): { readonly session: SessionState; readonly subscription: KeptSubscription }[] {
    const members = [...(this.#members.get(sharedFilter)?.values() ?? [])];
    return members.sort((a, b) => (a.session.clientId < b.session.clientId ? -1 : 1));
  }

  /** Whether it has a member that wants QoS 1 or 2. */
  isDealt(sharedFilter: string): boolean {
    return this.#hasMember(sharedFilter, ({ subscription }) => subscription.qos > 0);
  }

  /** Whether such a member is connected. */
  isAttended(sharedFilter: string): boolean {
    return this.#hasMember(
      sharedFilter,
      ({ subscription, session }) => subscription.qos > 0 && session.owner !== undefined,
    );
  }

  /** Puts `subscription` into the session's own list and here, in place of one with the same filter. */
  set(session: SessionState, subscription: KeptSubscription): void {
    this.delete(session, subscription.filter);
    session.subscriptions.set(subscription.filter, subscription);
    const filed = { session, subscription };
    const shared = parseSharedFilter(subscription.filter);
    if (typeof shared === "object") {
      const members = this.#members.get(subscription.filter) ?? new Map<string, Member>();
      this.#members.set(subscription.filter, members.set(session.clientId, filed));
    }
    this.#index.add(typeof shared === "object" ? shared.filter : subscription.filter, filed);
    this.#filed.set(subscription, filed);
  }

  /** False: there was none. */
  delete(session: SessionState, filter: string): boolean {
    const subscription = session.subscriptions.get(filter);
    if (subscription === undefined) return false;
    session.subscriptions.delete(filter);
    const shared = parseSharedFilter(filter);
    if (typeof shared === "object") {
      const members = this.#members.get(filter);
      members?.delete(session.clientId);
      if (members?.size === 0) this.#members.delete(filter);
    }
    const filed = this.#filed.get(subscription);
    if (filed !== undefined) this.#index.remove(typeof shared === "object" ? shared.filter : filter, filed);
    return true;
  }

  #hasMember(sharedFilter: string, is: (member: Member) => boolean): boolean {
    for (const member of this.#members.get(sharedFilter)?.values() ?? []) if (is(member)) return true;
    return false;
  }

  readonly #filed = new WeakMap<KeptSubscription, Member>();
}

function compile(filed: readonly Member[]): Routes {
  const bySession = new Map<SessionState, KeptSubscription[]>();
  const shared = new Set<string>();
  for (const { session, subscription } of filed) {
    if (subscription.filter.startsWith("$share/")) shared.add(subscription.filter);
    else if (bySession.has(session)) bySession.get(session)?.push(subscription);
    else bySession.set(session, [subscription]);
  }
  const sessions = [...bySession].sort(([a], [b]) => (a.clientId < b.clientId ? -1 : 1));
  return {
    sessions: sessions.map(([session, subscriptions]) => {
      const others = subscriptions.filter(({ noLocal }) => !noLocal);
      const ofOwn = others.length === 0 ? undefined : routeOf(session, others, undefined);
      const whole = routeOf(session, subscriptions, ofOwn);
      return others.length === subscriptions.length ? { ...whole, ofOwn: whole } : whole;
    }),
    shared: [...shared].sort(),
    isWanted: filed.some(({ subscription }) => subscription.qos > 0),
  };
}

function routeOf(
  session: SessionState,
  subscriptions: readonly KeptSubscription[],
  ofOwn: SessionRoute | undefined,
): SessionRoute {
  const identifiers = subscriptions.flatMap(({ identifier }) =>
    identifier === undefined ? [] : [identifier],
  );
  return {
    session,
    qos: Math.max(...subscriptions.map(({ qos }) => qos)) as QoS,
    retainAsPublished: subscriptions.some(({ retainAsPublished }) => retainAsPublished),
    identifiers: identifiers.length === 0 ? undefined : identifiers.sort((a, b) => a - b),
    ofOwn,
  };
}
