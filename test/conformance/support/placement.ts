/**
 * Where the clients of a test are: on one broker, or with SKEIN_CONFORMANCE_NODES=3 on the nodes of a mesh.
 *
 * On a mesh each new client identifier goes to the next node, and a client that comes back comes back to its node. A test that
 * this does not suit says why, from this list; all its clients are on one node of the mesh then.
 */

export const ON_ONE_NODE = {
  session: "a session lives on one node until sessions are replicated",
  limit: "a limit holds for each node",
  turns: "members of a shared subscription take turns on each node, and nodes among themselves",
  away: "which members of a shared subscription are away on another node no node knows yet",
  frame: "a frame is shared by the clients of one node",
} as const;

export type OneNodeReason = keyof typeof ON_ONE_NODE;

const { SKEIN_CONFORMANCE_NODES = "1" } = process.env;

/** Nodes that the tests run against. */
export const NODE_COUNT = Number(SKEIN_CONFORMANCE_NODES);
