/**
 * Which versions of the protocol a node speaks, and which one two nodes talk in.
 *
 * A node speaks the newest version and older ones, so that a mesh can be updated box by box. Two nodes talk in the
 * newest version that both speak; everything a version does not know is left out towards a peer that talks in it.
 */

/** From the oldest to the newest version spoken. */
export interface ProtocolVersions {
  readonly oldest: number;
  readonly newest: number;
}

/**
 * Version 1: members without machine, network and ports; no echo of heartbeats; unknown frame types are an error.
 * Version 2: member rows carry a part that grows, heartbeats may ask for an echo, unknown frame types are passed over.
 * Version 3: messages of QoS 0 may come as the PUBLISH packets that they were published in.
 */
export const SPOKEN_VERSIONS: ProtocolVersions = { oldest: 1, newest: 3 };

/** From this version on a member row has the part that grows, and heartbeats may have a body. */
export const VERSION_GROWING_ROWS = 2;

/** From this version on PUBLISH packets are passed on as they came. */
export const VERSION_PUBLISH_PACKETS = 3;

/** The newest version that both speak; undefined if there is none. */
export function commonVersion(a: ProtocolVersions, b: ProtocolVersions): number | undefined {
  const newest = Math.min(a.newest, b.newest);
  return newest >= Math.max(a.oldest, b.oldest) ? newest : undefined;
}
