/** A log entry right after it was applied, for checks from outside: what it was, and what the replica then holds. */

import type { ApplicationMessage } from "@skein/kernel";
import type { Entry } from "raft-js";
import { type Command, topicOf } from "./state-machine/commands.ts";
import type { Applied, StateMachine } from "./state-machine/state-machine.ts";

export interface ObservedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
  /** Undefined for entries that are no commands, or malformed. */
  readonly command: Command | undefined;
  /** The retained message of the command's topic now. */
  readonly retained: ApplicationMessage | undefined;
}

export function observedEntry(
  { index, term, data }: Entry,
  applied: Applied | undefined,
  machine: StateMachine,
): ObservedEntry {
  const command = applied?.command;
  const retained = command === undefined ? undefined : machine.retained.get(topicOf(command.operation));
  return { index, term, data, command, retained };
}
