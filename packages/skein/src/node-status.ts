/**
 * What a node says about itself and its mesh: one document for `skein status`, /api/status and every dashboard.
 *
 * A pure function of what mesh, coordinator and broker report, so that each judgement (what counts as degraded, who holds
 * the address, what one more failure would do) stands in one place and can be tested without a node. Documented for programs in
 * docs/reference/status.md: fields are added, never renamed or removed.
 */

import type { CoordinatorCounters, CoordinatorStatus } from "@skein/coordinator";
import type { MonotonicMs, NodeId } from "@skein/kernel";
import type { Member, MeshCounters } from "@skein/mesh";
import { addressHolder } from "./address-holder.ts";
import type { NodeReport } from "./reports/node-report.ts";
import type { ReceivedReport } from "./reports/report-exchange.ts";
import type { FullQueue } from "./status/full-queues.ts";
import { headline } from "./status/headline.ts";
import { membersOf } from "./status/member-rows.ts";
import type { Note } from "./status/note.ts";
import { notesOf } from "./status/notes.ts";
import { reasonsOf } from "./status/reasons.ts";
import type { Since } from "./status/since.ts";
import { type Consequence, whatIf } from "./status/what-if.ts";

export type Health = "healthy" | "degraded" | "down";

/** Since the process began. */
interface StatusCounters {
  readonly links: MeshCounters;
  /** `passedByAllQueues`: messages that no kept session got, because all queues together had no room. */
  readonly store: CoordinatorCounters & { readonly passedByAllQueues: number };
}

export interface MemberStatus {
  /** 16 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly role: "leader" | "voter" | "learner";
  /** It has, or is about to get, a copy of what the mesh keeps. */
  readonly hasReplica: boolean;
  /** MQTT clients connected to it. */
  readonly clients: number;
  /** `host:port` of its link listener; empty for the node itself. */
  readonly address: string;
  readonly holdsAddress: boolean;
  /** On a cable, not on Wi-Fi; null: unknown. */
  readonly isWired: boolean | null;
  /** There is no link to it, but a third node passes everything on. */
  readonly isRelayed: boolean;
  /** That node's id; null: there is none. */
  readonly relay: string | null;
  /** Time to it and back; null for the node itself and without a link. */
  readonly rttMs: number | null;
  /** How long nothing has come from it; null for the node itself and while it is alive. */
  readonly unheardMs: number | null;
  readonly uptimeMs: number;
  /** The rest it tells every ten seconds, over its link; null: it has not yet. */
  readonly version: string | null;
  readonly memoryBytes: number | null;
  /** Messages received from clients. */
  readonly messagesPerSecond: number | null;
  /** How far its wall clock is ahead of this node's. */
  readonly clockOffsetMs: number | null;
  /** Entries of the log that its replica lacks, as the coordinator knows; null: unknown. */
  readonly lagEntries: number | null;
  /** Its replica does not hold what the others agree on. */
  readonly isDiverged: boolean;
  /** Why it cannot hold the floating address; null: it can, or there is none. */
  readonly addressProblem: string | null;
}

export interface NodeStatus {
  readonly mesh: string;
  /** UUID of the cluster; null until this node has founded or joined one. */
  readonly cluster: string | null;
  readonly node: string;
  readonly name: string;
  readonly version: string;
  /** Node id of the coordinator, null while none is heard that a majority answers. */
  readonly coordinator: string | null;
  /** How long this node has seen the same one; null while there is none. */
  readonly coordinatorForMs: number | null;
  readonly term: number;
  readonly quorum: boolean;
  /** Voters without which there can be no coordinator now (after a power cut of all), by node id; empty otherwise. */
  readonly waitsFor: readonly { readonly id: string; readonly name: string | null }[];
  readonly health: Health;
  /** The other cluster of this mesh that is in sight or is being merged, and how that stands; null: none. */
  readonly merge: { readonly other: string; readonly state: string; readonly topics: number | null } | null;
  /** The version of the protocol that the mesh keeps its state in: programs that do not know it have to be updated first. */
  readonly logVersion: number;
  /** Retained values that gave way to others and wait in `skein conflicts`. */
  readonly conflicts: number;
  /** How many more there were, of which only the number is left. */
  readonly droppedConflicts: number;
  /** Health and what it means for clients in one line. */
  readonly headline: string;
  /** Why the node is not healthy. Empty when it is. */
  readonly reasons: readonly string[];
  /** What is not broken but worth knowing. */
  readonly notes: readonly string[];
  /** `address` is null without a floating address, `holder` (a node id) while nobody is known to hold it. */
  readonly vip: {
    readonly address: string | null;
    readonly holder: string | null;
    readonly heldForMs: number | null;
  };
  /** What would happen if one node failed now; one entry for each that is alive. */
  readonly ifFails: readonly Consequence[];
  /** All nodes, this one included, by name. */
  readonly members: readonly MemberStatus[];
  /** MQTT clients connected to this node. */
  readonly clients: number;
  /** Retained messages in this node's replica. */
  readonly retained: number;
  /** No replica is known to lack anything. */
  readonly isInSync: boolean;
  /** Sessions that messages passed by in the last ten minutes, because their queues are full: the newest, five at most. */
  readonly fullQueues: readonly FullQueue[];
  /** What this node has counted since its process began: the links to other nodes, and what it has in common with them. */
  readonly counters: StatusCounters;
}

/** What {@link nodeStatus} is made from. */
export interface StatusInputs {
  readonly mesh: string;
  readonly node: string;
  readonly name: string;
  readonly timing: "lan" | "wired";
  readonly isServing: boolean;
  readonly isStopping: boolean;
  /** It is leaving the mesh, and has sent its clients away. */
  readonly hasParted: boolean;
  readonly coordinator: CoordinatorStatus;
  /** Entries that each replica lacks; only the coordinator knows. */
  readonly lags: ReadonlyMap<NodeId, number>;
  /** Clock.monotonicMs. */
  readonly now: MonotonicMs;
  readonly members: readonly Member[];
  readonly heardAt: (node: NodeId) => MonotonicMs | undefined;
  readonly floatingAddress:
    | {
        readonly address: string;
        readonly isHeld: boolean;
        readonly problem: string | undefined;
        readonly warnings: readonly string[];
      }
    | undefined;
  readonly clients: number;
  readonly retained: number;
  readonly ownReport: NodeReport;
  readonly reportOf: (node: NodeId) => ReceivedReport | undefined;
  readonly since: Since;
  /** Client ids that several devices use; nodes that are not what they were, or are not seen where they should be. */
  readonly changes: readonly Note[];
  readonly fullQueues: readonly FullQueue[];
  readonly counters: StatusCounters;
}

/** From the last word of a coordinator to a new one that holds the address, in ms: timing.ts, figures in docs/plan.md. */
const TAKE_OVER_MS = { lan: 4000, wired: 2300 } as const;
/** A replica this close has all but the last moments (the voter policy's measure). */
const UP_TO_DATE_ENTRIES = 250;

/** Builds the status document. */
export function nodeStatus(inputs: StatusInputs): NodeStatus {
  const { coordinator, now, since } = inputs;
  // One that a majority does not answer, or that is not heard, coordinates nothing.
  const leader = coordinator.hasQuorum ? coordinator.coordinator : undefined;
  const holder = holderOf(inputs);
  const reasons = reasonsOf(inputs, holder);
  const health =
    !inputs.isServing || inputs.isStopping ? "down" : reasons.length > 0 ? "degraded" : "healthy";
  const members = membersOf(inputs, holder);
  const ifFails = consequences(inputs, members, holder);
  const ago = (at: MonotonicMs | undefined): number | null =>
    at === undefined ? null : Math.round(now - at);
  return {
    mesh: inputs.mesh,
    cluster: coordinator.cluster ?? null,
    node: inputs.node,
    name: inputs.name,
    version: inputs.ownReport.version,
    coordinator: leader ?? null,
    coordinatorForMs: leader === undefined ? null : ago(since.coordinator(leader)),
    term: coordinator.term,
    quorum: coordinator.hasQuorum,
    waitsFor: (coordinator.electionWait?.voters ?? []).map(({ id, name }) => ({ id, name: name ?? null })),
    merge: mergeOf(coordinator),
    logVersion: coordinator.logVersion,
    conflicts: coordinator.conflicts,
    droppedConflicts: coordinator.droppedConflicts,
    health,
    headline: headline(health, reasons, ifFails),
    reasons,
    notes: notesOf(inputs).map(({ text }) => text),
    vip: {
      address: inputs.floatingAddress?.address ?? null,
      holder: holder ?? null,
      heldForMs: holder === undefined ? null : ago(since.holder(holder)),
    },
    ifFails,
    members,
    clients: inputs.clients,
    retained: inputs.retained,
    isInSync: isInSync(inputs, members),
    fullQueues: inputs.fullQueues,
    counters: inputs.counters,
  };
}

function mergeOf({ merge, foreignCluster }: CoordinatorStatus): NodeStatus["merge"] {
  if (merge === undefined)
    return foreignCluster === undefined ? null : { other: foreignCluster, state: "comparing", topics: null };
  return { other: merge.other, state: merge.kind, topics: merge.kind === "taking" ? merge.topics : null };
}

function holderOf({ floatingAddress, coordinator, members, node }: StatusInputs): string | undefined {
  if (floatingAddress === undefined) return undefined;
  const { isHeld } = floatingAddress;
  return addressHolder({ node, isHeld, coordinator: coordinator.coordinator, members });
}

function consequences(
  inputs: StatusInputs,
  members: readonly MemberStatus[],
  holder: string | undefined,
): readonly Consequence[] {
  const { coordinator, floatingAddress, timing } = inputs;
  // A node that belongs to no cluster yet has nothing to say about one.
  if (coordinator.cluster === undefined) return [];
  return whatIf({
    nodes: members.map((member) => ({
      id: member.id,
      name: member.name,
      isAlive: member.state === "alive",
      isVoter: coordinator.voters.includes(member.id as NodeId),
      isUpToDate: isUpToDate(member),
      canHoldAddress: floatingAddress !== undefined && member.addressProblem === null,
      clients: member.clients,
    })),
    coordinator: coordinator.coordinator,
    hasQuorum: coordinator.hasQuorum,
    hasAddress: floatingAddress !== undefined,
    holder,
    takeOverMs: TAKE_OVER_MS[timing],
  });
}

/** As far as is known. */
function isUpToDate({ lagEntries, isDiverged }: MemberStatus): boolean {
  return (lagEntries ?? 0) <= UP_TO_DATE_ENTRIES && !isDiverged;
}

function isInSync({ coordinator }: StatusInputs, members: readonly MemberStatus[]): boolean {
  return coordinator.hasQuorum && members.every((member) => member.state !== "alive" || isUpToDate(member));
}
