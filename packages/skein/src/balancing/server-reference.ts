/**
 * Where MQTT 5 clients may go when their connection to this node must end: the Server Reference of DISCONNECT 0x9C.
 *
 * The nodes with the fewest clients first, those that clients of other machines can reach. Source: MQTT 5 section 4.11 (a list
 * separated by spaces; `host:port`, IPv6 in brackets).
 */

import type { NodeId } from "@skein/kernel";
import type { Member } from "@skein/mesh";
import { formatHostPort, Problem, parseHostPort } from "../config/addresses.ts";

/** The text must fit into the packets that small clients take. */
const NODES_MAX = 3;

type Candidate = Pick<Member, "id" | "state" | "isLinked" | "clients" | "address" | "mqttPort">;

/** Undefined: there is no other node. */
export function serverReference(members: readonly Candidate[], self: NodeId): string | undefined {
  const nodes = members
    .filter(
      ({ id, state, isLinked, mqttPort }) => id !== self && state === "alive" && isLinked && mqttPort !== 0,
    )
    .sort((a, b) => a.clients - b.clients)
    .flatMap(({ address, mqttPort }) => {
      const link = parseHostPort(address);
      return link instanceof Problem ? [] : [formatHostPort({ host: link.host, port: mqttPort })];
    });
  return nodes.length === 0 ? undefined : nodes.slice(0, NODES_MAX).join(" ");
}
