/**
 * How a chunk of another cluster's state goes into this one: which of two values of a topic is served, and that the other one
 * is not lost.
 *
 * Where only one side has written a topic, its value is taken. Where both have:
 *
 * - If one cluster was forked off the other (`skein forget`), log indexes tell more than clocks: what was not
 *   written since the fork gives way, and where both wrote, the older cluster wins, which had the majority.
 * - Otherwise the later write wins, by the hybrid clocks; the loser's stamps are shifted so that both mean the same time.
 *   Of equal stamps this cluster's own wins.
 *
 * A deletion counts as a write as long as its tombstone is remembered. After a fork a value of a topic that was perhaps deleted here since,
 * because not all deletions since are remembered, is taken, and the deletion goes to the conflicts. A value that lost, to a value or to a deletion, goes to
 * the conflicts, and so do a deletion that lost to a value, and a value for which the store has no room. The same on both sides is
 * no conflict.
 *
 * Source: reference design, sections 1.4 (step 6) and 4.7.
 */

import { type ApplicationMessage, type ByteWriter, type ClusterId, encodeMessage } from "@skein/kernel";
import { STAMP_MAX, type Stamp } from "../hybrid-clock.ts";
import type { Clusters, MergeRow } from "./clusters.ts";
import { type Conflicts, deletionOf } from "./conflicts.ts";
import { expiryByStamp } from "./expiry.ts";
import type { MergeItem } from "./merge-export.ts";
import type { RetainedItem, RetainedState, Written } from "./retained-state.ts";
import type { Tombstones } from "./tombstones.ts";

export interface MergeTarget {
  readonly retained: RetainedState;
  readonly tombstones: Tombstones;
  readonly conflicts: Conflicts;
  readonly clusters: Clusters;
  /** Stores a message and forgets the topic's tombstone. False: there is no room. */
  readonly set: (item: RetainedItem) => boolean;
  readonly measure: ByteWriter;
}

export interface MergeContext {
  readonly winner: ClusterId;
  readonly row: MergeRow;
  /** Newest stamp of this cluster, the merge's own included. */
  readonly newest: Stamp;
  /** SessionTime of this cluster, ms. */
  readonly elapsed: number;
  /** Log index of the command. */
  readonly index: number;
}

type Verdict = { readonly wins: "ours" | "theirs"; readonly isConflict: boolean };

const OURS_STAND: Verdict = { wins: "ours", isConflict: false };
const THEIRS_GO_ON: Verdict = { wins: "theirs", isConflict: false };
const OURS_WIN: Verdict = { wins: "ours", isConflict: true };
const THEIRS_WIN: Verdict = { wins: "theirs", isConflict: true };

/** Takes one item in. */
export function takeItem(item: MergeItem, target: MergeTarget, context: MergeContext): void {
  switch (item.kind) {
    case "parent":
      // Read by the state machine with the first chunk (MergeRow.forkedAt).
      return;
    case "row":
      target.clusters.inherit(item.row, context.index);
      return;
    case "conflict": {
      const { message, lost, kept } = item.conflict;
      target.conflicts.add({
        message: ownCopy(message),
        lost: { ...lost, stamp: shifted(lost.stamp, context) },
        kept: { ...kept, stamp: shifted(kept.stamp, context) },
      });
      return;
    }
    case "deletion":
      takeDeletion(item.topic, item.written, target, context);
      return;
    case "retained":
      takeRetained(item, target, context);
      return;
    default:
    // Sessions wait for MERGED (sessions/staged-sessions.ts).
  }
}

function takeDeletion(topic: string, written: Written, target: MergeTarget, context: MergeContext): void {
  const { retained, tombstones, conflicts } = target;
  const ours = retained.item(topic);
  const stamp = shifted(written.stamp, context);
  const verdict = judge(ours ?? tombstones.get(topic), { stamp, index: written.index }, target, context);
  const { winner, row } = context;
  if (verdict.wins === "ours") {
    if (ours === undefined || !verdict.isConflict) return;
    const lost = { message: deletionOf(topic), stamp, index: written.index };
    conflicts.add(lostValue(lost, row.cluster, winner, ours.stamp, false));
    return;
  }
  if (ours !== undefined) {
    retained.delete(topic);
    if (verdict.isConflict) conflicts.add(lostValue(ours, winner, row.cluster, stamp, true));
  }
  tombstones.add(topic, { stamp, index: context.index });
}

function takeRetained(
  { message, written, leftMs }: MergeItem & { readonly kind: "retained" },
  target: MergeTarget,
  context: MergeContext,
): void {
  const { retained, tombstones, conflicts } = target;
  const { winner, row, index } = context;
  const { topic } = message;
  const ours = retained.item(topic);
  const tombstone = tombstones.get(topic);
  const stamp = shifted(written.stamp, context);
  const expiresAt =
    leftMs === undefined
      ? expiryByStamp(message, stamp, context.newest, context.elapsed)
      : context.elapsed + leftMs;
  const theirs: RetainedItem = { message: ownCopy(message), stamp, index, expiresAt };
  if (ours !== undefined && isSame(ours.message, message, target.measure)) {
    if (stamp > ours.stamp) target.set({ ...theirs, message: ours.message });
    return;
  }
  const before = ours ?? tombstone;
  const { wins, isConflict } = judge(before, { stamp, index: written.index }, target, context);
  if (wins === "theirs" && target.set(theirs)) {
    const isLost = before === undefined ? isPerhapsDeleted(target, row) : isConflict;
    if (!isLost) return;
    const lost = ours ?? { ...(before ?? tombstones.forgotten), message: deletionOf(topic) };
    conflicts.add(lostValue(lost, winner, row.cluster, stamp, false));
    return;
  }
  if (wins === "theirs" || isConflict)
    conflicts.add(lostValue(theirs, row.cluster, winner, before?.stamp ?? 0, ours === undefined));
}

/** Whether a topic of which nothing is known here may have been deleted since the two logs parted. */
function isPerhapsDeleted({ clusters, tombstones }: MergeTarget, row: MergeRow): boolean {
  const { parent } = clusters;
  const forkedAt = parent?.cluster === row.cluster ? parent.index : row.forkedAt;
  return forkedAt > 0 && tombstones.mayHaveForgotten(forkedAt);
}

/** `theirs.index` is one of the other cluster's log. */
function judge(
  ours: Written | undefined,
  theirs: Written,
  { clusters }: MergeTarget,
  { row }: MergeContext,
): Verdict {
  if (row.forkedAt > 0) {
    if (theirs.index <= row.forkedAt) return OURS_STAND;
    return ours !== undefined && ours.index > row.forkedAt ? OURS_WIN : THEIRS_GO_ON;
  }
  const { parent } = clusters;
  if (parent?.cluster === row.cluster) {
    if (theirs.index <= parent.index) return OURS_STAND;
    return ours !== undefined && ours.index > parent.index ? THEIRS_WIN : THEIRS_GO_ON;
  }
  if (ours === undefined) return THEIRS_GO_ON;
  return theirs.stamp > ours.stamp ? THEIRS_WIN : OURS_WIN;
}

function lostValue(
  { message, stamp }: RetainedItem,
  cluster: ClusterId,
  keptBy: ClusterId,
  keptStamp: Stamp,
  isDeletion: boolean,
): Parameters<Conflicts["add"]>[0] {
  return { message, lost: { cluster, stamp }, kept: { cluster: keptBy, stamp: keptStamp, isDeletion } };
}

/** A stamp of the other cluster in this one's time, never in its future. */
function shifted(stamp: Stamp, { row, newest }: MergeContext): Stamp {
  return Math.min(STAMP_MAX, newest, Math.max(0, stamp + row.shift));
}

export function isSame(a: ApplicationMessage, b: ApplicationMessage, measure: ByteWriter): boolean {
  encodeMessage(a, measure.reset());
  const bytes = measure.finish();
  encodeMessage(b, measure.reset());
  const others = measure.finish();
  return bytes.length === others.length && bytes.every((byte, at) => byte === others[at]);
}

/** The message with payload and correlation data of its own. (`slice` of a Node Buffer would be a view.) */
export function ownCopy(message: ApplicationMessage): ApplicationMessage {
  const { properties } = message;
  const correlationData = properties?.correlationData;
  return {
    ...message,
    payload: new Uint8Array(message.payload),
    properties:
      correlationData === undefined
        ? properties
        : { ...properties, correlationData: new Uint8Array(correlationData) },
  };
}
