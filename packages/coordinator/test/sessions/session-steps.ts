/** Any history of sessions, for properties. */

import type { NodeId, QoS } from "@skein/kernel";
import * as fc from "fast-check";
import { NEWEST_LOG_VERSION } from "../../src/state-machine/log-version.ts";
import { A, aloneAt, B, message, SessionWorld, will, wish } from "./session-world.ts";

/** Who has claimed which session last. */
type Claims = Map<string, { node: NodeId; claim: number }>;

export type Step = (world: SessionWorld, claims: Claims) => void;

const clients = fc.constantFrom("a", "b", "c");
const nodes = fc.constantFrom(A, B);
const topics = fc.constantFrom("t", "t/u", "v");
const filters = fc.constantFrom("t", "t/#", "+", "$share/g/t", "$share/g/#");
const levels = fc.constantFrom(0, 1, 2) as fc.Arbitrary<QoS>;

/** A command of a claim, which may not hold any more. */
function ofClaim(client: string, use: (world: SessionWorld, node: NodeId, claim: number) => void): Step {
  return (world, claims) => {
    const held = claims.get(client);
    if (held !== undefined) use(world, held.node, held.claim);
  };
}

export const steps: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(nodes, clients, fc.boolean(), fc.constantFrom(0, 60, 3600))
    .map(([node, client, cleanStart, expirySeconds]): Step => {
      return (world, claims) => {
        const claim = world.open(node, client, {
          cleanStart,
          expirySeconds,
          will: will("t", `will of ${client}`, 20),
        });
        claims.set(client, { node, claim });
      };
    }),
  fc
    .tuple(clients, filters, levels)
    .map(([client, filter, qos]) =>
      ofClaim(client, (world, node, claim) =>
        world.subscribe(
          node,
          client,
          claim,
          wish(filter, { qos, identifier: qos + 1, retainAsPublished: qos === 2 }),
        ),
      ),
    ),
  fc
    .tuple(clients, filters)
    .map(([clientId, filter]) =>
      ofClaim(clientId, (world, node, claim) =>
        world.propose(node, { kind: "unsubscribe", clientId, claim, filters: [filter] }),
      ),
    ),
  fc.tuple(nodes, topics, levels, fc.boolean()).map(([node, topic, qos, retain]): Step => {
    return (world) => world.publish(node, topic, `${world.name}${world.log.length}`, qos, retain);
  }),
  fc.tuple(clients, fc.integer({ min: 1, max: 3 })).map(([clientId, packetId]) =>
    ofClaim(clientId, (world, node, claim) => {
      const published = message("t", `${world.name}${world.log.length}`, 2);
      world.propose(node, {
        kind: "publishOnce",
        isRepeated: false,
        clientId,
        claim,
        packetId,
        message: published,
      });
    }),
  ),
  // Sent to two nodes, of which one had no quorum.
  fc
    .tuple(nodes, clients, fc.integer({ min: 1, max: 3 }), fc.boolean(), fc.boolean(), fc.nat(80))
    .map(([node, clientId, packetId, isRepeated, isOlder, seenThrough]): Step => {
      return (world, claims) => {
        const held = claims.get(clientId);
        if (held === undefined) return;
        const once = { kind: "publishOnce", isRepeated, clientId, packetId } as const;
        const said = { ...once, message: message("t", `${world.name}again`, 2) };
        if (isOlder) world.propose(node, { ...said, claim: 0 }, 1, aloneAt(seenThrough));
        else world.propose(held.node, { ...said, claim: held.claim });
      };
    }),
  fc
    .tuple(clients, fc.integer({ min: 1, max: 3 }))
    .map(([clientId, packetId]) =>
      ofClaim(clientId, (world, node, claim) =>
        world.propose(node, { kind: "release", clientId, claim, packetId }),
      ),
    ),
  fc
    .tuple(clients, fc.nat(6))
    .map(([clientId, place]) =>
      ofClaim(clientId, (world, node, claim) =>
        world.propose(node, { kind: "confirm", clientId, claim, ordinal: world.ordinal(clientId, place) }),
      ),
    ),
  fc.tuple(clients, fc.uniqueArray(fc.nat(6))).map(([clientId, some]) =>
    ofClaim(clientId, (world, node, claim) => {
      const ordinals = world.ordinals(clientId, ...some.sort((a, b) => a - b));
      world.propose(node, { kind: "acknowledge", sessions: [{ clientId, claim, ordinals }] });
    }),
  ),
  fc
    .tuple(clients, fc.constantFrom("publish", "discard", "defer"))
    .map(([client, fate]) =>
      ofClaim(client, (world, node, claim) => world.close(node, client, claim, fate as "defer")),
    ),
  nodes.map(
    (node): Step =>
      (world) =>
        world.nodeDown(node),
  ),
  fc.integer({ min: 1, max: 200 }).map(
    (seconds): Step =>
      (world) =>
        void world.pass(seconds),
  ),
);

/** A world in which `history` has happened. */
export function worldOf(history: readonly Step[], name = ""): SessionWorld {
  const world = new SessionWorld(name);
  world.decide({ kind: "version", version: NEWEST_LOG_VERSION });
  const claims: Claims = new Map();
  for (const step of history) step(world, claims);
  return world;
}
