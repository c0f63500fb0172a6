/** Settings, ports and status of the coordinator layer. */

import type {
  ApplicationMessage,
  Clock,
  ClusterId,
  Disk,
  Incarnation,
  Log,
  NodeId,
  Prng,
  ProcessPort,
  RandomSource,
} from "@skein/kernel";
import type { InterfaceView } from "./address/setup.ts";
import type { Durability } from "./journal/stop-mark.ts";
import type { ElectionWait } from "./membership/election-wait.ts";
import type { MergeNews, MergeStatus, OutdatedNews } from "./merge/merge-events.ts";
import type { OnQuorumLoss } from "./proposals/outbox.ts";
import type { ObservedEntry } from "./replica/observed-entry.ts";
import type { ReplicaSizes } from "./replica/replica-sizes.ts";
import type { Early } from "./sessions/early-exchange.ts";
import type { FromLog } from "./sessions/sessions.ts";

export type { Durability };

/** What a node remembers about itself for ever (file `identity.json`). */
export interface Identity {
  readonly node: NodeId;
  readonly incarnation: Incarnation;
  /** The cluster it belongs to; undefined until it has founded or joined one. */
  readonly cluster: ClusterId | undefined;
  /** The machine it was made on (identity.ts); empty: unknown. */
  readonly home: string;
  /** The machine it runs on; empty: unknown. */
  readonly machine: string;
  /** It starts on another machine than the last time: moved there, or copied. */
  readonly hasMoved: boolean;
  /** The name this node had when it found that its identity was another's; undefined: it never did. */
  readonly copyOf: string | undefined;
}

/** Timing profile (architecture.md section 5). */
export type TimingProfile = "lan" | "wired";

export interface CoordinatorOptions {
  readonly identity: Identity;
  readonly mesh: string;
  readonly timing: TimingProfile;
  /** What an acknowledgement promises (architecture.md section 5). Default: `replicated`. */
  readonly durability?: Durability;
  /** What happens to writes without a quorum. Default: `outbox` (outbox.ts). */
  readonly onQuorumLoss?: OnQuorumLoss;
  /** Bytes of messages owed to sessions that this node has room for (store-limits.ts). Default: it has nothing to say about it. */
  readonly owedBytesMax?: number | undefined;
  /** The newest version of the protocol that this program speaks (log-version.ts). */
  readonly protocolVersion?: number | undefined;
  /** Other sizes than the usual ones, for tests. */
  readonly sizes?: Partial<ReplicaSizes>;
}

/** Called once when an action is over: undefined when it is done, else one sentence that says why not and what to do. */
export type ActionDone = (error: string | undefined) => void;

/** The part of a mesh member that the coordinator needs. */
export interface PeerView {
  readonly id: NodeId;
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly cluster: ClusterId | undefined;
  readonly isLinked: boolean;
  /** Its link goes through a third node. */
  readonly isRelayed: boolean;
  /** 16 hexadecimal digits that nodes on one machine share; empty: unknown. */
  readonly machine: string;
  /** Its network is a cable, not Wi-Fi; undefined: unknown. */
  readonly isWired: boolean | undefined;
  /** Of its disk flushes 99 % take no longer than this; 0: unknown. */
  readonly flushP99Ms: number;
  /** Time to it and back; undefined: not measured. */
  readonly rttMs: number | undefined;
  /** How long its process had been running when this was told; 0: unknown. */
  readonly uptimeMs: number;
  /** The newest version of the protocol it speaks. */
  readonly protocolVersion: number;
}

export interface CoordinatorPorts {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly random: RandomSource;
  readonly disk: Disk;
  readonly log: Log;
  /**
   * Which run of this machine this is: the same text as long as the machine does not restart. Undefined: not known;
   * then every unclean stop counts as a power cut.
   */
  readonly bootId?: string | undefined;
  /** Sends a control frame over the link to `to`; lost if there is none. */
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  /** Status changed (role, term, leader, cluster, quorum, voters). At most once per turn. */
  readonly statusChanged: (status: CoordinatorStatus) => void;
  /** This node leads, a quorum has answered anew (`quorumContactAt`), and else nothing has changed. Several times a second. */
  readonly quorumAnswered: (status: CoordinatorStatus) => void;
  /**
   * Leadership is being handed over: stop holding what only the leader may hold (the floating address), then call
   * `released`. Without this port nothing is held.
   */
  readonly giveUpLease?: (released: () => void) => void;
  /**
   * This node leaves its mesh: it neither leads nor votes any more, and its clients should go now, before it is taken out
   * (true); or it stays after all (false). Without this port nobody is told.
   */
  readonly parting?: (isParting: boolean) => void;
  /** The disk failed in a way that this process must not survive (failed sync): stop, so that the supervisor restarts. */
  readonly fatal: (error: Error) => void;
  /**
   * The identity on disk has been replaced: this node is another one from now on, or the same with a later start (Ending.outrun). Stop it, and build
   * it anew from its data directory, in the same process or another.
   */
  readonly startAgain: (reason: string) => void;
  readonly merged?: ((news: MergeNews) => void) | undefined;
  /** Told for each such topic. */
  readonly outdated?: ((news: OutdatedNews) => void) | undefined;
  /**
   * A message that the log publishes to everybody: for the live subscribers of this node. `isFirstHand`: this node also picks the members
   * of shared subscriptions. Not called for what a replica catches up with at its start. Without this port nobody hears of it.
   */
  readonly publishFromLog?: FromLog;
  /** A message of this node has found no room in a queue, or in the retained store. Without this port nobody counts it. */
  readonly messageRefused?: () => void;
  /** Without a quorum: a message that comes before the log has it. Without this port nobody hears of it until then. */
  readonly publishEarly?: Early;
  readonly observer?: CoordinatorObserver | undefined;
}

/**
 * Sees each step of the replicated log as it happens, where `statusChanged` shows only the state at the end of a turn. For
 * checks from outside (the simulator): it must not call back.
 */
export interface CoordinatorObserver {
  readonly leadershipChanged: (role: string, term: number) => void;
  readonly applied: (entry: ObservedEntry) => void;
  /** The state now is a snapshot's: the node's own at its start, or a leader's. */
  readonly restored: (index: number, term: number) => void;
  /** A read was answered from what this node knows: no quorum has confirmed that it is current. */
  readonly readUncertain: () => void;
}

export interface CoordinatorStatus {
  readonly cluster: ClusterId | undefined;
  /** The leader of the cluster, undefined while there is none. */
  readonly coordinator: NodeId | undefined;
  readonly term: number;
  /** This node's part. */
  readonly role: "leader" | "voter" | "learner";
  /** A leader is known and was heard within an election timeout. */
  readonly hasQuorum: boolean;
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** The version of the log that is in force (log-version.ts). */
  readonly logVersion: number;
  /** Proposals of this node that are not committed yet. */
  readonly pendingProposals: number;
  /** Leader with a committed entry of its term: send time of the newest heartbeat a quorum answered (Clock.monotonicMs). */
  readonly quorumContactAt: number | undefined;
  /** Likewise: until then no other node can be elected (Clock.monotonicMs). */
  readonly leaseUntil: number | undefined;
  /** This node's disk may have lost what it acknowledged: until it has caught up its vote counts only if all voters grant. */
  readonly isSuspect: boolean;
  /** This replica does not hold what the others agree on: it neither votes nor leads until it has the leader's state. */
  readonly isDiverged: boolean;
  /** It has diverged again within an hour, and stays so. */
  readonly staysDiverged: boolean;
  /** Why there is no coordinator, where every voter is needed for one. */
  readonly electionWait: ElectionWait | undefined;
  /** No durable messages are taken from this node's clients: its disk has no room. It passes when there is room. */
  readonly isDiskFull: boolean;
  /** A write of this node has been under way for too long: what it leads does not make progress. */
  readonly isDiskStalled: boolean;
  /** The leader that was heard last and has been silent for an election timeout since. */
  readonly silentLeader: NodeId | undefined;
  /** This node's disk is dying (disk-failures.ts): it asks not to vote. */
  readonly isDiskDying: boolean;
  /** The cluster that this one was forked off by hand (`skein forget` without a quorum), as far as this node knows. */
  readonly forkOf?: ClusterId | undefined;
  /** Another formed cluster of the same mesh is in sight. */
  readonly foreignCluster: ClusterId | undefined;
  /** How things stand with it; undefined: none is in sight, and none is being merged. */
  readonly merge: MergeStatus | undefined;
  /** Another cluster in sight has the better claim to the floating address. */
  readonly isOutranked: boolean;
  /** Retained values that gave way to others (conflicts.ts), and that nobody has looked at yet. */
  readonly conflicts: number;
  /** How many more there were, which had to go for want of room. */
  readonly droppedConflicts: number;
}

/** What this node counted since it started. */
export interface CoordinatorCounters {
  /** Control frames that could not be decoded. */
  readonly malformedFrames: number;
  /** Control frames that named another cluster. */
  readonly foreignFrames: number;
  /** Control frames of kinds that only newer versions know; ignored. */
  readonly unknownFrames: number;
  /** Raft messages that no node which keeps the rules sends: implausible, of an unreachable term, too large. */
  readonly rejectedMessages: number;
  /** Commands in the log that could not be decoded and changed nothing. */
  readonly malformedCommands: number;
  /** Retained writes with QoS 0 that were dropped because too many were pending. */
  readonly droppedWrites: number;
  /** Retained writes that were refused with a reason code. */
  readonly refusedWrites: number;
  /** Reads of retained messages that were answered from what this node knows, for want of a quorum. */
  readonly uncertainReads: number;
  /** SUBACKs of kept sessions that went out before every node in reach had applied the subscription. */
  readonly lateBarriers: number;
}

/** A message in the retained store. */
export type RetainedMessage = ApplicationMessage;

export interface FloatingAddressOptions {
  /** IPv4 or IPv6 address without prefix length. */
  readonly address: string;
  /** Network interface, such as `eth0`. */
  readonly networkInterface: string;
}

export interface FloatingAddressPorts {
  readonly clock: Clock;
  readonly process: ProcessPort;
  readonly log: Log;
  /** Resets every client connected to `address` (v5 clients get DISCONNECT 0x8B first). Called before release. */
  readonly resetClients: (address: string) => void;
  /** What clients use where the address does not work, such as `home.local or node addresses`. */
  readonly otherWay: string;
  /** A network interface of this machine as it is now; undefined: there is none of that name. */
  readonly interfaceOf: (name: string) => InterfaceView | undefined;
  /** Time since the machine was booted, sleep included, in ms; undefined: not known. */
  readonly bootMs: () => number | undefined;
  /** Whether an Ethernet address belongs to a node of the mesh. */
  readonly isMember: (mac: string) => boolean;
  /** Another node of the mesh answers for the address that this one holds. */
  readonly contested: () => void;
  /** The machine slept. */
  readonly suspended: () => void;
}
