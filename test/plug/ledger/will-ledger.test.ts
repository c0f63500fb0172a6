import { beforeEach, describe, expect, test } from "vitest";
import { WillLedger } from "./will-ledger.ts";

const GRACE = 1000;

let ledger: WillLedger;

beforeEach(() => {
  ledger = new WillLedger(["watcher"], GRACE);
});

function live(at: number): number {
  const life = ledger.began("c", at);
  ledger.accepted("c", life);
  ledger.known("c", life, at);
  ledger.heardBack("watcher", "c", life, at);
  return life;
}

function broken(at: number) {
  return ledger.judge(at).filter((judgement) => judgement.broken > 0);
}

describe("a history that is right", () => {
  test("one will for who stays away, none for who takes its leave", () => {
    ledger.ended("c", live(0), "cut", 10);
    ledger.heardWill("watcher", "c", 0, 500);
    ledger.ended("c", live(2000), "read", 2100);
    live(3000);
    expect(broken(9000)).toEqual([]);
    expect(ledger.lives).toBe(3);
  });

  test("who comes back in time may have had its will published before, or not", () => {
    ledger.ended("c", live(0), "cut", 10);
    ledger.ended("c", ledger.began("c", 20), "cut", 22);
    ledger.heardWill("watcher", "c", 0, 25);
    ledger.ended("c", live(30), "cut", 40);
    live(50);
    expect(broken(9000)).toEqual([]);
  });

  test("a will is not missing before the grace is over, nor of a life that was never acknowledged, nor of a doubtful leave", () => {
    ledger.ended("c", live(0), "cut", 10);
    expect(ledger.missing(GRACE)).toBe(0);
    expect(ledger.missing(10 + GRACE)).toBe(1);
    ledger.heardWill("watcher", "c", 0, 900);
    const unknown = ledger.began("c", 2000);
    ledger.ended("c", unknown, "cut", 2010);
    ledger.known("c", unknown, 4000);
    ledger.ended("c", live(4000), "sent", 4010);
    expect(broken(9000)).toEqual([]);
    expect(ledger.missing(9000)).toBe(0);
  });
});

test("a CONNECT that was never answered may be read late: its will comes once, at any time", () => {
  ledger.ended("c", ledger.began("c", 0), "cut", 10);
  live(20);
  ledger.heardWill("watcher", "c", 0, 30);
  expect(broken(9000)).toEqual([]);
});

describe("each kind of breach is found", () => {
  test("a will that is never heard", () => {
    ledger.ended("c", live(0), "cut", 10);
    expect(broken(9000)).toMatchObject([{ promise: expect.stringContaining("gone"), judged: 1, broken: 1 }]);
  });

  test("a will that is heard twice", () => {
    ledger.ended("c", live(0), "cut", 10);
    for (const at of [20, 30]) ledger.heardWill("watcher", "c", 0, at);
    expect(broken(9000)).toMatchObject([{ promise: expect.stringContaining("once"), broken: 1 }]);
  });

  test("a will after its client is back", () => {
    ledger.ended("c", live(0), "cut", 10);
    live(20);
    ledger.heardWill("watcher", "c", 0, 30);
    expect(broken(9000)).toMatchObject([
      {
        promise: expect.stringContaining("back"),
        examples: [{ client: "watcher", topic: "c", id: "life 0" }],
      },
    ]);
  });

  test("a will of who took its leave, and of who is still there", () => {
    ledger.ended("c", live(0), "read", 10);
    ledger.heardWill("watcher", "c", 0, 20);
    ledger.heardWill("watcher", "c", live(30), 40);
    expect(broken(9000)).toMatchObject([{ promise: expect.stringContaining("leave"), broken: 2 }]);
  });
});
