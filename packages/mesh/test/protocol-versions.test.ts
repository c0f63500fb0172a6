/** Nodes of two versions in one mesh: the newest and the one before talk, anything further apart is refused. */

import { ByteReader, ByteWriter, type ClusterId, type Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import { decodeHello } from "../src/codec.ts";
import { factsOfNewcomer, type NodeFacts } from "../src/index.ts";
import { SPOKEN_VERSIONS } from "../src/link/protocol-version.ts";
import { decodeMembers, encodeMembers } from "../src/member-codec.ts";
import type { MemberRow } from "../src/messages.ts";
import { nodeId, type SimNode, World } from "./support/world.ts";

const TOLD: NodeFacts = {
  ...factsOfNewcomer("pi1"),
  cluster: "c1" as ClusterId,
  role: "voter",
  clients: 3,
  machine: "00112233445566ff",
  isWired: false,
  flushP99Ms: 12,
  mqttPort: 1883,
  httpPort: 8080,
};

function seenBy(viewer: SimNode, other: SimNode) {
  return viewer.mesh.members.find((member) => member.id === other.id);
}

test("all facts of a node, its uptime, its version and the round trip to it are known to its peers", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  a!.mesh.setFacts(TOLD);
  world.clock.run(30_000);
  const seen = seenBy(b!, a!);
  expect(seen).toMatchObject({ ...TOLD, isRelayed: false, protocolVersion: SPOKEN_VERSIONS.newest });
  // The list may be ten seconds old.
  expect(seen?.uptimeMs).toBeGreaterThan(19_000);
  expect(seen?.uptimeMs).toBeLessThanOrEqual(world.clock.monotonicMs());
  expect(seen?.rttMs).toBeGreaterThan(0);
  expect(seen?.rttMs).toBeLessThan(50);
  expect(seenBy(a!, a!)).toMatchObject({ rttMs: undefined, protocolVersion: SPOKEN_VERSIONS.newest });
  world.close();
});

test("nodes of the newest version and of the one before form one mesh, and know of each other which one that is", () => {
  const world = new World();
  const { newest } = SPOKEN_VERSIONS;
  const old = world.start(1, { protocolVersions: { oldest: newest - 1, newest: newest - 1 } });
  const [b, c] = [world.start(2), world.start(3)];
  world.untilFormed();
  world.clock.run(30_000);
  expect(seenBy(b, old)).toMatchObject({ protocolVersion: newest - 1 });
  expect(seenBy(b, c)).toMatchObject({ protocolVersion: newest });
  expect(seenBy(old, b)).toMatchObject({ protocolVersion: newest });

  const subscribed = old.subscribe("t");
  world.clock.runUntil(() => subscribed.isComplete, 1000, "acknowledged");
  const published = b.publish("t", "x");
  world.clock.runUntil(() => published.isComplete, 1000, "accepted");
  expect(old.payloads("t")).toEqual(["x"]);
  world.close();
});

test("a version further away is refused with a sentence that names the node and what to update", () => {
  const world = new World();
  const here = world.start(1, { protocolVersions: { oldest: 2, newest: 3 } });
  const old = world.start(2, { protocolVersions: { oldest: 1, newest: 1 } });
  world.clock.run(10_000);
  expect(here.linked).toHaveLength(0);
  expect(here.logged.join("\n")).toContain(
    "node-2 speaks protocol version 1, this node versions 2 to 3: update Skein on node-2.",
  );
  expect(old.logged.join("\n")).toContain(
    "node-1 speaks protocol versions 2 to 3, this node version 1: update Skein on this node.",
  );
  world.close();
});

test("a program that knows one version number only finds the oldest one spoken where it looks", () => {
  const world = new World();
  world.start(1);
  const seen: Uint8Array[] = [];
  world.network.transport("10.0.0.9", "key").dial("10.0.0.1:7883", 1000, (result) => {
    if (result instanceof Error) throw result;
    result.start({ received: (bytes) => seen.push(bytes.slice()), drained: () => {}, closed: () => {} });
  });
  world.clock.run(200);
  const body = seen[0]!.subarray(5);
  expect(new ByteReader(body).varint()).toBe(SPOKEN_VERSIONS.oldest);
  expect(decodeHello(body).versions).toEqual(SPOKEN_VERSIONS);
  world.close();
});

test("a reader takes the fields it knows of a row and passes over those added later", () => {
  const row: MemberRow = {
    ...TOLD,
    node: nodeId(1),
    incarnation: 1 as Incarnation,
    hasLeft: false,
    heardAgoMs: 0,
    address: "",
    factsVersion: 1,
    uptimeMs: 9,
    protocolVersion: 3,
    interestVersion: 4,
  };
  const out = new ByteWriter();
  encodeMembers({ wantsReply: false, rows: [row] }, out);
  const bytes = out.finish();
  const partAt = bytes.length - 1 - (1 + 1 + 8 + 1 + 1 + 2 + 2);
  expect(bytes[partAt]).toBe(16);
  const longer = Uint8Array.from([...bytes.subarray(0, partAt), 18, ...bytes.subarray(partAt + 1), 7, 7]);
  expect(decodeMembers(longer).rows).toEqual([row]);
  const shorter = Uint8Array.from([
    ...bytes.subarray(0, partAt),
    2,
    ...bytes.subarray(partAt + 1, partAt + 3),
  ]);
  expect(decodeMembers(shorter).rows[0]).toMatchObject({ protocolVersion: 3, uptimeMs: 9, machine: "" });
});

test("a frame of a type that only a newer peer knows is passed over and counted", () => {
  const world = new World();
  const [a, b] = world.formed(2);
  world.clock.run(5000);
  for (const stream of world.network.streamsBetween(a!.host, b!.host)) {
    stream.write(Uint8Array.of(0, 0, 0, 2, 99, 1));
  }
  world.clock.run(1000);
  expect([a!, b!].map((node) => node.mesh.counters.unknownFrames)).toEqual([1, 1]);
  expect([...a!.logged, ...b!.logged].some((line) => line.includes("link lost"))).toBe(false);
  world.close();
});
