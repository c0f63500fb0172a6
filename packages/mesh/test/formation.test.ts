/** Nodes find each other, form one link per pair, and refuse whom they must refuse. */

import type { Incarnation } from "@skein/kernel";
import { expect, test } from "vitest";
import { FRAME_BYTES_MAX } from "../src/limits.ts";
import { FrameSplitter } from "../src/link/frame.ts";
import { Echo, FrameType } from "../src/messages.ts";
import { nodeId, World } from "./support/world.ts";

test("three nodes find each other by mDNS and form a full mesh within 3 s", () => {
  const world = new World();
  for (const index of [1, 2, 3]) world.start(index);
  expect(world.untilFormed()).toBeLessThan(3000);
  for (const node of world.nodes) {
    expect(node.readyError).toBeUndefined();
    expect(node.mesh.members.map((member) => member.state)).toEqual(["alive", "alive", "alive"]);
    expect(node.mesh.members[0]?.id).toBe(node.id);
    expect(node.mesh.linkPort).toBe(7883);
  }
  world.close();
});

test("twenty nodes form a full mesh with one link per pair", () => {
  const world = new World(20);
  for (let index = 1; index <= 20; index++) world.start(index);
  expect(world.untilFormed()).toBeLessThan(10_000);
  world.clock.run(3000);
  expect(world.network.open.size).toBe(20 * 19);
  world.close();
});

test("a chain of static peers becomes a full mesh, because addresses of third nodes arrive by gossip", () => {
  const world = new World();
  world.start(1, { hasMdns: false });
  world.start(2, { hasMdns: false, peers: ["10.0.0.1:7883"] });
  world.start(3, { hasMdns: false, peers: ["10.0.0.2:7883"] });
  world.start(4, { hasMdns: false, peers: ["10.0.0.3:7883"] });
  expect(world.untilFormed()).toBeLessThan(15_000);
  world.close();
});

test("a static peer that starts late is found within its backoff of 5 s", () => {
  const world = new World();
  const first = world.start(1, { hasMdns: false, peers: ["10.0.0.2:7883"] });
  world.clock.run(60_000);
  expect(first.logged.filter((line) => line.includes("configured peer does not answer")).length).toBe(1);
  world.start(2, { hasMdns: false });
  expect(world.untilFormed()).toBeLessThan(5500);
  world.close();
});

test.each(Array.from({ length: 20 }, (_, at) => at + 1))(
  "a double dial ends as one link, dialled by the lower node id (seed %i)",
  (seed) => {
    const world = new World(seed);
    // Static peers on both sides dial at the same moment.
    const a = world.start(1, { hasMdns: false, peers: ["10.0.0.2:7883"] });
    const b = world.start(2, { hasMdns: false, peers: ["10.0.0.1:7883"] });
    world.untilFormed();
    world.clock.run(4000);
    expect(world.network.streamsBetween(a.host, b.host)).toHaveLength(2);
    expect(a.stateOf(b)).toBe("alive");
    expect([...a.logged, ...b.logged].filter((line) => line.includes("link lost"))).toEqual([]);
    world.close();
  },
);

test("another mesh name under the same key is refused with one log line a minute, and nothing is learnt", () => {
  const world = new World();
  const home = world.start(1, { hasMdns: false });
  const stranger = world.start(2, { hasMdns: false, mesh: "neighbour", peers: ["10.0.0.1:7883"] });
  world.clock.run(59_000);
  expect(home.mesh.members).toHaveLength(1);
  expect(stranger.mesh.members).toHaveLength(1);
  const lines = home.logged.filter((line) => line.startsWith("warn link refused"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("10.0.0.2");
  expect(lines[0]).toContain("neighbour");
  world.close();
});

test("P10: a wrong mesh key is refused with one log line a minute naming the peer, at both ends, with what to do", () => {
  const world = new World();
  const home = world.start(1, { hasMdns: false });
  const stranger = world.start(2, { hasMdns: false, key: "other", peers: ["10.0.0.1:7883"] });
  world.clock.run(59_000);
  expect(home.mesh.members).toHaveLength(1);
  expect(home.logged.filter((line) => line.includes("10.0.0.2"))).toHaveLength(1);
  const said =
    'Another mesh called "home" with another key is on this network. If it is yours, run skein invite there';
  for (const { logged } of [home, stranger])
    expect(logged.filter((line) => line.includes(said))).toHaveLength(1);
  world.close();
});

test("a node that dials itself notices, stays silent and goes on", () => {
  const world = new World();
  const node = world.start(1, { hasMdns: false, peers: ["10.0.0.1:7883"] });
  world.clock.run(30_000);
  expect(node.mesh.members).toHaveLength(1);
  expect(node.logged.filter((line) => line.startsWith("warn"))).toEqual([]);
  world.close();
});

test("trap 5: a copied data directory is refused and named", () => {
  const world = new World();
  const original = world.start(1, { hasMdns: false });
  world.nodes.length = 0;
  const copy = world.start(2, { node: nodeId(1), hasMdns: false, peers: ["10.0.0.1:7883"] });
  world.clock.run(10_000);
  expect(
    copy.logged.filter((line) => line.startsWith("warn") && line.includes("copied data directory")),
  ).toHaveLength(1);
  expect(original.mesh.members).toHaveLength(1);
  original.stop();
  world.close();
});

test("trap 13: the floating address is neither advertised nor dialled", () => {
  const world = new World();
  const answers: string[] = [];
  world.network.responders.add({
    host: "10.0.0.99",
    handler: {
      queried: () => {},
      answered: (records) => {
        for (const record of records) if (record.type === "A") answers.push(record.address);
      },
      failed: () => {},
    },
  });
  const peers = ["10.0.0.200:7883"];
  world.start(1, { peers });
  world.start(2, { linkListen: "10.0.0.200:7883" });
  world.clock.run(20_000);
  expect(new Set(answers)).toEqual(new Set(["10.0.0.1"]));
  expect(world.network.dialled.filter((line) => line.endsWith("10.0.0.200:7883"))).toEqual([]);
  world.close();
});

test("P12: remembered peers are dialled when multicast is dead", () => {
  const world = new World();
  const [first] = world.formed(2);
  world.clock.run(3000);
  const peersFile = first!.disk.files.get("peers.json")!;
  expect(String.fromCharCode(...peersFile)).toContain("10.0.0.2:7883");
  expect(first!.disk.replacements).toBeLessThan(4);
  first!.stop();
  world.clock.run(2000);

  world.network.isMulticastDropped = true;
  const forgetful = world.start(1, { incarnation: 2 as Incarnation });
  world.clock.run(30_000);
  expect(forgetful.linked).toHaveLength(0);
  forgetful.stop();
  world.clock.run(2000);

  world.start(1, { incarnation: 3 as Incarnation, peersFile });
  expect(world.untilFormed()).toBeLessThan(2000);
  world.close();
});

test("a remembered peer where another node answers is not dialled again: its machine may have become that one", () => {
  const world = new World();
  const peers = [2, 3, 4].map((at) => ({ node: `f00000000000000${at}`, address: `10.0.0.${at}:7883` }));
  const peersFile = Buffer.from(JSON.stringify({ version: 1, peers }));
  world.start(1, { peersFile });
  world.start(2);
  world.start(3);
  world.untilFormed();
  world.clock.run(5000);
  const before = world.network.dialled.length;
  world.clock.run(300_000);
  const since = world.network.dialled.slice(before);
  // Nobody is at the fourth address: its node may come back there.
  expect(since.filter((line) => !line.endsWith("10.0.0.4:7883"))).toEqual([]);
  expect(since.length).toBeGreaterThan(8);
  world.close();
});

test("R20: who was seen by mDNS is known, and when, to be compared with who answers", () => {
  const world = new World();
  const startedMs = world.clock.monotonicMs();
  const [first, second] = world.formed(2);
  const view = first!.mesh.multicast;
  expect(view?.sinceMs).toBe(startedMs);
  const seenAt = view?.seenAt(second!.id) ?? Number.NaN;
  expect(seenAt).toBeGreaterThanOrEqual(0);
  expect(view?.seenAt(first!.id)).toBeUndefined();
  // Once a minute everybody announces itself.
  world.clock.run(70_000);
  expect(first!.mesh.multicast?.seenAt(second!.id)).toBeGreaterThan(seenAt + 50_000);
  world.network.isMulticastDropped = true;
  world.clock.run(1000);
  const last = first!.mesh.multicast?.seenAt(second!.id);
  world.clock.run(200_000);
  expect(first!.stateOf(second!)).toBe("alive");
  expect(first!.mesh.multicast?.seenAt(second!.id)).toBe(last);
  world.close();

  const deaf = new World();
  const silent = deaf.start(1, { hasMdns: false, peers: ["10.0.0.2:7883"] });
  const failing = deaf.start(2);
  expect(silent.mesh.multicast).toBeUndefined();
  for (const responder of deaf.network.responders) responder.handler.failed(new Error("no permission"));
  expect(failing.mesh.multicast).toBeUndefined();
  deaf.untilFormed();
  deaf.close();
});

test("R20: a peer that was met a moment before the stop is remembered too", () => {
  const world = new World();
  const [first] = world.formed(2);
  expect(first!.disk.files.has("peers.json")).toBe(false);
  first!.stop();
  expect(String.fromCharCode(...first!.disk.files.get("peers.json")!)).toContain("10.0.0.2:7883");
  world.close();
});

test.each([
  ["cut", '{"version":1,"peers":[{"node":"00'],
  ["another thing", "[]"],
  ["rotten", "\u00ff\u0000"],
])("P12: a damaged peers.json (%s) is ignored with a warning", (_, text) => {
  const world = new World();
  const peersFile = Uint8Array.from(text, (char) => char.charCodeAt(0));
  const first = world.start(1, { peersFile });
  world.start(2);
  world.untilFormed();
  expect(first.logged.filter((line) => line.startsWith("warn remembered peers are unreadable"))).toHaveLength(
    1,
  );
  world.clock.run(2000);
  expect(String.fromCharCode(...first.disk.files.get("peers.json")!)).toContain("10.0.0.2:7883");
  world.close();
});

test("a dead multicast socket costs one warning, and static peers still work", () => {
  const world = new World();
  const first = world.start(1, { peers: ["10.0.0.2:7883"] });
  world.start(2);
  for (const responder of world.network.responders) {
    for (let times = 0; times < 3; times++) responder.handler.failed(new Error("no permission"));
  }
  world.network.isMulticastDropped = true;
  world.untilFormed();
  expect(first.logged.filter((line) => line.startsWith("warn mdns is not usable"))).toHaveLength(1);
  world.close();
});

test("records of other services, and broken ones of ours, are passed over", () => {
  const world = new World();
  const first = world.start(1);
  const other = world.network.mdns("10.0.0.77");
  other.respond([
    { type: "PTR", name: "_mqtt._tcp.local", ttlSeconds: 120, target: "x._mqtt._tcp.local" },
    { type: "SRV", name: "x._mqtt._tcp.local", ttlSeconds: 120, target: "x.local", port: 1883 },
    { type: "SRV", name: "evil._skein._tcp.local", ttlSeconds: 120, target: "x.local", port: 7883 },
    {
      type: "TXT",
      name: "evil._skein._tcp.local",
      ttlSeconds: 120,
      strings: ["mesh=home", "node=__proto__", "inc=1"],
    },
  ]);
  world.clock.run(5000);
  expect(world.network.dialled).toEqual([]);
  expect(first.mesh.members).toHaveLength(1);
  world.close();
});

test("a node that stops says goodbye: at once it is listed as left, and nobody dials it", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  c!.stop();
  world.clock.run(200);
  expect(a!.stateOf(c!)).toBe("left");
  expect(b!.stateOf(c!)).toBe("left");
  const dialled = world.network.dialled.length;
  world.clock.run(60_000);
  expect(world.network.dialled.length).toBe(dialled);
  world.close();
});

test("nobody dials a node that has said goodbye, whatever those tell who did not hear it", () => {
  const world = new World();
  const [a, b, c] = world.formed(3);
  world.clock.run(5000);
  world.network.block(b!.host, c!.host);
  world.clock.run(500);
  c!.stop();
  world.clock.run(200);
  expect(a!.stateOf(c!)).toBe("left");
  expect(b!.stateOf(c!)).toBe("alive");
  const before = world.network.dialled.length;
  world.clock.run(10_000);
  const dialled = world.network.dialled.slice(before);
  expect(dialled.filter((line) => line.startsWith(a!.host))).toEqual([]);
  world.close();
});

test("a link port in use is reported as ERR_SKEIN_LISTEN", () => {
  const world = new World();
  world.start(1);
  const second = world.start(2, { host: "10.0.0.1" });
  expect(second.readyError).toMatchObject({ code: "ERR_SKEIN_LISTEN" });
  world.close();
});

test("an idle link carries one beat a second, and the answer comes at once", () => {
  const world = new World();
  world.start(1);
  world.clock.run(250);
  world.start(2);
  world.untilFormed();
  world.clock.run(20_000);
  const before = world.network.writes;
  let bursts = 0;
  for (let step = 0; step < 60_000; step += 20) {
    const { writes } = world.network;
    world.clock.run(20);
    if (world.network.writes > writes) bursts++;
  }
  // 60 beats, some of them in the way of two steps, and a digest every 10 s from either node.
  expect(world.network.writes - before).toBeGreaterThanOrEqual(115);
  expect(bursts).toBeLessThan(100);
  world.close();
});

test("from eight links on, each carries one beat in two seconds, and either node asks for an echo every twenty", () => {
  const aMinute = (nodes: number): { readonly beats: number; readonly echoes: number } => {
    const world = new World();
    for (let index = 1; index <= nodes; index++) world.start(index);
    world.untilFormed();
    world.clock.run(60_000);
    let [beats, echoes] = [0, 0];
    world.network.written = (bytes) => {
      new FrameSplitter(FRAME_BYTES_MAX).push(bytes, (type, body) => {
        if (type === FrameType.heartbeat) beats++;
        if (type === FrameType.heartbeat && body[0] === Echo.request) echoes++;
      });
    };
    world.clock.run(60_000);
    world.close();
    return { beats: beats / (nodes * (nodes - 1)), echoes: echoes / (nodes * (nodes - 1)) };
  };
  const [few, many] = [aMinute(8), aMinute(9)];
  expect([few.echoes, many.echoes]).toEqual([12, 3]);
  // One a second or in two, and what is asked and answered besides.
  expect(few.beats).toBeGreaterThan(60);
  expect(many.beats).toBeLessThan(36);
});
