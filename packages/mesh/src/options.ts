/** Settings and ports of the mesh layer. */

import type {
  ApplicationMessage,
  Clock,
  Completion,
  Disk,
  Incarnation,
  LinkTransport,
  Log,
  MulticastDns,
  NodeId,
  Prng,
  PublishBytes,
  SkeinError,
} from "@skein/kernel";
import type { JoiningSettings } from "./joining/host.ts";
import type { ProtocolVersions } from "./link/protocol-version.ts";
import type { Home, Outrun, Rightful } from "./link/twins.ts";
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
  /** Whether this node runs on the machine where its identity was made. Default: unknown. */
  readonly home?: Home;
  /** Other versions of the protocol than this program speaks, for tests. */
  readonly protocolVersions?: ProtocolVersions | undefined;
}

/** Local subscribers, reached from the mesh. */
export interface Delivery {
  /** Gives `message`, published on another node, to every matching local subscriber that is not in a shared subscription. */
  deliver(message: ApplicationMessage): void;
  /** Does so with each of several messages of QoS 0. Returns how many they were. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  deliverPackets(packets: PublishBytes): number;
  /** Gives it to one local member of `sharedFilter` (`$share/name/filter`). False: there is none (any more). */
  deliverShared(sharedFilter: string, message: ApplicationMessage): boolean;
  /** No node has a member any more that takes this QoS 1 or 2 message. Returns the parts `done` will be settled for. */
  unserved?(sharedFilter: string, message: ApplicationMessage, done: Completion | undefined): number;
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
  /** Undefined: nobody can be invited here. */
  readonly joining?: JoiningSettings | undefined;
  /** A control frame (Raft, proposals, join requests) from another node. `bytes` are valid during the call only. */
  readonly receiveControl: (from: NodeId, bytes: Uint8Array) => void;
  /** A frame about the clients' address from another node. The same rule. */
  readonly receiveAddress: (from: NodeId, bytes: Uint8Array) => void;
  /** The member list or a row of it changed. Called at most once per turn of the event loop. */
  readonly membersChanged: (members: readonly Member[]) => void;
  /** Another machine has this node's identity and the better right to it (link/twins.ts): it must become another node. */
  readonly identityTaken?: ((rightful: Rightful) => void) | undefined;
  /** A copy of this node's data has been started so often at least: it gets no link with who knows of that before it was started more often. */
  readonly identityOutrun?: ((by: Outrun) => void) | undefined;
  /** The link listener is open, or could not be opened. */
  readonly ready: (error: SkeinError | undefined) => void;
}

/** Counters since start. */
export interface MeshCounters {
  /** Frames with a message put on the stream to a peer (one per peer, not per message). */
  readonly forwarded: number;
  /** Messages taken from peers. */
  readonly received: number;
  /** Numbered frames that came a second time, after a cut. */
  readonly duplicatesDropped: number;
  /** QoS 0 messages not sent to a peer because it was not live or its link was full. */
  readonly qos0Dropped: number;
  /** QoS 1 and 2 messages refused for a peer: too large for a frame (0x95), or too much is kept for it already (0x97). */
  readonly refused: number;
  /** SUBACKs sent before a suspect peer had the row (P4). */
  readonly lateBarriers: number;
  /** Control frames dropped because there was no link or it was full. */
  readonly controlDropped: number;
  /** Frames of a type this node does not know, from newer peers. They are passed over. */
  readonly unknownFrames: number;
  /** Frames passed on for two nodes that cannot reach each other. */
  readonly relayed: number;
}
