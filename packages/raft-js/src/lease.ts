/**
 * Until when nobody can be elected in a later term. (A late vote may still elect the leader of an earlier term: nobody
 * listens to it, it commits nothing and has no lease.)
 *
 * Who answers a heartbeat helps nobody to depose its leader for one minimum election timeout from then on, not even over
 * a restart. So once a quorum has answered, the leader is alone for that long, counted from when it SENT the heartbeat,
 * less a margin for clocks that run at different speeds. Thesis 6.4.1. CheckQuorum is no lease: it lets a leader believe
 * in itself for longer than others wait.
 */

import { quorumValue } from "./quorum.ts";
import type { Server } from "./server.ts";

/** 1 %: crystals are off by 0.01 %, clocks that are being set by 0.05 %. */
const DRIFT = 0.01;
const GUARD_MS = 50;

/**
 * Send time of the newest heartbeat that a quorum has answered; undefined before the first.
 *
 * A leader that hands leadership over has none any more: its target is elected although the others have just heard it. Nor
 * has one that another server follows as the only voter: that one leads at once after a restart of its own.
 */
export function quorumContactAt(server: Server, now: number): number | undefined {
  if (!server.isLeader || server.transfer !== undefined) return undefined;
  if (yieldsToOne(server)) return undefined;
  const sentAt = quorumValue(server.log.configuration, (voter) =>
    voter === server.id ? now : (server.followers.get(voter)?.ackedSentAt ?? Number.NEGATIVE_INFINITY),
  );
  return sentAt === Number.NEGATIVE_INFINITY ? undefined : sentAt;
}

/** End of the lease in ms, on this server's clock; undefined without one. */
export function leaseUntil(server: Server, now: number): number | undefined {
  return leaseFrom(server, quorumContactAt(server, now));
}

/** The same of a server that a quorum has answered a heartbeat of `contactAt`. */
export function leaseFrom({ options }: Server, contactAt: number | undefined): number | undefined {
  if (contactAt === undefined) return undefined;
  const { electionMinMs, leaseGuardMs = GUARD_MS } = options;
  return contactAt + electionMinMs * (1 - DRIFT) - leaseGuardMs;
}

/** The newest configuration leaves another server as the only voter, now or after the present change. */
export function yieldsToOne({ log, id }: Server): boolean {
  const { voters } = log.configuration;
  return voters.length === 1 && voters[0] !== id;
}
