/** Two clusters of one mesh in sight of each other: found in the member list, said once a minute. */

import type { ClusterId, Log } from "@skein/kernel";
import type { PeerView } from "./options.ts";

const WARN_EVERY_MS = 60_000;

/** A formed cluster other than `cluster` among living members; undefined while this node is fresh. */
export function foreignClusterIn(
  peers: readonly PeerView[],
  cluster: ClusterId | undefined,
): ClusterId | undefined {
  if (cluster === undefined) return undefined;
  return peers.find(
    (peer) => peer.state === "alive" && peer.cluster !== undefined && peer.cluster !== cluster,
  )?.cluster;
}

export class ForeignClusterWarning {
  readonly #mesh: string;
  readonly #log: Log;
  #warnAt = 0;

  constructor(mesh: string, log: Log) {
    this.#mesh = mesh;
    this.#log = log;
  }

  /** A few times a second. */
  tick(peers: readonly PeerView[], cluster: ClusterId | undefined, now: number): void {
    const foreign = foreignClusterIn(peers, cluster);
    if (foreign === undefined || now < this.#warnAt) return;
    this.#warnAt = now + WARN_EVERY_MS;
    this.#log.warn({ cluster, foreign, mesh: this.#mesh }, "two clusters of one mesh are in sight");
  }
}
