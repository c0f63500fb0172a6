/**
 * How a session of a cluster that was merged goes on in this one.
 *
 * Where only the other cluster has it, it goes on as it was, under the same ordinals: a client does not see the difference. Where
 * both have it, the newer claim decides, because its client has thrown away what it knew of the other one when it was told
 * that no session was present. So the session of the newer claim goes on with its settings, its will, its identifiers and its
 * ordinals; the older one adds its subscriptions, and behind the queue, under new ordinals, what it was owed. Two
 * exceptions:
 *
 * - A claim without a session (expiry 0) ends none in the other cluster: that one goes on. A connection that holds such a claim serves
 *   no queue, so it is over, and its client comes back to what it is owed.
 * - If one cluster was forked off the other, what was in a queue before is in both. It is owed as long as neither has delivered it.
 *
 * What may come once more (repeated-messages.ts) stays as it was here. The other cluster's is of no use: what its nodes have acknowledged without a
 * quorum they propose anew, as messages of nobody's connection.
 *
 * Nobody in this cluster holds what came from the other one: its nodes start again, and its clients come back as after the loss of a
 * node. Times that had begun to run run on.
 *
 * Source: MQTT 5 sections 3.2.2.1.1 (Session Present) and 4.1; reference design, section 1.4.
 */

import type { KeptSubscription } from "@skein/kernel";
import { STAMP_MAX, type Stamp } from "../../hybrid-clock.ts";
import { type MessageHandle, NO_ROOM, type OwedMessages } from "./owed-messages.ts";
import type { ColumnEntry } from "./queue-columns.ts";
import { SessionQueue } from "./session-queue.ts";
import { departed, type SavedSession, type SessionState } from "./session-state.ts";
import type { Arrived } from "./staged-sessions.ts";

/** What stamps and log indexes of the other cluster mean in this one. */
export interface MergeTerms {
  /** Added to its stamps. */
  readonly shift: Stamp;
  /** Newest stamp of this cluster. */
  readonly newest: Stamp;
  /** Both logs are the same up to this index; 0: neither was forked off the other. */
  readonly commonThrough: number;
  /** Log index of the command that takes its sessions in. */
  readonly index: number;
}

export interface United {
  /** Subscriptions that the session has now besides, or in place of one with the same filter. */
  readonly added: readonly KeptSubscription[];
  /** Messages that found no room. */
  readonly refused: number;
}

/** Messages of the other cluster: each is taken over when the first queue of this one needs it, and held until {@link close}. */
export class TakenOver {
  readonly #theirs: Arrived;
  readonly #own: OwedMessages;
  readonly #bytesMax: number;
  readonly #now: number;
  /** By handle of the other cluster. */
  readonly #handles = new Map<MessageHandle, MessageHandle>();

  /** `now`: SessionTime of this cluster, ms. */
  constructor(theirs: Arrived, own: OwedMessages, bytesMax: number, now: number) {
    this.#theirs = theirs;
    this.#own = own;
    this.#bytesMax = bytesMax;
    this.#now = now;
  }

  /** As this cluster has it; {@link NO_ROOM}: it has not. */
  handle(theirs: MessageHandle): MessageHandle {
    const known = this.#handles.get(theirs);
    if (known !== undefined) return known;
    const { messages, elapsed } = this.#theirs;
    const publishedAt = ownTime(messages.publishedAt(theirs), elapsed, this.#now);
    const handle = this.#own.put(messages.message(theirs), publishedAt, this.#bytesMax);
    if (handle !== NO_ROOM) this.#handles.set(theirs, handle);
    return handle;
  }

  close(): void {
    for (const handle of this.#handles.values()) this.#own.release(handle);
  }
}

/** The sessions that have come, in times and stamps of this cluster; what they are owed is still the other one's. */
export function inOwnTerms(
  { elapsed, sessions }: Arrived,
  { shift, newest }: MergeTerms,
  now: number,
): readonly SavedSession[] {
  const timeOf = (theirs: number): number => ownTime(theirs, elapsed, now);
  return sessions.map((session) => {
    const own = {
      ...session,
      claimedAt: Math.min(STAMP_MAX, newest, Math.max(0, session.claimedAt + shift)),
      willAt: session.willAt === undefined ? undefined : timeOf(session.willAt),
      endsAt: session.endsAt === undefined ? undefined : timeOf(session.endsAt),
    };
    return leftIfHeld(own, now);
  });
}

/** Makes `session`, which is `ours` (undefined: a new one), one with `theirs`. `now`: SessionTime, ms. */
export function unite(
  session: SessionState,
  ours: SavedSession | undefined,
  theirs: SavedSession,
  { commonThrough, index }: MergeTerms,
  messages: { readonly own: OwedMessages; readonly takenOver: TakenOver },
  now: number,
): United {
  const isOursNewer = ours !== undefined && ours.claimedAt >= theirs.claimedAt;
  const [newer, older] = isOursNewer ? [ours, theirs] : [theirs, ours];
  const lasting = older !== undefined && isKept(older) && !isKept(newer) ? older : newer;
  // Who holds an older claim, or one without a session, has lost it.
  const isLost = !isOursNewer || lasting !== newer;
  const left = (saved: SavedSession): SavedSession => (isLost ? leftIfHeld(saved, now) : saved);
  const { expirySeconds, endsAt } = left(lasting);
  const queue = new SessionQueue(messages.own, newer.queue.after(-1)?.ordinal ?? newer.queue.nextOrdinal);
  const { repeated } = session;
  session.restore({ ...left(newer), expirySeconds, endsAt, queue, repeated });
  const { kept, moved } = queuesOf(newer, older, commonThrough);
  let refused = 0;
  const take = (entry: ColumnEntry, isOurs: boolean, ordinal: number, at: number): void => {
    const handle = isOurs ? entry.handle : messages.takenOver.handle(entry.handle);
    if (handle !== NO_ROOM && session.hasRoomFor(handle)) {
      queue.skipTo(ordinal);
      queue.push(handle, entry, at);
    } else refused++;
  };
  for (const entry of kept) take(entry, isOursNewer, entry.ordinal, isOursNewer ? entry.index : index);
  queue.skipTo(newer.queue.nextOrdinal);
  for (const entry of moved) take(entry, !isOursNewer, queue.nextOrdinal, index);
  ours?.queue.clear();
  const known = isOursNewer ? session.subscriptions : NONE;
  return { added: theirs.subscriptions.filter(({ filter }) => !known.has(filter)), refused };
}

const NONE: ReadonlyMap<string, KeptSubscription> = new Map();

function ownTime(theirs: number, elapsed: number, now: number): number {
  return Math.max(0, theirs - elapsed + now);
}

/** It lives without a connection. */
function isKept({ expirySeconds }: SavedSession): boolean {
  return expirySeconds > 0;
}

/** What is owed under the ordinals of the newer claim, and what is owed besides, in order. */
function queuesOf(
  newer: SavedSession,
  older: SavedSession | undefined,
  commonThrough: number,
): { readonly kept: readonly ColumnEntry[]; readonly moved: readonly ColumnEntry[] } {
  const [newerQueue, olderQueue] = [[...newer.queue], [...(older?.queue ?? [])]];
  if (older === undefined) return { kept: newerQueue, moved: [] };
  const isCommon = ({ index }: ColumnEntry): boolean => index <= commonThrough;
  const common = new Map(olderQueue.filter(isCommon).map((entry) => [entry.ordinal, entry]));
  const kept = newerQueue
    .filter((entry) => !isCommon(entry) || common.has(entry.ordinal))
    .map((entry): ColumnEntry => {
      const isReleased = isCommon(entry) && common.get(entry.ordinal)?.isReleased === true;
      return isReleased ? { ...entry, isReleased } : entry;
    });
  // What its client has got, but for the packet identifier, that identifier has been forgotten with.
  return { kept, moved: olderQueue.filter((entry) => !isCommon(entry) && !entry.isReleased) };
}

/** As it is without the connection that holds it. */
function leftIfHeld(session: SavedSession, now: number): SavedSession {
  if (session.owner === undefined) return session;
  return { ...session, ...departed(session, "defer", now), sentThrough: session.queue.nextOrdinal - 1 };
}
