/** A log entry right after it was applied, for checks from outside: what it was, and what the replica then holds. */

import type { ApplicationMessage, ClusterId } from "@skein/kernel";
import type { Entry } from "raft-js";
import type { Applied } from "../state-machine/applied.ts";
import type { ClusterCommand } from "../state-machine/cluster-commands.ts";
import { type Command, topicOf } from "../state-machine/commands.ts";
import type { Conflict } from "../state-machine/conflicts.ts";
import type { Passed } from "../state-machine/sessions/passed-sessions.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";

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
  /** Messages that it published and that passed a session by; `queued`: how many that is owed; undefined: it is over. */
  readonly passed: readonly (Passed & { readonly queued: number | undefined })[];
  /** Only of commands about clusters. */
  readonly clusters?: ObservedClusters;
}

export interface ObservedClusters {
  readonly command: ClusterCommand;
  /** Topics that a merge may have changed, with their retained messages now. */
  readonly topics: readonly { readonly topic: string; readonly retained: ApplicationMessage | undefined }[];
  /** After MERGED: all values that lost in merges. */
  readonly conflicts: readonly Conflict[];
  /** After DISSOLVE and MERGED: what each session that is kept is owed, but for shared subscriptions, in order. */
  readonly owed: ReadonlyMap<string, readonly ApplicationMessage[]>;
  /** After MERGED: queues may lack what the other cluster's had, because one was forked off the other or there was no room. */
  readonly mayLack: boolean;
}

export function observedEntry(
  { index, term, data }: Entry,
  applied: Applied | undefined,
  machine: StateMachine,
): ObservedEntry {
  const command = applied?.command;
  const topic = command === undefined ? undefined : topicOf(command.operation);
  const retained = topic === undefined ? undefined : machine.retained.get(topic);
  const { clusterCommand, topics = [], refused = 0, passed = [] } = applied ?? {};
  const isApplied = applied?.outcome === "applied";
  const withQueued = passed.map((each) => {
    return { ...each, queued: machine.sessions.get(each.clientId)?.queue.length };
  });
  const entry = { index, term, data, command, isApplied, retained, passed: withQueued };
  if (clusterCommand === undefined) return entry;
  const { kind } = clusterCommand;
  const clusters: ObservedClusters = {
    command: clusterCommand,
    topics: topics.map((each) => ({ topic: each, retained: machine.retained.get(each) })),
    conflicts: kind === "merged" ? [...machine.conflicts.all()] : [],
    owed: kind === "merged" || kind === "dissolve" ? owedBy(machine) : NOTHING,
    mayLack: kind === "merged" && (refused > 0 || isFork(clusterCommand.loser, machine)),
  };
  return { ...entry, clusters };
}

const NOTHING: ObservedClusters["owed"] = new Map();

function owedBy({ sessions }: StateMachine): ObservedClusters["owed"] {
  const owed = new Map<string, readonly ApplicationMessage[]>();
  for (const { clientId, isKept, queue } of sessions.all()) {
    const entries = [...queue].filter(({ group, isReleased }) => group === undefined && !isReleased);
    if (isKept)
      owed.set(
        clientId,
        entries.map(({ message }) => message),
      );
  }
  return owed;
}

function isFork(loser: ClusterId, { clusters }: StateMachine): boolean {
  return clusters.parent?.cluster === loser || (clusters.row(loser)?.forkedAt ?? 0) > 0;
}
