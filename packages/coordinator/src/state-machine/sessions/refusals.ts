/**
 * Messages that found no room, counted for whoever runs the mesh: a publisher hears 0x97 or is cut off, and somebody must be told why.
 *
 * Every replica counts what its log brings, so any node can tell. Not part of the replicated state: counts begin with the process.
 */

/** Clients told apart; who has been refused nothing for longest makes room. */
const CLIENTS_MAX = 1000;

export class Refusals {
  /** By client id: messages that its queue had no room for. Who was refused one last is the last. */
  readonly byClient = new Map<string, number>();
  /** Messages that the store of all queues had no room for. */
  inAll = 0;

  count(clientId: string): void {
    const count = this.byClient.get(clientId) ?? 0;
    this.byClient.delete(clientId);
    this.byClient.set(clientId, count + 1);
    const [oldest] = this.byClient.keys();
    if (this.byClient.size > CLIENTS_MAX && oldest !== undefined) this.byClient.delete(oldest);
  }
}
