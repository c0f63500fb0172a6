/** Makes what the tests run against: as many nodes as SKEIN_CONFORMANCE_NODES says. */

import type { Authenticator, BrokerOptions } from "@skein/broker";
import { LoneNode } from "./lone-node.ts";
import type { Nodes } from "./nodes.ts";
import { NODE_COUNT } from "./placement.ts";

export const makeNodes = NODE_COUNT > 1 ? await forMesh() : forOne;

function forOne(options: Partial<BrokerOptions>, authenticator?: Authenticator): Nodes {
  return new LoneNode(options, (ports) => ({ ...ports, authenticator }));
}

/** The simulator with all that a node is made of is loaded only where it is needed. */
async function forMesh(): Promise<typeof forOne> {
  const { MeshNodes } = await import("./mesh-nodes.ts");
  return (options, authenticator) => new MeshNodes(NODE_COUNT, options, authenticator);
}
