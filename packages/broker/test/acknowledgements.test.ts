import { PASSED_BY, SAFE_HERE_ONLY } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  AcknowledgementPool,
  type AcknowledgementSlot,
  Acknowledgements,
} from "../src/inbound/acknowledgements.ts";

function open(): {
  readonly answers: string[];
  readonly refusals: number[];
  readonly queue: Acknowledgements;
  readonly begin: (packetId: number, qos: 1 | 2, parts: number) => AcknowledgementSlot;
  readonly received: Map<number, AcknowledgementSlot | undefined>;
  readonly pool: AcknowledgementPool;
} {
  const answers: string[] = [];
  const refusals: number[] = [];
  const pool = new AcknowledgementPool();
  const received = new Map<number, AcknowledgementSlot | undefined>();
  const queue = new Acknowledgements({
    acknowledge: (packetId, qos, reasonCode) => answers.push(`${packetId}/${qos}/${reasonCode}`),
    refused: (reasonCode) => refusals.push(reasonCode),
  });
  const begin = (packetId: number, qos: 1 | 2, parts: number): AcknowledgementSlot => {
    const slot = pool.take();
    slot.begin(packetId, qos, received);
    if (qos === 2) received.set(packetId, slot);
    queue.push(slot);
    slot.expect(parts);
    slot.settle(0);
    return slot;
  };
  return { answers, refusals, queue, begin, received, pool };
}

test("[MQTT-4.6.0-2] [MQTT-4.6.0-3] in whatever order parts settle, answers keep the order of the messages", () => {
  const messages = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 30 });
  const property = fc.property(messages, fc.infiniteStream(fc.nat()), (parts, choices) => {
    const { answers, queue, begin } = open();
    const pending: AcknowledgementSlot[] = [];
    parts.forEach((count, i) => {
      const slot = begin(i + 1, i % 2 === 0 ? 1 : 2, count);
      for (let part = 0; part < count; part++) pending.push(slot);
    });
    while (pending.length > 0) {
      const [slot] = pending.splice((choices.next().value ?? 0) % pending.length, 1);
      slot?.settle(0);
    }
    expect(answers).toEqual(parts.map((_, i) => `${i + 1}/${i % 2 === 0 ? 1 : 2}/0`));
    expect(queue.length).toBe(0);
  });
  fc.assert(property);
});

test("the worst reason code of all parts is answered", () => {
  const { answers, begin } = open();
  const slot = begin(1, 1, 3);
  for (const code of [0, 0x97, 0x80]) slot.settle(code);
  expect(answers).toEqual(["1/1/151"]);
});

test.each([
  ["safe on one node alone", SAFE_HERE_ONLY],
  ["for which some had no room", PASSED_BY],
])("a part that is %s is what all of it is, unless another part is refused; it is no refusal", (_, code) => {
  const { answers, refusals, received, begin } = open();
  const [puback, pubrec, refused] = [begin(1, 1, 2), begin(2, 2, 2), begin(3, 2, 2)];
  for (const slot of [puback, pubrec]) for (const part of [code, 0]) slot.settle(part);
  expect(refusals).toEqual([]);
  for (const part of [0x97, code]) refused.settle(part);
  expect(answers).toEqual([`1/1/${code}`, `2/2/${code}`, "3/2/151"]);
  expect([...received.keys()]).toEqual([2]);
});

test("that some had no room is worse than that it is safe on one node alone", () => {
  const { answers, begin } = open();
  const slot = begin(1, 1, 2);
  for (const part of [PASSED_BY, SAFE_HERE_ONLY]) slot.settle(part);
  expect(answers).toEqual([`1/1/${PASSED_BY}`]);
});

test("slots are reused, and only when their last part is settled", () => {
  const { begin, pool, queue } = open();
  const slot = begin(1, 1, 1);
  queue.abandon();
  const other = pool.take();
  expect(other).not.toBe(slot);
  slot.settle(0);
  expect(pool.take()).toBe(slot);
});

test("a slot whose connection has gone settles into the session and answers nobody", () => {
  const { answers, begin, queue, received } = open();
  const accepted = begin(1, 2, 1);
  const refused = begin(2, 2, 1);
  queue.abandon();
  accepted.settle(0);
  refused.settle(0x97);
  expect(answers).toEqual([]);
  expect([...received]).toEqual([[1, undefined]]);
});

test("a queue that is never empty does not grow", () => {
  const { queue, begin, answers } = open();
  let previous = begin(1, 1, 1);
  for (let i = 2; i <= 5_000; i++) {
    const next = begin((i % 0xffff) + 1, 1, 1);
    previous.settle(0);
    previous = next;
    expect(queue.length).toBe(1);
  }
  expect(answers).toHaveLength(4_999);
});

test("settling more often than announced is a bug that is not survived", () => {
  const { begin } = open();
  const slot = begin(1, 1, 2);
  slot.settle(0);
  slot.settle(0);
  expect(() => slot.settle(0)).toThrow("settled more often");
});

test("a refusal is told before it is its turn, and only that", () => {
  const { answers, refusals, begin } = open();
  const first = begin(1, 1, 1);
  begin(2, 1, 1).settle(0x97);
  expect({ answers, refusals }).toEqual({ answers: [], refusals: [0x97] });
  first.settle(0);
  expect(answers).toEqual(["1/1/0", `2/1/${0x97}`]);
});

test("a refusal that ends the connection gives every slot back once", () => {
  const { answers, refusals, queue, begin, pool } = open();
  const first = begin(1, 1, 1);
  const second = begin(2, 1, 1);
  refusals.push = (reasonCode) => {
    queue.abandon();
    return reasonCode;
  };
  second.settle(0x97);
  first.settle(0);
  expect(answers).toEqual([]);
  expect(new Set([pool.take(), pool.take(), pool.take()]).size).toBe(3);
});
