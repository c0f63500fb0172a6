/** What a client takes along from one connection to the next, wherever it is, as long as the server has its half of it. */

export class ClientSession {
  /** Unique in the simulation. */
  readonly name: string;
  /** Packet identifiers of QoS 2 messages received and not yet released. */
  readonly received = new Set<number>();
  /** Filters whose SUBACK came, and no UNSUBACK since. */
  readonly filters = new Set<string>();

  constructor(name: string) {
    this.name = name;
  }
}
