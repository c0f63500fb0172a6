/**
 * Retained writes that a node has acknowledged without a quorum, when they come through the log at last: the majority may have
 * written the same topic meanwhile, and neither side may be lost in silence.
 *
 * - What the majority has written since the log position that the node had seen stays. It knew nothing of the other write, and who
 *   reads from a quorum has seen it.
 * - Of two such writes of different nodes the later one stays, by the hybrid clock; so, too, where the log of another cluster
 *   was seen, whose positions mean nothing here.
 * - Otherwise, and among the writes of one node, the write takes effect as any other.
 *
 * Of a topic of which nothing is known any more, though deletions that the node had not seen are forgotten (tombstones.ts), the write takes
 * effect, too, and a deletion is listed that perhaps gave way.
 *
 * A value that does not stay goes to the conflicts, as in a merge (of one node's values of a topic the last one), and so do a deletion that gives way to a
 * value, and a value for which the store has no room: its publisher has its acknowledgement.
 *
 * Source: architecture.md section 5 (without quorum); reference design, section 4.7.
 */

import type { NodeId } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { Alone } from "./commands.ts";
import { deletionOf } from "./conflicts.ts";
import type { Expiring } from "./expiry.ts";
import type { RetainedItem, Written } from "./retained-state.ts";
import { isSame, type MergeTarget, ownCopy } from "./take-merge.ts";
import type { Tombstones } from "./tombstones.ts";

/** Who has acknowledged it, and what it had seen. */
export interface AloneWrite extends Alone {
  readonly author: NodeId;
}

/**
 * Sets, or with an empty payload deletes, the retained message of a topic, if that is right. Its lifetime counts from now on, as in a queue:
 * how long ago its node took it only clocks could tell. `now`: stamp and index of the command.
 */
export function writeAlone(
  { message, expiresAt }: Expiring,
  { author, ...alone }: AloneWrite,
  now: Written,
  target: Omit<MergeTarget, "clusters">,
): void {
  const { retained, tombstones, conflicts, measure } = target;
  const { topic } = message;
  const item = retained.item(topic);
  const before = item ?? tombstones.get(topic);
  // A clock that was ahead of the cluster's makes nothing newer than what is written now.
  const written = { stamp: Math.min(alone.stamp, now.stamp), index: now.index, alone: author };
  const isDeletion = message.payload.length === 0;
  const own = isDeletion ? undefined : { ...written, message: ownCopy(message), expiresAt };
  const isSameAsOwn = (other: RetainedItem | undefined): boolean =>
    other !== undefined && own !== undefined && isSame(own.message, other.message, measure);
  const lost = (value: RetainedItem, keptStamp: Stamp, isKeptDeleted: boolean): void => {
    const conflict = {
      message: value.message,
      lost: { cluster: alone.cluster, stamp: value.stamp, alone: value.alone },
      kept: { cluster: alone.cluster, stamp: keptStamp, isDeletion: isKeptDeleted },
    };
    conflicts.add(conflict, alone.seenThrough === 0);
  };
  if (!stays(before, alone, author) && (own === undefined || target.set(own))) {
    if (own === undefined) {
      retained.delete(topic);
      tombstones.add(topic, written);
    }
    const isUnseen =
      before?.alone !== undefined && before.alone !== author && before.index > alone.seenThrough;
    const hasLost = item === undefined ? own !== undefined : !isSameAsOwn(item);
    if (isUnseen && hasLost)
      lost(item ?? { ...before, message: deletionOf(topic) }, written.stamp, isDeletion);
    if (before === undefined && own !== undefined && isPerhapsDeleted(alone, tombstones))
      lost({ ...tombstones.forgotten, message: deletionOf(topic) }, written.stamp, false);
  } else if (item !== undefined ? !isSameAsOwn(item) : own !== undefined)
    lost(own ?? { ...written, message: deletionOf(topic) }, before?.stamp ?? 0, item === undefined);
}

/** Whether a topic of which nothing is known may have been deleted since. The positions of another cluster's log mean nothing here. */
function isPerhapsDeleted({ seenThrough, stamp }: Alone, tombstones: Tombstones): boolean {
  if (seenThrough > 0) return tombstones.mayHaveForgotten(seenThrough);
  return stamp <= tombstones.forgotten.stamp;
}

/** Whether what the topic holds, or its deletion, stays. */
function stays(before: Written | undefined, { seenThrough, stamp }: Alone, author: NodeId): boolean {
  if (before === undefined) return false;
  // What came from another cluster may come again, from an outbox that was not empty yet at the next start.
  if (seenThrough > 0 && before.alone === author) return false;
  if (seenThrough > 0 && before.alone === undefined) return before.index > seenThrough;
  return before.stamp >= stamp;
}
