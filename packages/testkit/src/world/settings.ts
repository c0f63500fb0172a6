/** The settings of the node on a simulated machine, as its operator would have written them. */

import { type ProtocolVersions, SPOKEN_VERSIONS } from "@skein/mesh";
import type { AssemblyOptions } from "skein/assembly";
import { HOME } from "./allegiance.ts";
import type { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

const LINK_PORT = 7883;

/** Which versions of the protocol the program on a machine speaks: the newest one, or the one before. */
export function spokenOn({ isOutdated }: Pick<SimNode, "isOutdated">): ProtocolVersions {
  const before = SPOKEN_VERSIONS.newest - 1;
  return isOutdated ? { oldest: before, newest: before } : SPOKEN_VERSIONS;
}

export function settingsOf({ options, hosts, floating }: World, node: SimNode): AssemblyOptions {
  const { index, host, allegiance } = node;
  const { hasStaticPeers, timing, durability, onQuorumLoss = "outbox", sizes, limits } = options;
  const others = hosts.filter((peer) => peer !== host);
  return {
    name: `node-${index}`,
    mesh: allegiance.mesh,
    linkListen: `0.0.0.0:${LINK_PORT}`,
    peers: hasStaticPeers ? others.map((peer) => `${peer}:${LINK_PORT}`) : [],
    timing,
    durability,
    onQuorumLoss,
    sizes,
    limits,
    // Every machine has another room.
    owedBytesMax: 2 ** 26 + index,
    protocolVersions: spokenOn(node),
    // What other meshes do with an address of their own concerns nobody here.
    floatingAddress:
      allegiance === HOME ? { address: floating.address, networkInterface: "eth0" } : undefined,
  };
}
