/**
 * Which packet identifier a client takes for the next thing that it says.
 *
 * One that counts on takes an identifier again after 65,535 others, when every node has long forgotten it. One that takes the lowest, or begins at 1
 * with each connection, has another message under an identifier that a node may still hold every time that its PUBREL has gone somewhere else.
 *
 * Source: MQTT 5 section 2.2.1; MQTT.js (counts on, or takes the lowest with its UniqueMessageIdProvider), PubSubClient (begins at 1).
 */

export const PACKET_ID_HABITS = ["counts on", "takes the lowest", "begins at 1"] as const;

export type PacketIdHabit = (typeof PACKET_ID_HABITS)[number];

export class PacketIds {
  readonly #habit: PacketIdHabit;
  readonly #isTaken: (packetId: number) => boolean;
  #last = 0;

  /** `isTaken`: something that is under way has it. */
  constructor(habit: PacketIdHabit, isTaken: (packetId: number) => boolean) {
    this.#habit = habit;
    this.#isTaken = isTaken;
  }

  /** The next one that nothing has [MQTT-2.2.1-3]. */
  next(): number {
    if (this.#habit === "takes the lowest") this.#last = 0;
    do this.#last = (this.#last % 65_535) + 1;
    while (this.#isTaken(this.#last));
    return this.#last;
  }

  /** A connection begins. */
  connected(): void {
    if (this.#habit === "begins at 1") this.#last = 0;
  }
}
