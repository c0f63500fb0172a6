/**
 * Commands that an earlier run of this node has acknowledged without a quorum, as its disk gives them back (outbox-file.ts), and what
 * is left of them where their numbers or their connections mean nothing any more.
 */

import { SkeinError } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import { nameOf } from "../sessions/early-messages.ts";
import {
  type Command,
  decodeCommand,
  type Envelope,
  encodeCommand,
  lastPlaceOf,
  type Operation,
} from "../state-machine/commands.ts";

/** What was written last under each number, in the order of the numbers: what the disk did not take at first stands behind what came after it. */
export function newestOfEach(commands: readonly Inherited[]): Inherited[] {
  const newest = new Map<string, Inherited>();
  for (const command of commands) newest.set(nameOf(command.envelope), command);
  const nodes = [...new Set(commands.map(({ envelope }) => envelope.node))];
  return [...newest.values()].sort(({ envelope: a }, { envelope: b }) => {
    return nodes.indexOf(a.node) - nodes.indexOf(b.node) || a.incarnation - b.incarnation || a.seq - b.seq;
  });
}

/** Places are kept for what follows: those side by side by one command, those at the end by none. */
export function withoutIdle(commands: readonly Inherited[]): Inherited[] {
  const kept: Inherited[] = [];
  for (const command of commands.slice(0, commands.findLastIndex((each) => !isIdle(each)) + 1)) {
    const before = kept.at(-1);
    if (before !== undefined && canJoin(before, command)) kept[kept.length - 1] = joined(before, command);
    else kept.push(isIdle(command) ? joined(command, command) : command);
  }
  return kept;
}

/** What an operator or the node itself has said in an earlier run can be said again. */
function isIdle({ operation: { kind } }: Inherited): boolean {
  return kind === "skip" || kind === "storeLimit" || kind === "conflictsClear" || kind === "mergeApprove";
}

function canJoin(before: Inherited, command: Inherited): boolean {
  const [a, b] = [before.envelope, command.envelope];
  const isNext = a.node === b.node && a.incarnation === b.incarnation && b.seq === lastPlaceOf(before) + 1;
  return isNext && isIdle(before) && isIdle(command);
}

function joined({ envelope, stamp }: Inherited, last: Inherited): Inherited {
  return skipping(envelope, stamp, lastPlaceOf(last));
}

/**
 * With one command in each gap of an incarnation's numbers, also before its first, which takes the places there: if the disks of all nodes have lost what
 * stood in them, or nobody ever had it (the disk was full, and had room for what came next), the rest follows all the same; if the log has it, that command is a
 * repeat.
 */
export function withPlacesBefore(commands: readonly Inherited[]): Inherited[] {
  let before: Inherited | undefined;
  return commands.flatMap((command) => {
    const { envelope, stamp } = command;
    const isFirst = envelope.incarnation !== before?.envelope.incarnation;
    const seq = isFirst || before === undefined ? 1 : lastPlaceOf(before) + 1;
    before = command;
    if (envelope.seq <= seq) return [command];
    return [skipping({ ...envelope, seq }, stamp, envelope.seq - 1), command];
  });
}

function skipping(envelope: Envelope, stamp: Stamp, through: number): Inherited {
  const operation = { kind: "skip", through } as const;
  return { envelope, stamp, operation, bytes: encodeCommand({ envelope, stamp, operation }) };
}

/** One of them, as it stood. */
export interface Inherited extends Command {
  readonly bytes: Uint8Array;
}

/** What is malformed is of a version that this one does not know. */
export function decodedOrNothing(bytes: Uint8Array): Inherited[] {
  try {
    return [{ ...decodeCommand(bytes), bytes }];
  } catch (error) {
    if (error instanceof SkeinError) return [];
    throw error;
  }
}

/** What it says to others, where its connection means nothing any more; undefined: nothing. */
export function withoutClaim(operation: Operation): Operation | undefined {
  switch (operation.kind) {
    case "publishOnce":
      return { kind: "publish", publisher: operation.clientId, served: [], message: operation.message };
    case "publish":
    case "retainedSet":
    case "retainedDelete":
      return operation;
    default:
      return undefined;
  }
}
