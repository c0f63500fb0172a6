/**
 * One command of this node that has not come back through the log, as it is sent to leaders.
 *
 * It may be sent in several forms under its number. The log takes the one that comes first, on all nodes, and the others are repeats.
 *
 * A message for queues lives from when the log has it, so one that has waited here goes there as one of now, with what is left of its Message
 * Expiry Interval: how long it has waited this node's monotonic clock knows, and no other clock. With its old stamp it would grow older twice in a
 * log where nothing was written meanwhile. With 0 left nobody is sent it from a queue, and its publisher has its acknowledgement. A retained
 * message is left as it is: the log tells by its bytes whether two nodes have written the same.
 *
 * Source: MQTT 5 section 3.3.2.3.3.
 */

import type { Clock, ClusterId, Completion, MonotonicMs } from "@skein/kernel";
import { PROPOSAL_COMMANDS_MAX } from "../frames.ts";
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
  /** When it was asked for. */
  readonly stamp: Stamp;
  /** When it was as old as it says. */
  #newestStamp: Stamp;
  /** Undefined: nobody waits, or it is acknowledged already. */
  done: Completion | undefined;
  readonly #envelope: Command["envelope"];
  readonly #proposedAt: MonotonicMs;
  /** Seconds, when it was proposed; undefined: it does not grow older. */
  readonly #lifetime: number | undefined;
  #alone: Alone | undefined;
  /** A leader may have it as it was before it was taken back. */
  #wasSentAlone = false;
  #bytes: Uint8Array;
  /** Undefined: not asked for since the bytes have changed. */
  #operation: Operation | undefined;

  constructor(command: Command, done: Completion | undefined, now: MonotonicMs) {
    this.#proposedAt = now;
    this.#lifetime = lifetimeOf(command.operation);
    this.stamp = command.stamp;
    this.#newestStamp = command.stamp;
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

  /** Whether one of the forms that it may have been sent in had this stamp. */
  mayHave(stamp: Stamp): boolean {
    return stamp >= this.stamp && stamp <= this.#newestStamp;
  }

  /** It is sent at `now`. Returns by how many bytes it grows. */
  growOlder(now: MonotonicMs, stampOf: (operation: Operation) => Stamp): number {
    if (this.#lifetime === undefined || now - this.#proposedAt < 1000) return 0;
    const waitedSeconds = Math.floor((now - this.#proposedAt) / 1000);
    const messageExpirySeconds = Math.max(0, this.#lifetime - waitedSeconds);
    const { operation } = this;
    if (messageExpirySeconds === lifetimeOf(operation) || !("message" in operation)) return 0;
    this.#newestStamp = Math.max(this.#newestStamp, stampOf(operation));
    const properties = { ...operation.message.properties, messageExpirySeconds };
    return this.#say(this.#alone, { ...operation, message: { ...operation.message, properties } });
  }

  #say(alone: Alone | undefined, operation: Operation = this.operation): number {
    const command = { envelope: this.#envelope, stamp: this.#newestStamp, alone, operation };
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

/** What may be sent next of `commands`, from place `at` on, grows older. Returns by how many bytes all of it grows. */
export function grownOlder(
  commands: readonly PendingCommand[],
  at: number,
  { clock, stamp }: { readonly clock: Clock; readonly stamp: (operation: Operation) => Stamp },
): number {
  const [now, end] = [clock.monotonicMs(), Math.min(commands.length, at + PROPOSAL_COMMANDS_MAX)];
  let grownBy = 0;
  for (let next = at; next < end; next++) grownBy += (commands[next] as PendingCommand).growOlder(now, stamp);
  return grownBy;
}

function lifetimeOf(operation: Operation): number | undefined {
  if (!("message" in operation) || operation.message.retain) return undefined;
  return operation.message.properties?.messageExpirySeconds;
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
