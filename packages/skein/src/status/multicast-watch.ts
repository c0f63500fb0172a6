/**
 * Nodes that answer over their links and are not seen by mDNS: the network drops multicast.
 *
 * The mesh does not mind, since it remembers addresses and learns them by gossip. The next device will: it finds nobody. Some
 * switches drop it from the beginning, others after some minutes (IGMP snooping without a querier), so a node that
 * has been seen must go on being seen. Announcements come once a minute (mesh/src/discovery/advertiser.ts).
 *
 * Source: reference/users.md 5.5 and 6.3.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { Member, Mesh } from "@skein/mesh";
import type { Note } from "./note.ts";

/** After a link came up: both ends have announced themselves and have been asked at least once by then. */
const FIRST_SEEN_MAX_MS = 75_000;
/** Three announcements were lost. */
const UNSEEN_MAX_MS = 200_000;
const NAMES_MAX = 5;

export interface MulticastInputs {
  readonly members: readonly Member[];
  readonly multicast: Mesh["multicast"];
  /** Whether a node announces itself; undefined: it has not said. */
  readonly announces: (node: NodeId) => boolean | undefined;
  readonly now: MonotonicMs;
}

export class MulticastWatch {
  readonly #linkedSince = new Map<NodeId, MonotonicMs>();

  /** The member list may have changed. */
  observe(members: readonly Member[], now: MonotonicMs): void {
    const direct = new Set(members.filter(isDirect).map(({ id }) => id));
    for (const id of this.#linkedSince.keys()) if (!direct.has(id)) this.#linkedSince.delete(id);
    for (const id of direct) if (!this.#linkedSince.has(id)) this.#linkedSince.set(id, now);
  }

  notes({ members, multicast, announces, now }: MulticastInputs): readonly Note[] {
    if (multicast === undefined) return [];
    const { sinceMs, seenAt } = multicast;
    const unseen = members.filter(({ id }) => {
      const linkedSince = this.#linkedSince.get(id);
      if (linkedSince === undefined || announces(id) !== true) return false;
      const seen = seenAt(id);
      if (seen !== undefined) return now - Math.max(seen, linkedSince) >= UNSEEN_MAX_MS;
      return now - Math.max(sinceMs, linkedSince) >= FIRST_SEEN_MAX_MS;
    });
    if (unseen.length === 0) return [];
    const names = unseen
      .map(({ name }) => name)
      .sort()
      .slice(0, NAMES_MAX);
    const more = unseen.length - names.length;
    const who = names.join(", ") + (more > 0 ? ` and ${more} more` : "");
    const answer = unseen.length === 1 ? "it answers" : "they answer";
    const text = `Cannot see ${who} by mDNS, but ${answer} unicast. Your switch/AP drops multicast (IGMP snooping/AP isolation), or a router is between. Joined by address instead. A new device must be told an address: skein up --join CODE --peer HOST`;
    return [{ subject: "multicast", text }];
  }
}

function isDirect({ state, isLinked, isRelayed }: Member): boolean {
  return state === "alive" && isLinked && !isRelayed;
}
