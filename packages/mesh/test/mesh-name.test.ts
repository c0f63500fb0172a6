import { type DnsRecord, type MulticastDns, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { MeshName, meshLabel } from "../src/discovery/mesh-name.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

function setUp(mesh = "Home 7f3a") {
  const clock = new VirtualClock();
  const sent: (readonly DnsRecord[])[] = [];
  const mdns: MulticastDns = {
    start: () => undefined,
    query: () => undefined,
    respond: (records) => void sent.push(records),
    localAddresses: () => [],
    hostName: () => "pi1",
    stop: () => undefined,
  };
  return { clock, sent, name: new MeshName(mesh, mdns, clock, seededPrng(1)) };
}

const entry = { addresses: ["192.168.1.250"], port: 1883 };

test("the way in is announced twice, a second apart: one instance of _mqtt._tcp and a name that lives 10 s", () => {
  const { clock, sent, name } = setUp();
  name.publish(entry);
  clock.run(999);
  expect(sent).toHaveLength(1);
  clock.run(60_000);
  expect(sent).toHaveLength(2);
  expect(sent[0]).toEqual(sent[1]);
  expect(sent[0]).toEqual([
    { type: "PTR", name: "_mqtt._tcp.local", ttlSeconds: 120, target: "home-7f3a._mqtt._tcp.local" },
    {
      type: "SRV",
      name: "home-7f3a._mqtt._tcp.local",
      ttlSeconds: 120,
      target: "home-7f3a.local",
      port: 1883,
    },
    { type: "TXT", name: "home-7f3a._mqtt._tcp.local", ttlSeconds: 120, strings: [] },
    { type: "A", name: "home-7f3a.local", ttlSeconds: 10, address: "192.168.1.250" },
  ]);
});

test("said again without a change it costs no packet; withdrawn it is a goodbye, once", () => {
  const { clock, sent, name } = setUp();
  name.publish(entry);
  name.publish({ ...entry });
  clock.run(2000);
  sent.length = 0;
  name.publish(undefined);
  name.publish(undefined);
  name.stop();
  clock.run(60_000);
  expect(sent).toHaveLength(1);
  expect(sent[0]?.every(({ ttlSeconds }) => ttlSeconds === 0)).toBe(true);
});

test("a goodbye to the name that comes from another node, late, is contradicted at once: clients would forget both in a second", () => {
  const before = setUp();
  before.name.publish(entry);
  before.name.publish(undefined);
  const goodbye = before.sent.at(-1) ?? [];
  const { clock, sent, name } = setUp();
  name.publish(entry);
  clock.run(5000);
  sent.length = 0;
  name.answered(goodbye);
  name.answered(goodbye);
  clock.run(100);
  expect(sent).toHaveLength(1);
  expect(sent[0]?.map(({ type, ttlSeconds }) => [type, ttlSeconds])).toEqual([
    ["PTR", 120],
    ["SRV", 120],
    ["TXT", 120],
    ["A", 10],
  ]);
  clock.run(60_000);
  expect(sent).toHaveLength(1);
});

test("neither a goodbye to another name nor one's own, nor what others announce, is answered", () => {
  const { clock, sent, name } = setUp();
  name.publish(entry);
  clock.run(5000);
  name.answered([{ type: "A", name: "pi1.local", ttlSeconds: 0, address: "192.168.1.21" }]);
  name.answered(sent[0] ?? []);
  name.publish(undefined);
  name.answered(sent.at(-1) ?? []);
  sent.length = 0;
  clock.run(60_000);
  expect(sent).toEqual([]);
});

test("a node that is not the way in says nothing at all, whatever it is asked", () => {
  const { clock, sent, name } = setUp();
  name.publish(undefined);
  name.queried([
    { type: "ANY", name: "home-7f3a.local" },
    { type: "PTR", name: "_mqtt._tcp.local" },
  ]);
  clock.run(60_000);
  expect(sent).toEqual([]);
});

test.each([
  ["A", "HOME-7f3a.local."],
  ["AAAA", "home-7f3a.local"],
  ["PTR", "_mqtt._tcp.local"],
  ["SRV", "home-7f3a._mqtt._tcp.local"],
] as const)("a question for %s %s is answered once, within 120 ms", (type, question) => {
  const { clock, sent, name } = setUp();
  name.publish({ addresses: ["192.168.1.21", "fd00::21"], port: 1883 });
  clock.run(2000);
  sent.length = 0;
  name.queried([{ type, name: question }]);
  name.queried([{ type, name: question }]);
  clock.run(121);
  expect(sent).toHaveLength(1);
  expect(sent[0]?.map((record) => record.type)).toEqual(["PTR", "SRV", "TXT", "A", "AAAA"]);
});

test("questions for others are not answered, and without a listener for other machines there is no service", () => {
  const { clock, sent, name } = setUp();
  name.publish({ ...entry, port: 0 });
  clock.run(2000);
  expect(sent[0]?.map(({ type }) => type)).toEqual(["A"]);
  sent.length = 0;
  name.queried([
    { type: "A", name: "pi1.local" },
    { type: "PTR", name: "_skein._tcp.local" },
  ]);
  clock.run(1000);
  expect(sent).toEqual([]);
});

test.each([
  ["home", "home"],
  ["Ferienhaus Süd", "ferienhaus-s-d"],
  ["--", "skein"],
  ["x".repeat(80), "x".repeat(63)],
])("the mesh %j is called %s on the network", (mesh, label) => {
  expect(meshLabel(mesh)).toBe(label);
});
