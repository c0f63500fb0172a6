/** What a node is made with (assembly.ts): its settings, and the world outside as ports. */

import type { Authenticator, BrokerOptions } from "@skein/broker";
import type {
  CoordinatorObserver,
  Durability,
  FloatingAddressOptions,
  OnQuorumLoss,
  ReplicaSizes,
  TimingProfile,
} from "@skein/coordinator";
import type {
  Clock,
  Disk,
  LinkTransport,
  Log,
  MulticastDns,
  NodeId,
  ProcessPort,
  RandomSource,
  SkeinError,
} from "@skein/kernel";
import type { JoiningSettings, NodeFacts, ProtocolVersions } from "@skein/mesh";
import type { PassedClients } from "./balancing/client-balancing.ts";
import type { NetworkPort } from "./client-entrance.ts";
import type { Vitals } from "./node-watch.ts";
import type { ReadyReason } from "./readiness.ts";

export interface AssemblyOptions {
  /** Human name. */
  readonly name: string;
  readonly mesh: string;
  /** `host:port` to accept links on. */
  readonly linkListen: string;
  /** `host:port` of peers to dial. */
  readonly peers: readonly string[];
  readonly timing: TimingProfile;
  /** What an acknowledgement promises: see CoordinatorOptions. */
  readonly durability: Durability;
  readonly onQuorumLoss?: OnQuorumLoss;
  /** Bytes of messages owed to sessions that this node has room for: see CoordinatorOptions. */
  readonly owedBytesMax?: number | undefined;
  /** Other sizes of the replica than the usual ones, for tests. */
  readonly sizes?: Partial<ReplicaSizes>;
  /** Other options of the broker than the usual ones. */
  readonly limits?: Partial<BrokerOptions> | undefined;
  readonly floatingAddress: FloatingAddressOptions | undefined;
  /** Other versions of the mesh's protocol than this program speaks, for tests. */
  readonly protocolVersions?: ProtocolVersions | undefined;
  /** 5.0 clients whose connection must end are told of another node. */
  readonly isRedirecting?: boolean;
}

/** What a node tells the others about its machine (mesh NodeFacts). */
export type HostFacts = Pick<NodeFacts, "machine" | "isWired" | "mqttPort" | "httpPort">;

export interface AssemblyPorts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly disk: Disk;
  /** Which run of the machine this is, as long as it does not restart; undefined: not known. */
  readonly bootId: string | undefined;
  /** A hash of what tells this machine from every other and is not on its disk; empty: there is nothing. Default: empty. */
  readonly hardware?: string;
  /** Asked once a second: the network may change. */
  readonly host: () => HostFacts;
  /** What the process says of itself in the status. */
  readonly vitals?: () => Vitals;
  /** Undefined: no client is passed on. */
  readonly passedClients?: PassedClients;
  /** A request of another node's operator (exercises/node-requests.ts). */
  readonly receiveRequest?: (from: NodeId, bytes: Uint8Array) => void;
  /** The machine as the floating address must know it. */
  readonly network: NetworkPort;
  /** Links that only holders of the mesh key can open; the node's id is its name in the handshake. */
  readonly transport: (node: NodeId) => LinkTransport;
  /** Enhanced authentication of clients; undefined: there is none. */
  readonly authenticator?: Authenticator | undefined;
  /** Undefined: nobody can be invited here. */
  readonly joining?: JoiningSettings | undefined;
  /** Undefined: discovery by mDNS is off. */
  readonly mdns: MulticastDns | undefined;
  readonly process: ProcessPort;
  /** The log of one of the node's parts. */
  readonly log: (component: "identity" | "coordinator" | "mesh" | "broker" | "address" | "watch") => Log;
  /** The link listener is open, or could not be opened. */
  readonly linksOpen: (error: SkeinError | undefined) => void;
  /** Clients may be let in: open the listeners, then call {@link NodeAssembly.clientsWelcome}. */
  readonly ready: (reason: ReadyReason) => void;
  /** This node is about to leave its mesh: close the listeners. Should it stay after all, `ready` is called again. */
  readonly clientsLeave: () => void;
  /** The node can no longer run and must be stopped. */
  readonly failed: (error: Error) => void;
  /** This node has become another one, on disk, or must go on behind a copy of itself: it must be stopped, and a new assembly made in its place. */
  readonly startAgain: (reason: string) => void;
  /** Sees what the replicated log does, for checks from outside. */
  readonly observer?: CoordinatorObserver | undefined;
}
