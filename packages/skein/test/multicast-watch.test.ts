import type { Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { expect, test } from "vitest";
import { type MulticastInputs, MulticastWatch } from "../src/status/multicast-watch.ts";

const at = (ms: number): MonotonicMs => ms as MonotonicMs;

function member(index: number, changes: Partial<Member> = {}): Member {
  const link = {
    address: `192.168.1.${index}:7883`,
    isLinked: true,
    isRelayed: false,
    linkedAt: undefined,
    relay: undefined,
  };
  const process = { incarnation: 1 as Incarnation, uptimeMs: 5000, protocolVersion: 2, rttMs: 1 };
  const id = `${index}`.repeat(16) as NodeId;
  return { ...factsOfNewcomer(`pi${index}`), id, state: "alive", ...link, ...process, ...changes };
}

/** What is noted at `nowMs` of members that are linked from the beginning; `seenMs`: when each was seen, undefined: never. */
function textsAt(nowMs: number, seenMs?: number, changes: Partial<MulticastInputs> = {}): readonly string[] {
  const watch = new MulticastWatch();
  const { members = [member(1)] } = changes;
  watch.observe(members, at(0));
  const seenAt = () => (seenMs === undefined ? undefined : at(seenMs));
  const multicast = { sinceMs: at(0), seenAt };
  return watch
    .notes({ members, multicast, announces: () => true, now: at(nowMs), ...changes })
    .map(({ text }) => text);
}

test("R30: a node that answers over its link and is never seen by mDNS is named after 75 s, with cause and next command", () => {
  expect(textsAt(74_999)).toEqual([]);
  expect(textsAt(75_000)).toEqual([
    "Cannot see pi1 by mDNS, but it answers unicast. Your switch/AP drops multicast (IGMP snooping/AP isolation), or a router is between. Joined by address instead. A new device must be told an address: skein up --join CODE --peer HOST",
  ]);
});

test("a switch that drops multicast only after some minutes is noticed when three announcements are missing", () => {
  expect(textsAt(600_000 + 199_999, 600_000)).toEqual([]);
  expect(textsAt(600_000 + 200_000, 600_000)).toHaveLength(1);
});

test("all that are unseen are one sentence", () => {
  const members = [7, 2, 3, 1, 5, 6, 4].map((index) => member(index));
  expect(textsAt(75_000, undefined, { members })).toEqual([
    expect.stringContaining(
      "Cannot see pi1, pi2, pi3, pi4, pi5 and 2 more by mDNS, but they answer unicast.",
    ),
  ]);
});

test("who cannot be expected to be seen is not: without mDNS at either end, relayed, or linked a moment ago", () => {
  expect(textsAt(75_000, undefined, { multicast: undefined })).toEqual([]);
  expect(textsAt(75_000, undefined, { announces: () => false })).toEqual([]);
  expect(textsAt(75_000, undefined, { announces: () => undefined })).toEqual([]);
  for (const changes of [{ isRelayed: true }, { isLinked: false }, { state: "suspect" as const }])
    expect(textsAt(75_000, undefined, { members: [member(1, changes)] })).toEqual([]);

  const watch = new MulticastWatch();
  const multicast = { sinceMs: at(0), seenAt: () => undefined };
  const inputs = { members: [member(1)], multicast, announces: () => true };
  watch.observe([member(1)], at(0));
  watch.observe([member(1, { isLinked: false })], at(70_000));
  watch.observe([member(1)], at(71_000));
  expect(watch.notes({ ...inputs, now: at(80_000) })).toEqual([]);
  expect(watch.notes({ ...inputs, now: at(71_000 + 75_000) })).toHaveLength(1);
});
