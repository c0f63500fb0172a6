import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { FullQueues, type FullQueuesInputs } from "../src/status/full-queues.ts";

const PI = "aaaaaaaaaaaaaaaa" as NodeId;

/** Sessions of which each is owed ten messages; those whose client id begins with "away" are not connected. */
function scene() {
  const byClient = new Map<string, number>();
  const passed = { byClient, inAll: 0 };
  const sessions: FullQueuesInputs["sessions"] = {
    passed,
    limits: { owedBytesMax: 64 * 1024 * 1024, tightest: PI },
    owedTo: (clientId) =>
      clientId === "gone" ? undefined : { messages: 10, isConnected: !clientId.startsWith("away") },
  };
  const watch = new FullQueues();
  const at = (now: number): readonly string[] => {
    const inputs = { sessions, now, nameOf: (node: NodeId) => (node === PI ? "pi" : undefined) };
    watch.observe(inputs);
    return watch.notes(inputs).map(({ text }) => text);
  };
  const list = (now: number) => watch.list({ sessions, now });
  return { byClient, passed, at, list };
}

test("a client whose queue has no room is named with since when and how to end its session, until ten minutes after the last message", () => {
  const { byClient, at, list } = scene();
  expect(at(0)).toEqual([]);
  byClient.set("away", 3);
  const note = (messages: string, span: string): string =>
    `The queue of client "away" is full: ${messages} passed it by within ${span}; 10 wait, and it is not connected. If it never comes back, end its session: skein pub -i away -t skein/end -n`;
  expect(at(1000)).toEqual([note("3 messages", "0 s")]);
  byClient.set("away", 5);
  expect(at(61_000)).toEqual([note("5 messages", "60 s")]);
  expect(list(61_000)).toEqual([
    { clientId: "away", passed: 5, forMs: 60_000, queued: 10, isConnected: false },
  ]);
  expect(at(660_999)).toEqual([note("5 messages", "10 min")]);
  expect(at(661_000)).toEqual([]);
  // It begins anew.
  byClient.set("away", 6);
  expect(at(700_000)).toEqual([note("1 message", "0 s")]);
});

test("who is connected, or has no session any more, need not be ended; the five newest are named, long names cut", () => {
  const { byClient, at } = scene();
  byClient.set("here", 1).set("gone", 1);
  expect(at(0)).toEqual([
    expect.stringMatching(/"here".* it is connected but slower than what comes in\.$/),
    expect.stringMatching(/"gone".* its session is over now\.$/),
  ]);
  for (let each = 0; each < 9; each++) byClient.set(`${each}`.repeat(100), 1);
  const texts = at(1);
  expect(texts).toHaveLength(5);
  expect(texts.join()).toContain(`"${"0".repeat(64)}..."`);
  byClient.clear();
  expect(at(2)).toEqual([]);
});

test("a client id that a shell would read is never part of a command", () => {
  for (const end of ["$(reboot)", "`reboot`", '" ; reboot "', "a b", "x".repeat(64), "\n"]) {
    const { byClient, at } = scene();
    byClient.set(`away${end}`, 1);
    expect(at(0).join()).toMatch(/end its session: connect once with its client id and Clean Session$/);
  }
  const { byClient, at } = scene();
  byClient.set("away-1_a.b:c", 1);
  expect(at(0).join()).toContain("skein pub -i away-1_a.b:c -t skein/end -n");
});

test("when all queues together are full, the member with the least room is named", () => {
  const { passed, at } = scene();
  passed.inAll = 7;
  expect(at(5)).toEqual([
    "All messages that wait for clients take 64 MiB, as much as pi has room for: 7 messages passed all sessions by within 0 s. More room: --max-store there. Who does not come back should have its session ended.",
  ]);
  expect(at(600_005)).toEqual([]);
});
