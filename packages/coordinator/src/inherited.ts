/**
 * Commands that an earlier run of this node has acknowledged without a quorum, as its disk gives them back (outbox-file.ts), and what
 * is left of them where their numbers or their connections mean nothing any more.
 */

import { SkeinError } from "@skein/kernel";
import { type Command, decodeCommand, type Operation } from "./state-machine/commands.ts";

/** A command that changes nothing: it keeps the place of one that was not acknowledged. */
export const NOTHING: Operation = { kind: "conflictsClear", through: 0 };

/** Places are kept for what follows; nothing follows the last ones. */
export function withoutIdleEnd(commands: readonly Inherited[]): Inherited[] {
  // An operator's word of an earlier run need not be kept either: it can be said again.
  const isIdle = ({ operation: { kind } }: Inherited): boolean =>
    kind === "conflictsClear" || kind === "mergeApprove" || kind === "nodeUp";
  return commands.slice(0, commands.findLastIndex((command) => !isIdle(command)) + 1);
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
