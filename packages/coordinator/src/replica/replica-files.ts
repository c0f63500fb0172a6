/**
 * The journal of this node as bootstrap and restart need it: opened, set aside, or begun for a new cluster.
 *
 * Order on disk: a founder writes its journal before its identity, so that a crash in between leaves a fresh node; a
 * joiner writes its identity before its first answer to the cluster.
 */

import type { Clock, ClusterId, Disk, DiskDone, Log, RandomSource } from "@skein/kernel";
import { foundingState } from "raft-js";
import { newClusterId, settleIdentity } from "../formation/identity.ts";
import { reservePath } from "../journal/files.ts";
import { Journal, type JournalOptions, type OpenedJournal } from "../journal/journal.ts";
import { Remains } from "../journal/remains.ts";
import { writeSuspectMarkNow } from "../journal/suspect-mark.ts";
import type { Identity } from "../options.ts";

export const REPLICA_FOLDER = "journal";
/** Held back for a full disk: a week of terms, votes and a busy hour of other nodes' entries. */
const RESERVE_BYTES = 1024 * 1024;
/** A file of an earlier identity's journal. */
const ARCHIVED = /\.old-(\d+)$/;

export interface ReplicaFilesPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: RandomSource;
  readonly log: Log;
  readonly bootId?: string | undefined;
}

/** Opens the journal of a node that has just adopted a cluster: empty. @throws {SkeinError} ERR_SKEIN_DISK */
export function openReplica(ports: ReplicaFilesPorts, options: JournalOptions): OpenedJournal {
  const { disk, log, clock, bootId } = ports;
  const more = { bootId, reserveBytes: RESERVE_BYTES, clock };
  return Journal.open(disk, REPLICA_FOLDER, log, clock.wallMs(), { ...options, ...more });
}

/**
 * Opens the journal of a member that starts again. One without any log may have had one: it is suspect, and must not
 * vote before it has caught up (reference design, trap 6). @throws {SkeinError} ERR_SKEIN_DISK
 */
export function reopenReplica(
  ports: ReplicaFilesPorts,
  options: JournalOptions,
  identity: Identity,
): OpenedJournal {
  const opened = openReplica(ports, options);
  const { state } = opened;
  if (identity.hasMoved) return movedReplica(ports, opened, identity);
  if (state.snapshot.index > 0 || state.entries.length > 0) return opened;
  return { ...opened, state: { ...state, isSuspect: true } };
}

/**
 * On another machine than the last time it may be a copy of a journal that is in use, and where a copy was in use meanwhile it lacks what that has
 * acknowledged: two that vote as one could un-commit what a majority has acknowledged. A copy that has not heard a leader grants no vote that counts, and whoever hears the leader is
 * found out there (mesh, link/twins.ts).
 */
function movedReplica(
  { disk, log }: ReplicaFilesPorts,
  opened: OpenedJournal,
  identity: Identity,
): OpenedJournal {
  const { state } = opened;
  if (!state.isSuspect)
    writeSuspectMarkNow(disk, REPLICA_FOLDER, { hardState: state.hardState, asideSince: 0 });
  settleIdentity(disk, identity);
  log.warn(
    { home: identity.home },
    "this data directory, or a copy of it, was in use on another machine before: catching up before voting",
  );
  return { ...opened, state: { ...state, isSuspect: true } };
}

/**
 * A journal of an earlier identity, or of a founding that did not complete, must not become a fresh node's log. It is kept as
 * an archive, under names that end in `.old-<wallMs>`: it may hold what nobody else has.
 * @throws {SkeinError} ERR_SKEIN_DISK
 */
export function setOldReplicaAside(ports: ReplicaFilesPorts): void {
  const { disk, clock, log } = ports;
  const archives: number[] = [];
  const names: string[] = [];
  for (const name of disk.list(REPLICA_FOLDER)) {
    const archivedAt = ARCHIVED.exec(name)?.[1];
    if (archivedAt !== undefined) archives.push(Number(archivedAt));
    else if (!name.includes(".bad-") && `${REPLICA_FOLDER}/${name}` !== reservePath(REPLICA_FOLDER))
      names.push(name);
  }
  if (names.length === 0) return;
  // Its own time, whatever the wall clock does: an archive never replaces another.
  const now = Math.max(0, Math.floor(clock.wallMs()), ...archives.map((time) => time + 1));
  for (const name of names) disk.rename(`${REPLICA_FOLDER}/${name}`, `${REPLICA_FOLDER}/${name}.old-${now}`);
  log.warn({ files: names.length }, "set aside the journal of an earlier identity");
}

/**
 * Writes the founding state of a one-voter cluster durably, then calls `done` with the new cluster and its journal.
 * @throws {SkeinError} ERR_SKEIN_DISK
 */
export function foundReplica(
  ports: ReplicaFilesPorts,
  identity: Identity,
  options: JournalOptions,
  done: (cluster: ClusterId, opened: OpenedJournal, error: Parameters<DiskDone>[0]) => void,
): void {
  const cluster = newClusterId(ports.random);
  const state = foundingState(identity.node);
  const { journal } = openReplica(ports, options);
  ports.log.info({ cluster }, "no mesh in sight; founded a cluster");
  journal.persist({ hardState: state.hardState, entries: state.entries }, (error) => {
    const remains = new Remains();
    done(cluster, { journal, state, snapshotData: undefined, isDamaged: false, remains }, error);
  });
}
