/**
 * Which peers a topic goes to, and which shared subscriptions want one copy of it.
 *
 * One FilterIndex over the rows of all nodes; its compile step turns the rows found for a topic into the list of peers,
 * each once, and the list of groups, so that forwarding a message is one cache look-up and a loop. A group is one
 * share name with one filter, filed once however many nodes have members; members in turn, node by node (a node with
 * two members gets no larger part than one with a single member).
 *
 * Source: MQTT 5 section 4.8.2 (shared subscriptions).
 */

import { assert, FilterIndex, parseSharedFilter, type QoS } from "@skein/kernel";
import type { Peer } from "../peer.ts";

/** A node with members of a shared subscription: a peer, or this node itself. */
export type ShareHolder = Peer | "local";

/** One `$share/name/filter` and the nodes that have members. */
export class ShareGroup {
  readonly sharedFilter: string;
  readonly holders: ShareHolder[] = [];
  #next = 0;

  constructor(sharedFilter: string) {
    this.sharedFilter = sharedFilter;
  }

  /**
   * The node whose turn it is among those that `isTried` does not rule out: a live one; for QoS >= 1, if none is alive,
   * also one that is suspect, because what is queued for it will be given to another node should it die.
   */
  pick(qos: QoS, isTried: (holder: ShareHolder) => boolean): ShareHolder | undefined {
    const { holders } = this;
    const first = this.#next++;
    let fallback: ShareHolder | undefined;
    for (let step = 0; step < holders.length; step++) {
      const holder = holders[(first + step) % holders.length];
      if (holder === undefined || isTried(holder)) continue;
      if (holder === "local" || holder.isLive) return holder;
      if (qos > 0 && holder.isReachable) fallback ??= holder;
    }
    return fallback;
  }
}

/** The compiled answer for a topic. */
export interface Route {
  readonly peers: readonly Peer[];
  readonly groups: readonly ShareGroup[];
}

export class Routes {
  readonly #index = new FilterIndex<Peer | ShareGroup, Route>((found) => compile(found));
  readonly #groups = new Map<string, ShareGroup>();

  routeOf(topic: string): Route {
    return this.#index.match(topic);
  }

  groupOf(sharedFilter: string): ShareGroup | undefined {
    return this.#groups.get(sharedFilter);
  }

  /** `holder` begins to want `filter` (`$share/...` included). */
  add(filter: string, holder: ShareHolder): void {
    const shared = parseSharedFilter(filter);
    assert(shared !== "invalid", "invalid shared filter reached the routes");
    if (shared === undefined) {
      if (holder !== "local") this.#index.add(filter, holder);
      return;
    }
    let group = this.#groups.get(filter);
    if (group === undefined) {
      group = new ShareGroup(filter);
      this.#groups.set(filter, group);
      this.#index.add(shared.filter, group);
    }
    group.holders.push(holder);
  }

  remove(filter: string, holder: ShareHolder): void {
    const shared = parseSharedFilter(filter);
    assert(shared !== "invalid", "invalid shared filter reached the routes");
    if (shared === undefined) {
      if (holder !== "local") this.#index.remove(filter, holder);
      return;
    }
    const group = this.#groups.get(filter);
    const at = group?.holders.indexOf(holder) ?? -1;
    if (group === undefined || at === -1) return;
    group.holders.splice(at, 1);
    if (group.holders.length > 0) return;
    this.#groups.delete(filter);
    this.#index.remove(shared.filter, group);
  }
}

function compile(found: readonly (Peer | ShareGroup)[]): Route {
  const peers: Peer[] = [];
  const groups: ShareGroup[] = [];
  for (const entry of found) {
    if (entry instanceof ShareGroup) groups.push(entry);
    else if (!peers.includes(entry)) peers.push(entry);
  }
  return { peers, groups };
}
