/**
 * Where the clients of a test are: on one broker, or with SKEIN_CONFORMANCE_NODES=3 on the nodes of a mesh.
 *
 * On a mesh each connection goes to the next node, so whoever comes back comes to another one. A test that this does not suit says why: from
 * the first list, and all its clients are on one node of the mesh then; or from the second, and it has one broker without a mesh.
 */

export const ON_ONE_NODE = {
  limit: "a limit holds for each node",
  turns: "members of a shared subscription take turns on each node, and nodes among themselves",
  takeover: "who comes to another node is not dead: its will is not published",
  frame: "a frame is shared by the clients of one node",
} as const;

export const WITHOUT_MESH = {
  memory:
    "what the sessions of a mesh may hold together, and how many they are, is bounded by constants of the mesh",
} as const;

export type OneNodeReason = keyof typeof ON_ONE_NODE;
export type NoMeshReason = keyof typeof WITHOUT_MESH;

const { SKEIN_CONFORMANCE_NODES = "1" } = process.env;

/** Nodes that the tests run against. */
export const NODE_COUNT = Number(SKEIN_CONFORMANCE_NODES);
