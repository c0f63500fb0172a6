/** What comes to a kept session before the log has it. */

import { packetIdOf } from "@skein/kernel";
import { expect, test } from "vitest";
import { EarlyQueue, WAITING_MAX } from "../src/sessions/early-queue.ts";

/** As many ordinals may be under way from the queue at a time. */
const SPAN = 60_000;

function early(name: string, qos: 1 | 2 = 1) {
  const message = { topic: "t", payload: new Uint8Array(0), qos, retain: false, properties: undefined };
  return { name, message, qos, retain: false, identifiers: undefined };
}

/** Sends the next one. Returns its packet identifier. */
function sendNext(queue: EarlyQueue, oldest = 0): number {
  const message = queue.shift();
  if (message === undefined) throw new Error("nothing waits");
  return queue.send(message, oldest);
}

function namesOf(queue: EarlyQueue): string[] {
  const names: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) names.push(next.name);
  return names;
}

test("messages are sent in the order they came", () => {
  const queue = new EarlyQueue();
  for (const name of ["1", "2", "3"]) queue.push(early(name));
  expect(namesOf(queue)).toEqual(["1", "2", "3"]);
});

test("from the first without room on all wait for the log, until it has brought all of those", () => {
  const queue = new EarlyQueue();
  const names = Array.from({ length: WAITING_MAX + 2 }, (_, at) => `${at}`);
  for (const name of names) queue.push(early(name));
  expect(namesOf(queue)).toEqual(names.slice(0, WAITING_MAX));
  queue.push(early("behind"));
  expect(namesOf(queue)).toEqual([]);
  for (const [at, name] of names.entries()) queue.placed(at, name, false);
  queue.push(early("still behind"));
  expect(namesOf(queue)).toEqual([]);
  queue.placed(names.length, "behind", false);
  queue.placed(names.length + 1, "still behind", false);
  queue.push(early("free"));
  expect(namesOf(queue)).toEqual(["free"]);
});

test("one that gets its place while it waits is not sent early, and its place is not passed over", () => {
  const queue = new EarlyQueue();
  for (const name of ["1", "2"]) queue.push(early(name));
  expect(queue.placed(7, "1", false)).toBe(false);
  expect(queue.passes(7)).toBe(false);
  expect(namesOf(queue)).toEqual(["2"]);
});

test("one that is acknowledged after it has its place is finished with that place, which is passed over once", () => {
  const queue = new EarlyQueue();
  queue.push(early("1"));
  const packetId = sendNext(queue);
  expect(queue.underWay).toBe(1);
  expect(queue.placed(7, "1", false)).toBe(true);
  expect([queue.passes(7), queue.passes(7)]).toEqual([true, false]);
  expect(queue.finish(packetId)?.ordinal).toBe(7);
  expect([queue.underWay, queue.finish(packetId)]).toEqual([0, undefined]);
});

test("one that is acknowledged before it has its place is passed over all the same", () => {
  const queue = new EarlyQueue();
  queue.push(early("1"));
  expect(queue.finish(sendNext(queue))).toMatchObject({ name: "1", ordinal: undefined });
  expect(queue.placed(7, "1", false)).toBe(true);
  expect(queue.passes(7)).toBe(true);
});

test("one that the client has from an earlier connection is passed over", () => {
  const queue = new EarlyQueue();
  expect(queue.placed(7, "1", true)).toBe(true);
  expect(queue.passes(7)).toBe(true);
});

test.each([0, 5_000, 65_534, 1_000_000])(
  "packet identifiers are no other's, neither of the queue from ordinal %i on nor of those under way",
  (oldest) => {
    const queue = new EarlyQueue();
    const ofQueue = new Set(Array.from({ length: SPAN }, (_, at) => packetIdOf(oldest + at)));
    const ids = Array.from({ length: 100 }, (_, at) => {
      queue.push(early(`${at}`));
      return sendNext(queue, oldest);
    });
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => ofQueue.has(id) || id < 1 || id > 65_535)).toEqual([]);
  },
);

test("a packet identifier that is under way is not given again when all have had their turn", () => {
  const queue = new EarlyQueue();
  queue.push(early("held"));
  const held = sendNext(queue);
  for (let at = 0; at < 4_100; at++) {
    queue.push(early(`${at}`));
    const packetId = sendNext(queue);
    expect(packetId).not.toBe(held);
    queue.finish(packetId);
  }
});

test("P5: the next connection does not begin with the identifiers of the last one, which its client may hold; a message keeps its own", () => {
  const sentBy = (names: readonly string[]): number[] => {
    const queue = new EarlyQueue();
    for (const name of names) queue.push(early(name, 2));
    return names.map(() => sendNext(queue));
  };
  const names = Array.from({ length: 20 }, (_, at) => `00000000000000aa 1 ${at}`);
  const [held, others] = [sentBy(names.slice(0, 10)), sentBy(names.slice(10))];
  expect(others.filter((packetId) => held.includes(packetId))).toEqual([]);
  expect(sentBy(names).slice(10)).toEqual(others);
});
