import type { ApplicationMessage, MonotonicMs } from "@skein/kernel";
import { expect, test } from "vitest";
import { InMemoryRetained } from "../src/in-memory-retained.ts";

function message(topic: string, bytes: number): ApplicationMessage {
  return { topic, payload: new Uint8Array(bytes), qos: 1, retain: true, properties: undefined };
}

/** A store, and what became of each `put`: 0 taken, else its reason code. */
function storeOf(topicsMax: number, bytesMax: number) {
  const ends: (() => void)[] = [];
  const clock = { monotonicMs: () => 0 as MonotonicMs, atTurnEnd: (end: () => void) => void ends.push(end) };
  const store = new InMemoryRetained(clock, topicsMax, bytesMax);
  const put = (topic: string, bytes: number): number => {
    let code = 0;
    const parts = store.put(message(topic, bytes), {
      settle: (reasonCode) => {
        code = reasonCode;
      },
    });
    expect([parts, code]).toEqual([ends.length, 0]);
    for (const end of ends.splice(0)) end();
    return code;
  };
  return { store, put };
}

test("a further topic is refused with 0x97 when there are as many as may be; the others may change and go", () => {
  const { store, put } = storeOf(2, 1_000);
  expect([put("a", 1), put("b", 1), put("c", 1)]).toEqual([0, 0, 0x97]);
  expect([put("a", 2), put("b", 0), put("c", 1)]).toEqual([0, 0, 0]);
  expect(store.count).toBe(2);
});

test("bytes are bounded too, and what makes a full store smaller is always taken", () => {
  const { store, put } = storeOf(100, 30);
  expect([put("a", 9), put("b", 9), put("c", 9)]).toEqual([0, 0, 0]);
  expect([put("d", 1), put("a", 10)]).toEqual([0x97, 0x97]);
  expect([put("a", 5), put("b", 12), put("d", 1)]).toEqual([0, 0, 0x97]);
  expect([put("c", 0), put("d", 1)]).toEqual([0, 0]);
  expect(store.count).toBe(3);
  expect(store.put(message("e", 50), undefined)).toBe(0);
  expect(store.count).toBe(3);
});
