import { type NodeId, type QoS, SkeinError } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCommand, encodeCommand } from "../../src/state-machine/commands.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { A, B, message, SessionWorld, will, wish } from "./session-world.ts";

type Step = (world: SessionWorld, claims: Map<string, { node: NodeId; claim: number }>) => void;

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

const steps: fc.Arbitrary<Step> = fc.oneof(
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
    return (world) => world.publish(node, topic, `${world.log.length}`, qos, retain);
  }),
  fc.tuple(clients, fc.integer({ min: 1, max: 3 })).map(([clientId, packetId]) =>
    ofClaim(clientId, (world, node, claim) => {
      const published = message("t", `${world.log.length}`, 2);
      world.propose(node, { kind: "publishOnce", clientId, claim, packetId, message: published });
    }),
  ),
  fc
    .tuple(clients, fc.integer({ min: 1, max: 3 }))
    .map(([clientId, packetId]) =>
      ofClaim(clientId, (world, node, claim) =>
        world.propose(node, { kind: "release", clientId, claim, packetId }),
      ),
    ),
  fc
    .tuple(clients, fc.nat(6))
    .map(([clientId, ordinal]) =>
      ofClaim(clientId, (world, node, claim) =>
        world.propose(node, { kind: "confirm", clientId, claim, ordinal }),
      ),
    ),
  fc.tuple(clients, fc.uniqueArray(fc.nat(6))).map(([clientId, some]) =>
    ofClaim(clientId, (world, node, claim) => {
      const ordinals = some.sort((a, b) => a - b);
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

test("a replica that is restored in the middle of any history ends in the same state, byte for byte", () => {
  const histories = fc.array(steps, { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(histories, fc.nat(), (history, cut) => {
      const world = new SessionWorld();
      const claims = new Map<string, { node: NodeId; claim: number }>();
      for (const step of history) step(world, claims);
      const at = cut % (world.log.length + 1);
      const before = new StateMachine();
      for (const [index, bytes] of world.log.slice(0, at).entries()) before.apply(bytes, index + 1);
      const restored = new StateMachine();
      restored.restore(before.snapshot());
      expect(restored.snapshot()).toEqual(before.snapshot());
      expect(restored.sessions.owed.bytes).toBe(before.sessions.owed.bytes);
      for (const [index, bytes] of world.log.slice(at).entries()) restored.apply(bytes, at + index + 1);
      expect(restored.snapshot()).toEqual(world.machine.snapshot());
      expect(restored.stateHash()).toBe(world.machine.stateHash());
    }),
    { numRuns: 500 },
  );
});

test("commands about sessions come back from their bytes as they were", () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 30 }), (history) => {
      const world = new SessionWorld();
      const claims = new Map<string, { node: NodeId; claim: number }>();
      for (const step of history) step(world, claims);
      for (const bytes of world.log.filter(([format]) => format === 2)) {
        expect(encodeCommand(decodeCommand(bytes))).toEqual(bytes);
      }
    }),
  );
});

test("bytes that are cut off or changed are refused or mean something, and never end a process", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { will: will("t", "w") });
  world.subscribe(A, "c", claim, wish("t/+", { identifier: 5 }));
  world.publish(A, "t/u", "x", 2);
  const snapshot = world.machine.snapshot();
  fc.assert(
    fc.property(fc.nat(snapshot.length - 1), fc.nat(255), (at, value) => {
      for (const bytes of [
        snapshot.slice(0, at),
        snapshot.map((byte, place) => (place === at ? value : byte)),
      ]) {
        try {
          new StateMachine().restore(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SkeinError);
        }
      }
    }),
    { numRuns: 500 },
  );
});
