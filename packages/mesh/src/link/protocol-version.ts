/**
 * Which versions of the protocol a node speaks, and whether two nodes can talk.
 *
 * A node speaks the newest version and the one before, so that a mesh can be updated box by box. What only the newest knows is left out
 * towards a peer that speaks the one before, and out of the log until every node speaks it (coordinator, membership/upgrade.ts).
 */

/** From the oldest to the newest version spoken. */
export interface ProtocolVersions {
  readonly oldest: number;
  readonly newest: number;
}

/**
 * Version 3: the first one that is spoken; what came before did not know the log of today.
 * Version 4: the log says that a PUBLISH with QoS 2 was a repetition (coordinator, state-machine/log-version.ts).
 */
export const SPOKEN_VERSIONS: ProtocolVersions = { oldest: 3, newest: 4 };

/** Whether there is a version that both speak. */
export function isSpokenByBoth(a: ProtocolVersions, b: ProtocolVersions): boolean {
  return Math.min(a.newest, b.newest) >= Math.max(a.oldest, b.oldest);
}
