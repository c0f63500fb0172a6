/**
 * The whole contract between the core and its driver: what goes into `step` and what comes out.
 *
 * The driver carries out effects in order. `persist` and `restore` are asynchronous: the driver starts them, goes on
 * with the next effect, and when the write is safe first sends `sendAfter`, then steps `persisted` or `restored`.
 * Writes complete in the order they were started. Everything else (heartbeats and their replies) is sent at once and
 * never waits for a disk (the shape of etcd's AsyncStorageWrites).
 */

import type { Outgoing, RaftMessage } from "./messages.ts";
import type { Configuration, Entry, HardState, ServerId, Snapshot, SnapshotPoint } from "./types.ts";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export type RaftEvent =
  /** `wakeAt` has come. */
  | { readonly kind: "wake" }
  | { readonly kind: "receive"; readonly from: ServerId; readonly message: RaftMessage }
  /** Appends `commands` in one batch if this server leads; otherwise `refused` comes back. */
  | { readonly kind: "propose"; readonly commands: readonly Uint8Array[] }
  /** Moves to this target: joint consensus where the voters change, entered and left automatically (paper section 6). */
  | {
      readonly kind: "changeConfiguration";
      readonly voters: readonly ServerId[];
      readonly learners: readonly ServerId[];
    }
  /** The write that ended at entry (`index`, `term`) is safe, and every write before it. */
  | { readonly kind: "persisted"; readonly index: number; readonly term: number }
  /** The snapshot of a `restore` effect is safe and the state machine has taken it over. */
  | { readonly kind: "restored"; readonly index: number; readonly term: number }
  /** The application has saved a snapshot of its own: entries up to `index - entriesKept` may go. */
  | { readonly kind: "compacted"; readonly point: SnapshotPoint }
  /** The driver has handed a snapshot for `to` to the network, or could not (then it will be asked for again). */
  | { readonly kind: "snapshotSent"; readonly to: ServerId; readonly ok: boolean };

export type RaftEffect =
  | {
      readonly kind: "persist";
      /** Set when term or vote changed. Must then be forced to the medium whatever the profile says. */
      readonly hardState: HardState | undefined;
      /** May overwrite: entries on disk from `entries[0].index` on are replaced. */
      readonly entries: readonly Entry[];
      /** Last entry of the log after this write; what `persisted` reports. */
      readonly index: number;
      readonly term: number;
      readonly sendAfter: readonly Outgoing[];
    }
  | { readonly kind: "send"; readonly to: ServerId; readonly message: RaftMessage }
  /** Committed entries, in order, each exactly once between restarts; all kinds, so that indexes are visible. */
  | { readonly kind: "apply"; readonly entries: readonly Entry[] }
  /** Replace state machine, disk log and snapshot by this one. */
  | {
      readonly kind: "restore";
      readonly snapshot: Snapshot;
      readonly hardState: HardState;
      readonly sendAfter: readonly Outgoing[];
    }
  /** A follower needs a snapshot: send it `installSnapshot` with this `term` and the newest saved snapshot. */
  | { readonly kind: "sendSnapshot"; readonly to: ServerId; readonly term: number }
  | {
      readonly kind: "roleChanged";
      readonly role: Role;
      readonly term: number;
      readonly leader: ServerId | undefined;
    }
  | { readonly kind: "configurationChanged"; readonly configuration: Configuration }
  /** A proposal or change could not be taken now. */
  | {
      readonly kind: "refused";
      readonly what: "commands" | "configuration";
      readonly reason: "notLeader" | "changePending" | "tooMuchUncommitted";
    };
