/** What the rest of the node and the status pages see of the control plane, computed from Raft and the member list. */

import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftStatus } from "raft-js";
import type { Arrival } from "./formation/arrival.ts";
import { electionWait, isSameWait } from "./membership/election-wait.ts";
import type { KnownNodes } from "./membership/known-nodes.ts";
import { foreignClusterIn } from "./merge/foreign-cluster.ts";
import type { MergeStatus } from "./merge/merge-events.ts";
import type { Merging } from "./merge/merging.ts";
import type { CoordinatorStatus, PeerView } from "./options.ts";
import type { DiskFailures } from "./replica/disk-failures.ts";
import type { Driver } from "./replica/driver.ts";
import type { LeaderContact } from "./replica/leader-contact.ts";
import type { ReplicaFaults } from "./replica/replica-faults.ts";
import { FIRST_LOG_VERSION } from "./state-machine/log-version.ts";

/** A leader that renews the address with every answer of its quorum hears of one so often: less than the shortest heartbeat. */
const CONTACT_TOLD_EVERY_MS = 90;

export interface StatusInput {
  readonly node: NodeId;
  readonly arrival: Arrival;
  readonly driver: Driver;
  readonly peers: readonly PeerView[];
  readonly contact: LeaderContact;
  /** Silence after which a leader no longer counts as heard, in ms. */
  readonly silenceMs: number;
  readonly logVersion: number;
  readonly pendingProposals: number;
  readonly replicaFaults: ReplicaFaults;
  readonly diskFailures: DiskFailures;
  /** Voters that an election waits for before this node takes part in it. */
  readonly awaited: readonly NodeId[];
  readonly known: KnownNodes;
  readonly merging: Merging;
  readonly now: MonotonicMs;
}

/** What is computed from it and from Raft. */
type Seen = StatusInput & { readonly raft: RaftStatus };

interface Roster {
  readonly voters: readonly NodeId[];
  readonly learners: readonly NodeId[];
}

const rosters = new WeakMap<RaftStatus["configuration"], Roster>();

/** The status of a node that belongs to no cluster yet. */
export function freshStatus(): CoordinatorStatus {
  return {
    cluster: undefined,
    coordinator: undefined,
    term: 0,
    role: "learner",
    hasQuorum: false,
    voters: [],
    learners: [],
    logVersion: FIRST_LOG_VERSION,
    pendingProposals: 0,
    quorumContactAt: undefined,
    leaseUntil: undefined,
    isSuspect: false,
    isDiverged: false,
    staysDiverged: false,
    electionWait: undefined,
    isDiskFull: false,
    isDiskStalled: false,
    silentLeader: undefined,
    isDiskDying: false,
    forkOf: undefined,
    foreignCluster: undefined,
    merge: undefined,
    isOutranked: false,
    conflicts: 0,
    droppedConflicts: 0,
  };
}

export function memberStatus(input: StatusInput): CoordinatorStatus {
  const { node, arrival, driver, peers, merging, now } = input;
  const { cluster, fork } = arrival;
  const raft = driver.status(now);
  const { voters, learners } = rosterOf(raft.configuration);
  const isVoter = voters.includes(node);
  // Before an entry of its own term is committed a leader may not know all that is committed (Raft paper, section 8).
  const isEstablished = raft.role === "leader" && driver.applied.term === raft.term;
  return {
    cluster,
    coordinator: raft.leader as NodeId | undefined,
    term: raft.term,
    role: raft.role === "leader" ? "leader" : isVoter ? "voter" : "learner",
    hasQuorum: hasQuorum({ ...input, raft }),
    voters,
    learners,
    logVersion: input.logVersion,
    pendingProposals: input.pendingProposals,
    quorumContactAt: isEstablished ? raft.quorumContactAt : undefined,
    leaseUntil: isEstablished ? raft.leaseUntil : undefined,
    isSuspect: raft.isSuspect,
    isDiverged: raft.isDiverged,
    staysDiverged: raft.isDiverged && input.replicaFaults.isFinal,
    electionWait: electionWait(raft, input.awaited, input.known),
    isDiskFull: driver.isDiskFull,
    isDiskStalled: driver.isStalled(now),
    silentLeader: silentLeader({ ...input, raft }),
    isDiskDying: input.diskFailures.isDying,
    forkOf: fork?.cluster === cluster ? fork?.parent : undefined,
    foreignCluster: foreignClusterIn(peers, cluster),
    merge: merging.status,
    isOutranked: merging.isOutranked,
    conflicts: merging.conflictCount,
    droppedConflicts: merging.droppedConflicts,
  };
}

/**
 * Whether there is nothing to tell the whole node: what waits for a commit changes with every write, and a quorum's answer comes
 * several times a second, which only the address needs to hear ({@link isContactNews}).
 */
export function isSameStatus(a: CoordinatorStatus, b: CoordinatorStatus): boolean {
  return (
    a.cluster === b.cluster &&
    a.coordinator === b.coordinator &&
    a.term === b.term &&
    a.role === b.role &&
    a.hasQuorum === b.hasQuorum &&
    (a.quorumContactAt === undefined) === (b.quorumContactAt === undefined) &&
    a.isSuspect === b.isSuspect &&
    a.isDiverged === b.isDiverged &&
    a.staysDiverged === b.staysDiverged &&
    a.isDiskFull === b.isDiskFull &&
    a.isDiskStalled === b.isDiskStalled &&
    a.silentLeader === b.silentLeader &&
    a.logVersion === b.logVersion &&
    a.isDiskDying === b.isDiskDying &&
    isSameWait(a.electionWait, b.electionWait) &&
    a.foreignCluster === b.foreignCluster &&
    isSameMerge(a.merge, b.merge) &&
    a.isOutranked === b.isOutranked &&
    a.conflicts === b.conflicts &&
    areSameNodes(a.voters, b.voters) &&
    areSameNodes(a.learners, b.learners)
  );
}

/** Whether a quorum's answer is worth telling: a sole voter is its own quorum at any time. */
export function isContactNews(
  { quorumContactAt: told = 0 }: CoordinatorStatus,
  { quorumContactAt: now = 0 }: CoordinatorStatus,
): boolean {
  return now - told >= CONTACT_TOLD_EVERY_MS;
}

function isSameMerge(a: MergeStatus | undefined, b: MergeStatus | undefined): boolean {
  const [topics, others] = [a, b].map((merge) => (merge?.kind === "taking" ? merge.topics : 0));
  return a?.kind === b?.kind && a?.other === b?.other && topics === others;
}

/** Who takes part, sorted. Kept with its configuration, which changes seldom, while the status is looked at in every turn. */
function rosterOf(configuration: RaftStatus["configuration"]): Roster {
  let roster = rosters.get(configuration);
  if (roster === undefined) {
    const { voters, votersOutgoing, learners } = configuration;
    roster = {
      voters: [...new Set([...voters, ...votersOutgoing])].sort() as NodeId[],
      learners: [...learners].sort() as NodeId[],
    };
    rosters.set(configuration, roster);
  }
  return roster;
}

function areSameNodes(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a === b || a.join() === b.join();
}

/** A leader is known and was heard, or was answered by a quorum, within an election timeout; one that is cut off is not heard. */
function hasQuorum(input: Seen): boolean {
  const { raft, now, silenceMs } = input;
  if (raft.leader === undefined) return false;
  const contactAt = raft.role === "leader" ? raft.quorumContactAt : input.contact.quorumAt;
  if (raft.role !== "leader" && input.contact.from !== raft.leader) return false;
  return contactAt !== undefined && now - contactAt < silenceMs;
}

function silentLeader({ contact, now, silenceMs, raft }: Seen): NodeId | undefined {
  return raft.role !== "leader" && now - contact.at >= silenceMs ? contact.from : undefined;
}
