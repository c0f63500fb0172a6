import { beforeEach, describe, expect, test } from "vitest";
import { DELETED, RetainedLedger, type RetainedSet } from "./retained-ledger.ts";

let ledger: RetainedLedger;

beforeEach(() => {
  ledger = new RetainedLedger();
});

function set(broker: string, messages: Readonly<Record<string, string>>): RetainedSet {
  return { broker, messages: new Map(Object.entries(messages)) };
}

function write(topic: string, ...values: readonly string[]): void {
  for (const [number, value] of values.entries()) {
    ledger.sent(topic, number, value, number);
    ledger.answered(topic, number, false, number + 1);
  }
}

function broken(...sets: readonly RetainedSet[]) {
  return ledger.judge(sets).filter((judgement) => judgement.broken > 0);
}

describe("a history that is right", () => {
  test("the newest values and deletions everywhere", () => {
    write("a", "0", "1");
    write("b", "0", DELETED);
    expect(broken(set("x", { a: "1" }), set("y", { a: "1" }))).toEqual([]);
    expect(ledger.acknowledged).toBe(4);
  });

  test("a write behind the last acknowledged one may have taken effect, answered or not", () => {
    write("a", "0");
    ledger.sent("a", 1, "1", 5);
    expect(broken(set("x", { a: "1" }))).toEqual([]);
    expect(broken(set("x", { a: "0" }))).toEqual([]);
  });

  test("a write that was sent twice may take effect twice", () => {
    write("a", "0", "1");
    ledger.sent("a", 0, "0", 9);
    expect(broken(set("x", { a: "0" }))).toEqual([]);
  });

  test("a refused write is none", () => {
    write("a", "0");
    ledger.sent("a", 1, "1", 5);
    ledger.answered("a", 1, true, 6);
    expect(broken(set("x", { a: "0" }))).toEqual([]);
  });
});

describe("each kind of breach is found", () => {
  test("brokers that differ in a value, or in whether there is one", () => {
    write("a", "0");
    ledger.sent("a", 1, "1", 5);
    ledger.sent("b", 0, "0", 5);
    expect(broken(set("x", { a: "0", b: "0" }), set("y", { a: "1" }))).toMatchObject([
      {
        promise: expect.stringContaining("same"),
        judged: 2,
        broken: 2,
        examples: [{ topic: "a" }, { topic: "b" }],
      },
    ]);
  });

  test("an older value than the last acknowledged one", () => {
    write("a", "0", "1");
    expect(broken(set("x", { a: "0" }))).toMatchObject([
      {
        promise: expect.stringContaining("newest"),
        examples: [{ client: "x", topic: "a", id: "1", what: expect.stringContaining('there is "0"') }],
      },
    ]);
  });

  test("a value that is gone, one that was deleted and is back, and one that nobody wrote", () => {
    write("a", "0");
    write("b", "0", DELETED);
    write("c", "0");
    expect(broken(set("x", { b: "0", c: "17" }))).toMatchObject([{ broken: 3 }]);
  });
});
