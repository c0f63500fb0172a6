/**
 * The sessions that a client has left behind on the nodes of a mesh, as far as it knows.
 *
 * Each node has sessions of its own until they are part of the replicated state: another node, another session, and a
 * client that returns to one goes on with the QoS 2 identifiers it had received there.
 */

export interface ClientSession {
  /** Unique in the simulation. */
  readonly name: string;
  /** Packet identifiers of QoS 2 messages received and not yet released. */
  readonly received: Set<number>;
  /** Filters whose SUBACK came, and no UNSUBACK since. */
  readonly filters: Set<string>;
}

export class ClientSessions {
  readonly #clientId: string;
  readonly #byNode = new Map<string, ClientSession>();
  #count = 0;

  constructor(clientId: string) {
    this.#clientId = clientId;
  }

  /** The session that CONNACK of `node` stands for: the known one if it is present there, else a new one. */
  on(node: string, isPresent: boolean): ClientSession {
    let session = this.#byNode.get(node);
    if (session === undefined || !isPresent) {
      session = { name: `${this.#clientId}#${++this.#count}`, received: new Set(), filters: new Set() };
      this.#byNode.set(node, session);
    }
    return session;
  }
}
