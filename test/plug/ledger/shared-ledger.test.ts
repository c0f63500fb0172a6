import { beforeEach, expect, test } from "vitest";
import { MessageLedger } from "./message-ledger.ts";
import { SharedLedger } from "./shared-ledger.ts";

const QOS_1 = 0;
const QOS_2 = 1;
const ONE = 0;
const TWO = 1;

let messages: MessageLedger;
let shared: SharedLedger;
let now: number;

beforeEach(() => {
  now = 0;
  const publishers = [
    { name: "pub-1", qos: 1 },
    { name: "pub-2", qos: 2 },
  ] as const;
  messages = new MessageLedger(publishers, []);
  shared = new SharedLedger(messages, ["one", "two"]);
  shared.connected(ONE);
  shared.connected(TWO);
});

function publish(publisher: number, message: number): void {
  messages.sent(publisher, message, now++);
  messages.acknowledged(publisher, message, now++);
}

function deliver(member: number, publisher: number, message: number, isDup = false): void {
  shared.delivered(member, publisher, message, "t", isDup, now++);
}

function broken(): readonly string[] {
  return shared.judge().flatMap(({ promise, broken: count }) => (count > 0 ? [promise.slice(0, 5)] : []));
}

test("each message to one member passes, and every promise was put to the test", () => {
  for (const publisher of [QOS_1, QOS_2]) {
    publish(publisher, 0);
    deliver(publisher, publisher, 0);
  }
  expect([broken(), shared.owed]).toEqual([[], 0]);
  expect(shared.judge().every(({ judged }) => judged > 0)).toBe(true);
});

test("what was acknowledged and comes to nobody is lost, what was refused is not", () => {
  publish(QOS_1, 0);
  messages.sent(QOS_1, 1, now++);
  messages.refused(QOS_1, 1, 0x97, now++);
  messages.sent(QOS_1, 2, now++);
  expect([broken(), shared.owed]).toEqual([["what "], 1]);
});

test("QoS 2 comes to one member only, whatever has become of its connection", () => {
  publish(QOS_2, 0);
  deliver(ONE, QOS_2, 0);
  shared.disconnected(ONE, now++);
  deliver(TWO, QOS_2, 0);
  expect(broken()).toEqual(["QoS 2"]);
});

test("QoS 1 comes to another member only after the connection of the first one was lost", () => {
  publish(QOS_1, 0);
  deliver(ONE, QOS_1, 0);
  shared.disconnected(ONE, now++);
  deliver(TWO, QOS_1, 0);
  expect(broken()).toEqual([]);
  publish(QOS_1, 1);
  deliver(TWO, QOS_1, 1);
  now += 20_000;
  shared.disconnected(TWO, now++);
  shared.connected(ONE);
  deliver(ONE, QOS_1, 1);
  expect(broken()).toEqual(["QoS 1"]);
});

test("QoS 1 comes again with DUP, or if its publisher has sent it again", () => {
  publish(QOS_1, 0);
  deliver(ONE, QOS_1, 0);
  deliver(ONE, QOS_1, 0, true);
  publish(QOS_1, 1);
  messages.sent(QOS_1, 1, now++);
  deliver(ONE, QOS_1, 1);
  deliver(TWO, QOS_1, 1);
  expect(broken()).toEqual([]);
});

test("without members nothing is judged", () => {
  const nobody = new SharedLedger(messages, []);
  publish(QOS_1, 0);
  expect([nobody.owed, ...nobody.judge().map(({ judged }) => judged)]).toEqual([0, 0, 0, 0]);
});
