/**
 * Which version of the protocol (docs/architecture.md, "Versions") a cluster's log and snapshots are written in.
 *
 * Every replica must make the same of an entry, so what only the newest program knows may stand in a log only when no member is left that
 * runs the one before. That cannot be left to whoever proposes, because each knows of others what it has heard: the version in force is
 * part of the replicated state. It is raised by an entry (cluster-commands.ts) that the leader appends once every member speaks the
 * newer one (membership/upgrade.ts), and never falls. A replica takes what a later version brought for malformed until then,
 * whether its program knows it or not. A program that does not know the version in force cannot go on, and says so.
 *
 * Source: etcd's cluster version; reference users.md R27 (versions N and N-1 mix).
 */

import { SkeinError } from "@skein/kernel";

/** Of logs and snapshots that name none. */
export const FIRST_LOG_VERSION = 3;

/** The newest that this program knows. */
export const NEWEST_LOG_VERSION = 4;

/** `version` is in force, and this program knows nothing newer than `known`. */
export function unknownVersion(version: number, known: number): SkeinError {
  return new SkeinError(
    "ERR_SKEIN_VERSION",
    `Cannot go on: the mesh was updated to version ${version} of its protocol, and this program knows versions up to ${known}. Update Skein on this node, and start it again`,
  );
}
