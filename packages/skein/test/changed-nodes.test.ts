import type { Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { expect, test } from "vitest";
import { ChangedNodes, type NodesView, successorsIn } from "../src/status/changed-nodes.ts";
import { NoteNews } from "../src/status/note.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;
const NEW = "cccccccccccccccc" as NodeId;
const NOW = 10_000_000 as MonotonicMs;

function member(id: NodeId, name: string, changes: Partial<Member> = {}): Member {
  const link = {
    address: "192.168.1.22:7883",
    isLinked: true,
    isRelayed: false,
    linkedAt: undefined,
    relay: undefined,
  };
  const process = { incarnation: 1 as Incarnation, uptimeMs: 5000, protocolVersion: 2, rttMs: 1 };
  return { ...factsOfNewcomer(name), machine: "m1", id, state: "alive", ...link, ...process, ...changes };
}

function view(changes: Partial<NodesView>): NodesView {
  return {
    self: A,
    members: [],
    configured: [A, B],
    now: NOW,
    heardAt: () => (NOW - 60_000) as MonotonicMs,
    nameOf: () => undefined,
    renamed: () => undefined,
    told: [],
    ...changes,
  };
}

function notes(changes: Partial<NodesView>): readonly string[] {
  return new ChangedNodes([]).notes(view(changes)).map(({ text }) => text);
}

const self = member(A, "pi1", { address: "" });

test("a node that came back without its data is said by the others, with the id of its old entry to forget", () => {
  const members = [self, member(B, "pi2", { state: "dead" }), member(NEW, "pi2")];
  expect(notes({ members })).toEqual([
    `pi2 came back without its data and is a new node now (wiped data directory, or a new SD card?). Its old entry still counts as a member that is away: skein forget ${B}`,
  ]);
  // Also where nobody has seen the old one since this node started.
  const unseen = {
    members: [self, member(NEW, "pi2")],
    nameOf: () => "pi2",
    heardAt: () => undefined,
  };
  expect(notes(unseen)).toHaveLength(1);
  // With the old entry the note goes.
  expect(notes({ members, configured: [A, NEW] })).toEqual([]);
});

test("the node that came back cannot know, and says it when another one tells", () => {
  const members = [self, member(B, "pi2", { state: "dead" }), member(NEW, "pi2")];
  const told = Object.fromEntries([...successorsIn(view({ members }))].map(([old, { id }]) => [old, id]));
  const own = { self: NEW, members: [member(NEW, "pi2"), member(A, "pi1")], configured: [A, B, NEW] };
  expect(notes({ ...own, told: [told, told] })).toEqual([
    `This node came back without its data and is a new node now (wiped data directory, or a new SD card?). Its old entry still counts as a member that is away: skein forget ${B}`,
  ]);
  expect(notes({ ...own, configured: [A, NEW], told: [told] })).toEqual([]);
  expect(notes({ ...own, self: A, told: [told] })).toEqual([]);
});

test("another machine under the old name is told from one that lost its data", () => {
  const members = [self, member(B, "pi2", { state: "dead" }), member(NEW, "pi2", { machine: "m2" })];
  expect(notes({ members })).toEqual([
    expect.stringContaining("Another machine is called pi2 now, and is a new node."),
  ]);
});

test("two nodes that always had one name are not taken for one that came back", () => {
  const twin = member(NEW, "pi2", { uptimeMs: 3_600_000 });
  expect(notes({ members: [self, member(B, "pi2", { state: "dead" }), twin] })).toEqual([]);
  expect(notes({ members: [self, member(B, "pi2"), member(NEW, "pi2")] })).toEqual([]);
});

test("a renamed host is said for an hour, by the others and by itself, with the way back", () => {
  const renamed = () => ({ from: "pi2", at: (NOW - 1000) as MonotonicMs });
  const members = [self, member(B, "kitchen")];
  expect(notes({ members, renamed: (id) => (id === B ? renamed() : undefined) })).toEqual([
    "kitchen was called pi2 before. It is the same node for the mesh; commands and --peer that name pi2 want the new name. To keep the old one: --name pi2 on kitchen",
  ]);
  expect(notes({ self: B, members, renamed: (id) => (id === B ? renamed() : undefined) })).toEqual([
    "This node is called kitchen now, was pi2 (renamed host?). It is the same node for the mesh. To keep the old name: --name pi2",
  ]);
  const old = () => ({ from: "pi2", at: (NOW - 3_600_000) as MonotonicMs });
  expect(notes({ members, renamed: old })).toEqual([]);
});

test("another address of a node is said for an hour, with what still leads to the old one", () => {
  const at = (address: string): readonly Member[] => [self, member(B, "pi2", { address })];
  const texts = (changed: ChangedNodes, now = NOW): readonly string[] => {
    return changed.notes(view({ members: at("192.168.1.31:7883"), now })).map(({ text }) => text);
  };
  const changed = new ChangedNodes([]);
  changed.observe(at("192.168.1.22:7883"), NOW);
  expect(texts(changed)).toEqual([]);
  changed.observe(at("192.168.1.31:7883"), NOW);
  expect(texts(changed)).toEqual([
    expect.stringMatching(
      /^pi2 has another address: 192\.168\.1\.31, was 192\.168\.1\.22\. The mesh follows/,
    ),
  ]);
  changed.observe(at("192.168.1.31:7883"), (NOW + 3_600_000) as MonotonicMs);
  expect(texts(changed)).toEqual([]);

  const told = new ChangedNodes(["192.168.1.22:7883"]);
  told.observe(at("192.168.1.22:7883"), NOW);
  told.observe(at("192.168.1.31:7883"), NOW);
  expect(texts(told)[0]).toContain("Change --peer 192.168.1.22:7883 of this node to 192.168.1.31:7883.");
});

test("a node that is reached at one of its addresses and then at another has not moved", () => {
  const changed = new ChangedNodes([]);
  const seen = ["192.168.1.22:7883", "192.168.1.23:7883", "192.168.1.22:7883", "192.168.1.22:7000"];
  const newsAt = seen.map((address, at) => {
    const members = [self, member(B, "pi2", { address })];
    changed.observe(members, (NOW + at) as MonotonicMs);
    return changed.notes(view({ members })).map(({ subject }) => subject);
  });
  // The one address that was new is the only news.
  expect(newsAt).toEqual([[], ["moved bbbbbbbbbbbbbbbb 192.168.1.23:7883"], newsAt[1], newsAt[1]]);
});

test("a note is news once, and again when it was gone for an hour", () => {
  const news = new NoteNews();
  const note = { subject: "clock b", text: "3 days behind" };
  expect(news.of([note], 0)).toEqual([note]);
  expect(news.of([{ ...note, text: "4 days behind" }], 1000)).toEqual([]);
  expect(news.of([], 3_000_000)).toEqual([]);
  expect(news.of([note], 3_001_000)).toEqual([]);
  news.of([], 6_700_000);
  expect(news.of([note], 6_700_000)).toEqual([note]);
});
