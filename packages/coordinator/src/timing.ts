/**
 * Raft timing and limits by profile.
 *
 * `lan`, the default, also suits Wi-Fi: an election starts 3.2-4.8 s after the last heartbeat, so the floating address
 * (kernel lifetime 2 s, renewed on fresh quorum contact only) is gone before another node can win. `wired` trades that
 * margin for a fail-over of about two seconds.
 *
 * Source: architecture.md section 5; reference design, sections 1.7 and 2.3.
 */

import type { NodeId, Prng } from "@skein/kernel";
import type { RaftOptions } from "raft-js";
import type { TimingProfile } from "./options.ts";
import type { ReplicaSizes } from "./replica/replica-sizes.ts";

/** The retained store, all that sessions may be owed, their queues and the proposers, with room to spare. */
const SNAPSHOT_BYTES_MAX = 1536 * 1024 * 1024;

const PROFILES = {
  lan: { heartbeatMs: 250, electionMinMs: 3200, electionMaxMs: 4800 },
  wired: { heartbeatMs: 100, electionMinMs: 1800, electionMaxMs: 2700 },
} as const;

/** After this long without a leader every voter has tried to be elected. */
export function electionMaxMs(profile: TimingProfile): number {
  return PROFILES[profile].electionMaxMs;
}

export function raftOptions(
  node: NodeId,
  profile: TimingProfile,
  sizes: ReplicaSizes,
  prng: Prng,
): RaftOptions {
  return {
    id: node,
    randomBelow: (bound) => prng.below(bound),
    ...PROFILES[profile],
    appendBytesMax: sizes.appendBytesMax,
    inflightMax: sizes.inflightMax,
    inflightBytesMax: 4 * 1024 * 1024,
    uncommittedBytesMax: 32 * 1024 * 1024,
    entriesKept: sizes.entriesKept,
    snapshotChunkBytes: sizes.snapshotChunkBytes,
    snapshotBytesMax: SNAPSHOT_BYTES_MAX,
  };
}
