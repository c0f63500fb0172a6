/** One command of this node that has not come back through the log, as it is sent to leaders. */

import type { ClusterId, Completion } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import {
  type Alone,
  COMMAND_BYTES_MAX,
  type Command,
  decodeCommand,
  encodeCommand,
  type Operation,
  topicOf,
} from "../state-machine/commands.ts";

/** A command that this node has acknowledged on its own. */
export interface Released {
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly operation: Operation;
}

export class PendingCommand {
  readonly stamp: Stamp;
  /** Undefined: nobody waits, or it is acknowledged already. */
  done: Completion | undefined;
  readonly #envelope: Command["envelope"];
  #alone: Alone | undefined;
  /** A leader may have it as it was before it was taken back. */
  #wasSentAlone = false;
  #bytes: Uint8Array;
  /** Undefined: not asked for since the bytes have changed. */
  #operation: Operation | undefined;

  constructor(command: Command, done: Completion | undefined) {
    this.stamp = command.stamp;
    this.done = done;
    this.#envelope = command.envelope;
    this.#alone = command.alone;
    this.#bytes = encodeCommand(command);
  }

  get seq(): number {
    return this.#envelope.seq;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** As its own bytes say: the payload of who proposed it may be a view of a socket's read buffer. */
  get operation(): Operation {
    this.#operation ??= decodeCommand(this.#bytes).operation;
    return this.#operation;
  }

  /** What the log makes of it depends on what its node had seen. */
  get isAlone(): boolean {
    return this.#alone !== undefined;
  }

  /** A value of the majority may stay in its place when it comes through the log. */
  get mayBePutAside(): boolean {
    return this.isAlone || this.#wasSentAlone;
  }

  /**
   * It counts without a quorum, so it says what this node has seen of the log of `cluster`, and whether who asked for it may hear of that. Not if
   * there is no room for that. Returns by how many bytes it grows.
   */
  sayAlone(cluster: ClusterId, seenThrough: number, isAcknowledged = true): number {
    return this.#say(this.#alone ?? { cluster, seenThrough, stamp: this.stamp, had: [], isAcknowledged });
  }

  /** Likewise, and `clientId` has its message. */
  sayHad(cluster: ClusterId, seenThrough: number, clientId: string): number {
    const grownBy = this.sayAlone(cluster, seenThrough);
    const alone = this.#alone;
    if (alone === undefined || alone.had.includes(clientId)) return grownBy;
    return grownBy + this.#say({ ...alone, had: [...alone.had, clientId] });
  }

  /** Its client has said PUBREL, so it has heard, too. Returns by how many bytes it grows. */
  sayReleased(): number {
    return this.#alone === undefined
      ? 0
      : this.#say({ ...this.#alone, isAcknowledged: true, isReleased: true });
  }

  /** It is not acknowledged after all; `wasSent`: maybe after it was said. Returns by how many bytes it grows. */
  takeBack(wasSent: boolean): number {
    this.#wasSentAlone ||= wasSent && this.isAlone;
    return this.#say(undefined);
  }

  #say(alone: Alone | undefined): number {
    const command = { envelope: this.#envelope, stamp: this.stamp, alone, operation: this.operation };
    const bytes = encodeCommand(command);
    const grownBy = bytes.length - this.#bytes.length;
    if (bytes.length > COMMAND_BYTES_MAX) return 0;
    this.#alone = alone;
    this.#bytes = bytes;
    // It holds on to the old bytes.
    this.#operation = undefined;
    return grownBy;
  }
}

/** What the log makes of it depends on whether it was acknowledged without a quorum: others may have overtaken it meanwhile. */
export function mayBeOvertaken(operation: Operation): boolean {
  return operation.kind === "publishOnce" || topicOf(operation) !== undefined;
}

/**
 * QoS 2 messages among `commands`, which count from now on, whose publisher's connection is over already: it has not heard PUBREC, and sends them again
 * wherever it comes next. Taken for acknowledged they would come twice.
 */
export function unheardIn(commands: readonly PendingCommand[]): ReadonlySet<PendingCommand> {
  const over = new Set<string>();
  const unheard = new Set<PendingCommand>();
  for (const command of [...commands].reverse()) {
    const { operation } = command;
    if (operation.kind === "close") over.add(`${operation.claim} ${operation.clientId}`);
    else if (operation.kind === "publishOnce" && over.has(`${operation.claim} ${operation.clientId}`))
      unheard.add(command);
  }
  return unheard;
}
