import type { CoordinatorStatus } from "@skein/coordinator";
import type { ClusterId, Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { EventLog } from "../src/events/event-log.ts";
import { mergeEvents, outdatedEvent, waitingMergeEvent } from "../src/events/merge-events.ts";
import { parseEvent } from "../src/events/mesh-event.ts";

const LOSER = "11111111-2222-4333-8444-555555555555" as ClusterId;
const WINNER = "66666666-2222-4333-8444-555555555555" as ClusterId;

test.each<[readonly string[], string | undefined]>([
  [[], undefined],
  [["a/b"], 'both clusters had written "a/b": what gave way is listed by skein conflicts'],
  [
    ["a/b", "c", "d"],
    'both clusters had written "a/b" and 2 other topics: what gave way is listed by skein conflicts',
  ],
])("a merge in which %j had two values is told in one sentence, and so are those", (conflicts, sentence) => {
  const [merged, conflict] = mergeEvents({ loser: LOSER, cut: 7, conflicts, refused: 0 });
  expect(merged).toMatchObject({
    kind: "merge",
    detail: "another cluster of this mesh was merged into this one",
  });
  expect(conflict?.detail).toBe(sentence);
  expect(conflict?.kind).toBe(sentence === undefined ? undefined : "conflict");
});

test("messages for which a merge found no room are told with it", () => {
  const [merged] = mergeEvents({ loser: LOSER, cut: 7, conflicts: [], refused: 12 });
  expect(merged?.detail).toMatch(/; 12 of its sessions' messages found no room in their queues$/);
});

test("all that a node had written without a quorum and found outdated is one event", () => {
  const news = { node: "a".repeat(16) as NodeId, incarnation: 3 as Incarnation };
  const event = outdatedEvent({ ...news, topic: "lights/hall" });
  expect(event).toMatchObject({
    kind: "conflict",
    detail:
      '"lights/hall" was written on both sides while there was no quorum on one: what gave way is listed by skein conflicts',
  });
  expect(outdatedEvent({ ...news, topic: "another" }).id).toBe(event.id);
});

test.each([
  ["awaitingApproval", "skein merge --approve"],
  ["tooMuch", "does not fit into one store"],
  ["tooNew", "update the nodes with"],
] as const)(
  "two clusters of which the state is %s wait for the operator: an event says what to do",
  (kind, text) => {
    const status = { cluster: WINNER, merge: { kind, other: LOSER } } as CoordinatorStatus;
    expect(waitingMergeEvent(status)).toMatchObject({ kind: "merge", detail: expect.stringContaining(text) });
    const fromThere = { cluster: LOSER, merge: { kind, other: WINNER } } as CoordinatorStatus;
    expect(waitingMergeEvent(fromThere)).toEqual(waitingMergeEvent(status));
  },
);

test("clusters that merge by themselves raise no event before they have", () => {
  for (const kind of ["comparing", "joining"] as const)
    expect(waitingMergeEvent({ merge: { kind, other: LOSER } } as CoordinatorStatus)).toBeUndefined();
  expect(waitingMergeEvent({ merge: undefined } as CoordinatorStatus)).toBeUndefined();
});

test("what many nodes notice is one event on each: noted again, told by another one, and after a restart", () => {
  const [event] = mergeEvents({ loser: LOSER, cut: 7, conflicts: [], refused: 0 });
  if (event === undefined) throw new Error("a merge is an event");
  const { id, kind, detail } = event;
  const make = (name: string, events: EventLog["events"] = []): EventLog =>
    new EventLog({ self: { id: name, name }, incarnation: 1, events });
  const [one, other] = [make("pi1"), make("pi2")];
  for (const log of [one, other, one]) log.noteShared(id, kind, detail, 1000, 2_000_000_000_000);
  for (const told of one.events) other.told(told, 100, 2_000_000_000_500);
  expect(one.events).toHaveLength(1);
  expect(other.events).toHaveLength(1);
  const stored = JSON.parse(JSON.stringify(other.events)) as unknown[];
  const again = make(
    "pi2",
    stored.map(parseEvent).filter((known) => known !== undefined),
  );
  again.noteShared(id, kind, detail, 5000, 2_000_000_900_000);
  expect(again.events.map(({ startMs }) => startMs)).toEqual([2_000_000_000_000]);
});
