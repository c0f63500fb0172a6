/**
 * Which node serves the next client that connects to the floating address.
 *
 * The node with the fewest clients. What others say about their clients is up to a second old, so whoever was sent there since
 * counts as well: otherwise all that come within that second would run to the same node. Differences that such counts
 * cannot show are no differences: among nodes that are as good as equal the nearest one serves, which is this node itself
 * (passing on costs both nodes), so that the choice does not jump to and fro between equals. A node that could not be
 * reached is left out for a while.
 *
 * Every choice stands for itself: nothing is remembered about clients, and nobody is moved later.
 */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { Member } from "../members.ts";

/** From a client's connecting to its being counted in what its node says: a facts frame is under way that long. */
const REPORT_DELAY_MS = 250;
/** Who is in no report by then has not stayed. */
const REPORT_MAX_MS = 2500;
/** Nodes are as good as equal up to this difference in clients, or this share of the smaller count if that is more. */
const EQUAL_CLIENTS = 1;
const EQUAL_SHARE = 0.05;
/** A node that could not be reached is tried again after this time. */
const RETRY_MS = 5000;
/** What the choice rests on: a row of the member list. */
export type Candidate = Pick<Member, "id" | "clients" | "state" | "isLinked" | "cluster" | "rttMs">;

/** A node that may serve. */
interface Server {
  readonly node: NodeId;
  /** Its clients, as far as they are known and to be expected. */
  readonly load: number;
  readonly distance: number;
}

/** Who was sent to a node and may not be in its last report. */
interface Unreported {
  /** The report that was seen last. */
  clients: number;
  /** When each was sent, oldest first. */
  sentAt: MonotonicMs[];
}

export class Balancer {
  readonly #self: NodeId;
  readonly #unreported = new Map<NodeId, Unreported>();
  /** By protocol and node. */
  readonly #unreachableUntil = new Map<string, number>();

  constructor(self: NodeId) {
    this.#self = self;
  }

  /**
   * Chooses the node for one connection, and counts it.
   *
   * @param protocol what the client speaks: a node may serve one protocol and not another
   * @param members the member list; others serve if they are alive, linked and of this node's cluster
   * @param ownClients connections of this node right now, also those that have not sent CONNECT yet
   */
  choose(protocol: string, members: readonly Candidate[], ownClients: number, now: MonotonicMs): NodeId {
    const reachable = members.filter(
      ({ id }) => now >= (this.#unreachableUntil.get(`${protocol} ${id}`) ?? 0),
    );
    const servers = this.#servers(reachable, ownClients, now);
    const least = Math.min(...servers.map(({ load }) => load));
    const enough = least + Math.max(EQUAL_CLIENTS, least * EQUAL_SHARE);
    const { node } = servers.filter(({ load }) => load <= enough).reduce(nearer);
    this.#unreported.get(node)?.sentAt.push(now);
    return node;
  }

  /** `node` could not be reached or did not take a connection of that protocol; it gets none for a while. */
  failed(protocol: string, node: NodeId, now: MonotonicMs): void {
    this.#unreachableUntil.set(`${protocol} ${node}`, now + RETRY_MS);
  }

  /** This node first. */
  #servers(members: readonly Candidate[], ownClients: number, now: MonotonicMs): readonly Server[] {
    const servers = [{ node: this.#self, load: ownClients, distance: 0 }];
    const cluster = members.find(({ id }) => id === this.#self)?.cluster;
    for (const { id, clients, state, isLinked, cluster: its, rttMs } of members) {
      // A node of no cluster has just started and serves nobody yet.
      const mayServe =
        id !== this.#self && state === "alive" && isLinked && its !== undefined && its === cluster;
      if (!mayServe) continue;
      const load = clients + this.#sentSince(id, clients, now);
      servers.push({ node: id, load, distance: rttMs ?? Number.POSITIVE_INFINITY });
    }
    return servers;
  }

  /** How many were sent to `node` that its report of `clients` cannot contain. */
  #sentSince(node: NodeId, clients: number, now: MonotonicMs): number {
    const unreported = this.#unreported.get(node);
    if (unreported === undefined) {
      this.#unreported.set(node, { clients, sentAt: [] });
      return 0;
    }
    const isNews = unreported.clients !== clients;
    unreported.clients = clients;
    const containedBefore = now - (isNews ? REPORT_DELAY_MS : REPORT_MAX_MS);
    const first = unreported.sentAt.findIndex((at) => at >= containedBefore);
    if (first !== 0) unreported.sentAt = first === -1 ? [] : unreported.sentAt.slice(first);
    return unreported.sentAt.length;
  }
}

function nearer(best: Server, other: Server): Server {
  if (other.distance !== best.distance) return other.distance < best.distance ? other : best;
  return other.load < best.load ? other : best;
}
