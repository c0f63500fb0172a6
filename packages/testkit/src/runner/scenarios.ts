/** Named subsets of the faults, for those who look for something. */

import type { ReplicaSizes } from "@skein/coordinator";
import type { WorldOptions } from "../world/world.ts";
import type { FaultKind } from "./schedule.ts";

export interface Scenario {
  readonly kinds: readonly FaultKind[];
  /** Undefined: drawn. */
  readonly durability?: WorldOptions["durability"];
  readonly nodes?: number;
  readonly onQuorumLoss?: WorldOptions["onQuorumLoss"];
  readonly sizes?: Partial<ReplicaSizes>;
  readonly isLogShort?: boolean;
  readonly limits?: WorldOptions["limits"];
  readonly strangers?: number;
  /** Half of the nodes begin with the program of the version before. */
  readonly isSkewed?: boolean;
  readonly retainedExpirySeconds?: WorldOptions["retainedExpirySeconds"];
  /** Clients with kept sessions share a subscription. */
  readonly hasSharers?: boolean;
  /** Nothing is written at the nodes themselves: what is acknowledged next is what a client said. */
  readonly isQuiet?: boolean;
  /** The only clients are some whose messages do not go through the log. */
  readonly hasOnlyTalkers?: boolean;
  /** So many topics are written at the nodes themselves; undefined: few (retained-writes.ts). */
  readonly topics?: number;
}

/** Minutes: no run takes so long. */
export const NEVER = 1_000_000;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  calm: { kinds: [] },
  address: { kinds: ["power", "partition", "pause", "suspend", "diskStall", "stop", "stranger"] },
  crashes: { kinds: ["crash", "crashAfterAck", "stop", "pause"] },
  // Who acknowledges too early dies with what was on its way.
  acknowledgements: { kinds: ["crashAfterAck", "clog"] },
  // The same for what goes to live subscribers alone, and no acknowledgement waits for the log.
  talk: { kinds: ["crashAfterAck"], nodes: 4, sizes: {}, isQuiet: true, hasOnlyTalkers: true },
  partitions: { kinds: ["partition", "severed", "clog", "cut"] },
  cuts: { kinds: ["cut", "clientsCut"] },
  disks: { kinds: ["diskStall", "diskFull", "syncError", "rot", "power"] },
  power: { kinds: ["power", "blackout"] },
  blackouts: { kinds: ["blackout", "power", "crash"], durability: "disk" },
  // Snapshots all the time, of which nearly everything stands in parts.
  parts: {
    kinds: ["crashInSnapshot", "power", "takeover"],
    durability: "disk",
    sizes: { snapshotEntries: 50, entriesKept: 100, partedBytes: 0, slabBytes: 256 },
  },
  wiped: { kinds: ["wipe", "crash", "partition"] },
  discovery: { kinds: ["mdnsSilence", "mdnsStale", "crash", "wallStep"] },
  isolation: { kinds: ["isolated", "cut", "clientsCut"] },
  roaming: { kinds: ["moved", "mdnsSilence", "isolated", "crash"] },
  // Leaders come and go whose wall clocks jump by years. No retained message expires within a run, whatever they say.
  clocks: { kinds: ["wallStep", "coup"], retainedExpirySeconds: 86_400 },
  elections: { kinds: ["coup", "usurp", "echo", "crash"] },
  figure8: { kinds: ["coup"], sizes: { appendBytesMax: 1000, inflightMax: 1 } },
  amnesia: { kinds: ["amnesia", "coup"], durability: "replicated" },
  rotten: { kinds: ["amnesia", "rot"], durability: "disk" },
  membership: { kinds: ["leave", "forget", "replaced", "coup", "cut"] },
  minority: { kinds: ["forgetAlone", "partition", "crash"], nodes: 5 },
  takeovers: { kinds: ["takeover", "crash", "stop", "pause", "partition", "severed", "power", "clientsCut"] },
  // Two nodes: whenever the voter is away the other one is without a quorum.
  pairs: {
    kinds: ["takeover", "crash", "stop", "pause", "partition", "severed", "power", "clientsCut"],
    nodes: 2,
  },
  // One node by itself: nobody else has what it has acknowledged, and all of it is there after every start.
  alone: {
    kinds: [
      "crash",
      "crashAfterAck",
      "crashInSnapshot",
      "power",
      "stop",
      "pause",
      "diskStall",
      "takeover",
      "clientsCut",
    ],
    nodes: 1,
    durability: "disk",
  },
  // Two nodes, of which one is without a quorum and dies. So many topics that what it loses is not written again before somebody misses it.
  outboxes: { kinds: ["crash", "pause", "severed"], nodes: 2, sizes: {}, topics: 300 },
  // Several nodes without a quorum that hear each other, and clients that go to and fro among them.
  minorities: { kinds: ["takeover", "partition", "crash", "severed", "clientsCut"], nodes: 5 },
  // The same where nodes without a quorum acknowledge nothing by themselves.
  holding: {
    kinds: ["takeover", "partition", "crash", "severed", "clientsCut"],
    nodes: 5,
    onQuorumLoss: "hold",
  },
  // Nodes that are away for longer than the log goes back. Some take so long to catch up that what they serve is old meanwhile.
  behind: {
    kinds: ["takeover", "partition", "severed"],
    sizes: { snapshotEntries: 50, entriesKept: 10 },
    isLogShort: true,
  },
  // The same, with a state that takes a second to decode, in which others come to lead, and this one dies or goes away again.
  decoding: {
    kinds: ["transfer", "partition", "severed", "crash"],
    sizes: { snapshotEntries: 50, entriesKept: 10, decodeBytes: 1000, decodePauseMs: 300 },
    topics: 100,
  },
  // Live subscribers only, and connections between nodes that end all the time, of which some go through a third one.
  detours: { kinds: ["isolated", "cut"], nodes: 4, sizes: {}, isQuiet: true, hasOnlyTalkers: true },
  // Clients that are away for longer than their queues have room.
  orphans: {
    kinds: ["takeover", "crash", "stop", "partition", "power", "clientsCut"],
    limits: { queuedMessagesMax: 100 },
  },
  // Clients come and go, and nothing else goes wrong: then it is known exactly what is left of them.
  chases: { kinds: ["takeover"], nodes: 3, isQuiet: true },
  // Long times without a fault, in which what clients that are away leave behind runs out.
  absences: { kinds: ["takeover", "crash"] },
  // Members of a shared subscription that keep their sessions come and go, and their nodes die.
  sharing: {
    kinds: ["takeover", "crash", "stop", "pause", "partition", "severed", "power", "clientsCut"],
    hasSharers: true,
  },
  voters: { kinds: ["partition", "severed"], nodes: 6 },
  clones: { kinds: ["clone", "stop", "cut", "clientsCut"] },
  // Copies that were in use while their originals were off. Five of seven vote: two may lack something at once.
  standIns: { kinds: ["standIn", "clientsCut"], nodes: 7 },
  merges: {
    kinds: ["apart", "crash", "partition", "pause", "power", "coup"],
    nodes: 6,
    sizes: { mergeChunkBytes: 60 },
  },
  meetings: {
    kinds: ["apart", "stop", "severed"],
    nodes: 5,
    sizes: { mergeChunkBytes: 100, newbornMinutes: 0 },
  },
  // Three nodes of other meshes: of the same name, of the same key, of neither. Machines change their addresses, and some of those come to them.
  foreign: {
    kinds: ["foreign", "moved", "crash", "partition", "cut", "mdnsSilence", "mdnsStale"],
    strangers: 3,
  },
  // A rolling update: at first some speak the version before, then one after the other gets the newest, later some the one before again.
  skew: {
    kinds: ["update", "takeover", "crash", "partition", "isolated", "cut"],
    isSkewed: true,
    sizes: { settleMinutes: NEVER },
  },
  // The same without a way back: when all have it, the log goes on in the newest version.
  upgrade: { kinds: ["update", "takeover", "crash", "stop"], isSkewed: true, sizes: { settleMinutes: 100 } },
  // Leadership is handed over on purpose while anything else goes wrong, and while nothing does.
  transfers: {
    kinds: ["transfer", "takeover", "crash", "partition", "severed", "clog", "pause", "diskStall", "coup"],
  },
  handovers: { kinds: ["transfer"] },
  growth: { kinds: ["arrive", "schism", "coup"], nodes: 7 },
};
