/** What a checker is shown of an entry that a node has applied: digests in place of messages, so that it can keep all of them. */

import type { ObservedEntry } from "@skein/coordinator";
import { decodePayload } from "../client/payload.ts";
import type { AppliedClusterCommand, AppliedCommand, PassedSession } from "../observations.ts";
import { mixBytes } from "./random-streams.ts";

export function appliedCommand({ command, retained }: ObservedEntry): AppliedCommand | undefined {
  if (command === undefined) return undefined;
  const { envelope, operation, alone } = command;
  const { node: proposer, incarnation, seq } = envelope;
  const through = operation.kind === "skip" ? Math.max(seq, operation.through) : seq;
  const numbered = { proposer, incarnation, seq, through, alone };
  const held = retained === undefined ? null : mixBytes(0, retained.payload);
  // Whether it counts its connection decides.
  if ((operation.kind === "publish" || operation.kind === "publishOnce") && operation.message.retain)
    return { ...numbered, topic: operation.message.topic, payloadId: "", value: held, held, isHearsay: true };
  if (operation.kind !== "retainedSet" && operation.kind !== "retainedDelete")
    return { ...numbered, topic: undefined, payloadId: "", value: null, held: null };
  const isDeletion = operation.kind === "retainedDelete";
  return {
    ...numbered,
    topic: isDeletion ? operation.topic : operation.message.topic,
    payloadId: isDeletion ? "" : decodePayload(operation.message.payload),
    value: isDeletion ? null : mixBytes(0, operation.message.payload),
    held,
  };
}

export function passedSessions({ passed, command }: ObservedEntry): readonly PassedSession[] | undefined {
  if (passed.length === 0) return undefined;
  const isRetained = command?.operation.kind === "subscribe";
  return passed.map(({ clientId, message, queued }) => {
    return { client: clientId, payloadId: decodePayload(message.payload), queued, isRetained };
  });
}

export function appliedClusterCommand({
  clusters,
  isApplied,
}: ObservedEntry): AppliedClusterCommand | undefined {
  if (clusters === undefined) return undefined;
  const { command, topics, conflicts, owed, mayLack } = clusters;
  const other = "loser" in command ? command.loser : "winner" in command ? command.winner : "";
  return {
    kind: command.kind,
    isApplied,
    other,
    cut: "cut" in command ? command.cut : 0,
    chunk: command.kind === "merge" ? command.chunk : 0,
    topics: topics.map(({ topic, retained }) => {
      return { topic, held: retained === undefined ? null : mixBytes(0, retained.payload) };
    }),
    conflicts:
      command.kind !== "merged"
        ? []
        : conflicts.map(({ message: { topic, payload } }) => ({ topic, value: mixBytes(0, payload) })),
    // A replica that was restored from a snapshot has them in another order.
    owed: [...owed.keys()].sort().map((client) => {
      return { client, payloads: (owed.get(client) ?? []).map(({ payload }) => decodePayload(payload)) };
    }),
    mayLack,
  };
}
