/** A log entry right after it was applied, for checks from outside: what it was, and what the replica then holds. */

import type { ApplicationMessage } from "@skein/kernel";
import type { Entry } from "raft-js";
import type { ClusterCommand } from "./state-machine/cluster-commands.ts";
import { type Command, topicOf } from "./state-machine/commands.ts";
import type { Conflict } from "./state-machine/conflicts.ts";
import type { Applied, StateMachine } from "./state-machine/state-machine.ts";

export interface ObservedEntry {
  readonly index: number;
  readonly term: number;
  readonly data: Uint8Array;
  /** Undefined for entries that are no commands, or malformed. */
  readonly command: Command | undefined;
  /** The command counted. */
  readonly isApplied: boolean;
  /** The retained message of the command's topic now. */
  readonly retained: ApplicationMessage | undefined;
  /** Only of commands about clusters. */
  readonly clusters?: ObservedClusters;
}

export interface ObservedClusters {
  readonly command: ClusterCommand;
  /** Topics that a merge may have changed, with their retained messages now. */
  readonly topics: readonly { readonly topic: string; readonly retained: ApplicationMessage | undefined }[];
  /** After MERGED: all values that lost in merges. */
  readonly conflicts: readonly Conflict[];
}

export function observedEntry(
  { index, term, data }: Entry,
  applied: Applied | undefined,
  machine: StateMachine,
): ObservedEntry {
  const command = applied?.command;
  const topic = command === undefined ? undefined : topicOf(command.operation);
  const retained = topic === undefined ? undefined : machine.retained.get(topic);
  const entry = { index, term, data, command, isApplied: applied?.outcome === "applied", retained };
  const { clusterCommand, topics = [] } = applied ?? {};
  if (clusterCommand === undefined) return entry;
  const clusters: ObservedClusters = {
    command: clusterCommand,
    topics: topics.map((each) => ({ topic: each, retained: machine.retained.get(each) })),
    conflicts: clusterCommand.kind === "merged" ? [...machine.conflicts.all()] : [],
  };
  return { ...entry, clusters };
}
