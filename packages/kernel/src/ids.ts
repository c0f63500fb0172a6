/** Identifiers and units as branded types, so that one cannot be passed where another is meant. */

declare const brand: unique symbol;
type Brand<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A node: 16 lower-case hexadecimal digits (64 random bits), bound to one data directory for its whole life. */
export type NodeId = Brand<string, "NodeId">;
/** One Raft group: a UUID made by the node that founded it. */
export type ClusterId = Brand<string, "ClusterId">;
/** How many times a node has started. Grows by one with every start, so a restarted node is never mistaken for its past. */
export type Incarnation = Brand<number, "Incarnation">;
/** Milliseconds of a clock that never steps and never runs backwards. Its zero is arbitrary. */
export type MonotonicMs = Brand<number, "MonotonicMs">;

/** Whether `text` has the form of a {@link NodeId}. */
export function isNodeId(text: string): text is NodeId {
  return /^[0-9a-f]{16}$/.test(text);
}
