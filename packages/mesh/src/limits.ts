/**
 * Times and sizes that several parts of the mesh must agree on, each with its reason.
 *
 * Limits of a single part stand in its own file. Source: reference/design.md 3.3-3.5; architecture.md section 4.
 */

const MIB = 1024 * 1024;

/** Largest frame body. A snapshot chunk or a large MQTT payload must fit; more than this is a broken peer. */
export const FRAME_BYTES_MAX = 64 * MIB;

/** Largest application message that is forwarded: leaves room in the frame for the list of shared subscriptions. */
export const FORWARD_BYTES_MAX = 63 * MIB;

/** A link that carried nothing for this long carries a heartbeat. */
export const HEARTBEAT_MS = 1000;

/**
 * The same of a node with at least MANY_LINKS links: beats grow with the square of the mesh, and what must be noticed sooner than
 * by silence of 3 s (a leader's death) has heartbeats of its own. With a tick's delay half a second below SUSPECT_AFTER_MS.
 */
export const HEARTBEAT_OF_MANY_MS = 2000;

/** From this many links on, what goes to each of them at fixed times goes less often. */
export const MANY_LINKS = 8;

/** How often a heartbeat asks for an echo, which tells how long the way is (round-trip.ts); of a node with many links. */
export const ECHO_MS = 5 * HEARTBEAT_MS;
export const ECHO_OF_MANY_MS = 10 * HEARTBEAT_OF_MANY_MS;

/** How often silence is looked for: fine enough that no limit below is missed by more than half a heartbeat. */
export const TICK_MS = 500;

/** Silence after which a member is suspect: three heartbeats in a small mesh, so that one or two late ones mean nothing. */
export const SUSPECT_AFTER_MS = 3000;

/** Silence after which the link is reset and dialled anew, while there is still time to be heard before `dead`. */
export const LINK_SILENCE_MAX_MS = 5000;

/** Silence after which a member is dead: double the suspicion, above the stalls of an SD card or a Wi-Fi roam (2-5 s). */
export const DEAD_AFTER_MS = 6000;

/** A member known only from what others say: six digest rounds, since digests come at random. */
export const INDIRECT_DEAD_AFTER_MS = 60_000;

/** Rows of a dead member are kept this long, so that a short outage does not cost a full transfer. */
export const DEAD_ROWS_KEPT_MS = 60_000;

/** A dead member is listed for a day, so that its owner sees what is missing. */
export const DEAD_FORGOTTEN_MS = 24 * 60 * 60 * 1000;

/** One that was taken out of the cluster, or left it: longer than anybody may still pass on that it was alive. */
export const REMOVED_FORGOTTEN_MS = 10_000;

/** How often one random peer is asked to compare versions (anti-entropy). */
export const DIGEST_MS = 10_000;

/** Other nodes a node will remember; more are ignored. Ten times the largest mesh this design is meant for. */
export const MEMBERS_MAX = 1024;
