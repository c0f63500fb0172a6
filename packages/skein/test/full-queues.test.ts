import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { FullQueues, type FullQueuesInputs } from "../src/status/full-queues.ts";

const PI = "aaaaaaaaaaaaaaaa" as NodeId;

/** Sessions of which each is owed ten messages; those whose client id begins with "away" are not connected. */
function scene() {
  const byClient = new Map<string, number>();
  const refusals = { byClient, inAll: 0 };
  const sessions: FullQueuesInputs["sessions"] = {
    refusals,
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
  return { byClient, refusals, at };
}

test("a client whose queue had no room is named with how to end its session, until ten minutes after the last message", () => {
  const { byClient, at } = scene();
  expect(at(0)).toEqual([]);
  byClient.set("away", 3);
  const note =
    'The queue of client "away" had no room for 3 messages, and who published was told or cut off: 10 wait, and it is not connected. If it never comes back, end its session: skein pub -i away -t skein/end -n';
  expect(at(1000)).toEqual([note]);
  expect(at(600_999)).toEqual([note]);
  expect(at(601_000)).toEqual([]);
  byClient.set("away", 4);
  expect(at(700_000)).toEqual([note.replace("3 messages", "4 messages")]);
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
  const { refusals, at } = scene();
  refusals.inAll = 7;
  expect(at(5)).toEqual([
    "All messages that wait for clients take 64 MiB, as much as pi has room for: 7 more were refused, and who published was told or cut off. More room: --max-store there. Who does not come back should have its session ended.",
  ]);
  expect(at(600_005)).toEqual([]);
});
