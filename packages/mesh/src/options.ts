/** Settings and ports of the mesh layer. */

import type {
  ApplicationMessage,
  Clock,
  Disk,
  Incarnation,
  LinkTransport,
  Log,
  MulticastDns,
  NodeId,
  Prng,
  SkeinError,
} from "@skein/kernel";
import type { Member } from "./members.ts";

export interface MeshOptions {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** Nodes find each other only within one mesh name (and one key). */
  readonly mesh: string;
  /** Human name of this node. */
  readonly name: string;
  /** `host:port` to accept links on. */
  readonly linkListen: string;
  /** `host:port` of peers to dial besides those found by mDNS and remembered from earlier. */
  readonly peers: readonly string[];
  /** Addresses that are never a node's own: the floating address. Neither advertised nor dialled. */
  readonly excludedAddresses: readonly string[];
}

/** Local subscribers, reached from the mesh. */
export interface Delivery {
  /** Gives `message`, published on another node, to every matching local subscriber that is not in a shared subscription. */
  deliver(message: ApplicationMessage): void;
  /** Gives it to one local member of `sharedFilter` (`$share/name/filter`). False: there is none (any more). */
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean;
}

export interface MeshPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly transport: LinkTransport;
  /** Undefined: discovery by mDNS is off. */
  readonly mdns: MulticastDns | undefined;
  /** Keeps `peers.json`, the peers remembered from earlier. */
  readonly disk: Disk;
  readonly log: Log;
  readonly delivery: Delivery;
  /** A control frame (Raft, proposals, join requests) from another node. `bytes` may be kept. */
  readonly receiveControl: (from: NodeId, bytes: Uint8Array) => void;
  /** The member list or a row of it changed. Called at most once per turn of the event loop. */
  readonly membersChanged: (members: readonly Member[]) => void;
  /** The link listener is open, or could not be opened. */
  readonly ready: (error: SkeinError | undefined) => void;
}

/** Counters since start. */
export interface MeshCounters {
  readonly forwarded: number;
  readonly received: number;
  readonly duplicatesDropped: number;
  readonly qos0Dropped: number;
  readonly lateBarriers: number;
}
