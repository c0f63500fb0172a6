import { expect, test } from "vitest";
import type { Observation } from "../../src/observations.ts";
import { mixValues } from "../../src/world/digest.ts";

const published: Observation = {
  at: 12.5,
  kind: "publishSent",
  client: "hub",
  packet: { topic: "a/b", payloadId: "hub:1", qos: 1, retain: false },
  node: "0123456789abcdef",
};

test("equal observations have equal digests", () => {
  expect(mixValues(1, structuredClone(published))).toBe(mixValues(1, published));
});

test("a change of any value, however small or deep, changes the digest, and so does the order of two observations", () => {
  const others: readonly Observation[] = [
    published,
    { ...published, at: 12.5 + 2 ** -40 },
    { ...published, client: "hub2" },
    { ...published, node: "0123456789abcdee" },
    { ...published, packet: { ...published.packet, topic: "a/c" } },
    { ...published, packet: { ...published.packet, qos: 2 } },
    { ...published, packet: { ...published.packet, retain: true } },
    { at: 1, kind: "disturbed", nodes: ["a", "bc"] },
    { at: 1, kind: "disturbed", nodes: ["ab", "c"] },
    { at: 1, kind: "calmed", nodes: ["ab", "c"] },
    { at: 1, kind: "retainedRead", client: "c", topic: "t", payloadId: null, askedAt: 0 },
    { at: 1, kind: "retainedRead", client: "c", topic: "t", payloadId: "", askedAt: 0 },
    { at: 1, kind: "retainedRead", client: "c", topic: "t", payloadId: "", askedAt: 0.5 },
  ];
  const digests = new Set(others.map((observation) => mixValues(1, observation)));
  for (const observation of others) digests.add(mixValues(mixValues(1, observation), published));
  digests.add(mixValues(mixValues(1, published), others[1] as Observation));
  expect(digests.size).toBe(2 * others.length + 1);
});
