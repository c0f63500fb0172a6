/**
 * The events of two clusters that meet: that they wait for the operator, that one was taken in, and what had two values then; and what
 * had two values when parts of one cluster that were without a quorum met again.
 *
 * Many nodes notice the same. So the ids are made from what the event is about, and are the same everywhere.
 */

import type { CoordinatorStatus, MergeNews, OutdatedNews } from "@skein/coordinator";
import type { EventKind } from "./mesh-event.ts";

export interface SharedEvent {
  readonly id: string;
  readonly kind: EventKind;
  readonly detail: string;
}

/** Letters of a topic that are shown. */
const TOPIC_LETTERS_MAX = 60;
/** Letters of a cluster's id that tell it from the few others. */
const ID_LETTERS = 13;

export function mergeEvents({ loser, cut, conflicts, refused }: MergeNews): readonly SharedEvent[] {
  const name = `${loser}-${cut}`;
  const lost = refused === 0 ? "" : `; ${refused} of its sessions' messages found no room in their queues`;
  const detail = `another cluster of this mesh was merged into this one${lost}`;
  const merged: SharedEvent = { id: `merge-${name}`, kind: "merge", detail };
  const [first] = conflicts;
  if (first === undefined) return [merged];
  const topic = shownTopic(first);
  const more = conflicts.length === 1 ? "" : ` and ${others(conflicts.length - 1)}`;
  const text = `both clusters had written "${topic}"${more}: what gave way is listed by skein conflicts`;
  return [merged, { id: `conflict-${name}`, kind: "conflict", detail: text }];
}

/** One event for all that a node had written: its id does not name the topic. */
export function outdatedEvent({ node, incarnation, topic }: OutdatedNews): SharedEvent {
  const detail = `"${shownTopic(topic)}" was written on both sides while there was no quorum on one: what gave way is listed by skein conflicts`;
  return { id: `conflict-${node}-${incarnation}`, kind: "conflict", detail };
}

/** Why two clusters that see each other stay apart, in words that hold on both sides: each tells the other its events. */
const WAITING = {
  awaitingApproval:
    "two clusters of this mesh have met, and both have been running for a while: if both are yours, run skein merge --approve on a node of either",
  tooMuch:
    "two clusters of this mesh have met, but what both have retained does not fit into one store: delete retained messages on either side",
  tooNew:
    "two clusters of this mesh have met, but one cannot read what the other writes: update the nodes with the older version",
} as const;

/** Undefined: none is in sight, or they merge by themselves. */
export function waitingMergeEvent({ cluster, merge }: CoordinatorStatus): SharedEvent | undefined {
  if (merge?.kind !== "awaitingApproval" && merge?.kind !== "tooMuch" && merge?.kind !== "tooNew")
    return undefined;
  const pair = [cluster ?? "", merge.other].map((id) => id.slice(0, ID_LETTERS)).sort();
  return { id: `${merge.kind}-${pair.join("-")}`, kind: "merge", detail: WAITING[merge.kind] };
}

function shownTopic(topic: string): string {
  return topic.length > TOPIC_LETTERS_MAX ? `${topic.slice(0, TOPIC_LETTERS_MAX)}...` : topic;
}

function others(count: number): string {
  return count === 1 ? "another topic" : `${count} other topics`;
}
