/**
 * Sessions that messages have passed by, because there was no room for them: counted for whoever runs the mesh, who must be told.
 *
 * A publisher of MQTT 3 hears nothing of it, one of 5.0 hears 0x97 and knows nothing of queues. Every replica counts what its log brings, so
 * any node can tell. Not part of the replicated state: counts begin with the process.
 */

import type { ApplicationMessage } from "@skein/kernel";

/** Clients told apart; who has been passed by for longest makes room. */
const CLIENTS_MAX = 1000;

/** A message and a session that it has passed by. */
export interface Passed {
  readonly clientId: string;
  readonly message: ApplicationMessage;
}

export class PassedSessions {
  /** By client id: messages that its queue had no room for. Who was passed by last is the last. */
  readonly byClient = new Map<string, number>();
  /** Messages that the store of all queues had no room for. */
  inAll = 0;
  #news: Passed[] = [];

  /** `message` passes the session of `clientId` by. `isInAll`: the store of all queues had no room for it, which is counted there. */
  count(clientId: string, message: ApplicationMessage, isInAll: boolean): void {
    this.#news.push({ clientId, message });
    if (isInAll) return;
    const count = this.byClient.get(clientId) ?? 0;
    this.byClient.delete(clientId);
    this.byClient.set(clientId, count + 1);
    const [oldest] = this.byClient.keys();
    if (this.byClient.size > CLIENTS_MAX && oldest !== undefined) this.byClient.delete(oldest);
  }

  /** What has been counted since the last call. */
  take(): readonly Passed[] {
    const news = this.#news;
    if (news.length > 0) this.#news = [];
    return news;
  }
}
