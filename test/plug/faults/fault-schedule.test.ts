import { seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import type { FaultKind } from "../settings.ts";
import { type FaultHook, FaultSchedule } from "./fault-schedule.ts";

/** Notes what is done, and says when the cluster has been whole again for the `count`th time. */
class NotingHook implements FaultHook {
  readonly deeds: string[] = [];
  readonly wholeAgain: Promise<void>;
  #resolve: () => void = () => undefined;
  #count: number;

  constructor(count: number) {
    this.#count = count;
    this.wholeAgain = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  async strike(kind: FaultKind, broker: number): Promise<void> {
    this.deeds.push(`${kind} ${broker}`);
  }

  async undo(kind: FaultKind, broker: number): Promise<void> {
    this.deeds.push(`undo ${kind} ${broker}`);
  }

  async whole(): Promise<void> {
    this.deeds.push("whole");
    this.#count -= 1;
    if (this.#count === 0) this.#resolve();
  }
}

const PACE = { kinds: ["kill", "pause"] as const, everyMs: 2, lastsMs: 1 };

test("one broker at a time: it is struck, put right, and the cluster is whole before the next", async () => {
  const hook = new NotingHook(20);
  const schedule = new FaultSchedule(hook, PACE, 3, seededPrng(1), () => 0);
  await hook.wholeAgain;
  await schedule.stop();
  const strikes = hook.deeds.filter((_, at) => at % 3 === 0);
  expect(hook.deeds).toEqual(strikes.flatMap((strike) => [strike, `undo ${strike}`, "whole"]));
  expect(new Set(strikes)).toEqual(
    new Set(["kill", "pause"].flatMap((kind) => [0, 1, 2].map((at) => `${kind} ${at}`))),
  );
  expect(schedule.faults).toHaveLength(strikes.length);
  expect(schedule.current).toBe("quiet");
});

test("a stop in the middle of a fault puts the broker right at once", async () => {
  const hook = new NotingHook(1);
  let struck: () => void = () => undefined;
  const isStruck = new Promise<void>((resolve) => {
    struck = resolve;
  });
  const strike = hook.strike.bind(hook);
  hook.strike = async (kind, broker) => {
    await strike(kind, broker);
    struck();
  };
  const schedule = new FaultSchedule(hook, { ...PACE, lastsMs: 3_600_000 }, 1, seededPrng(1), () => 0);
  await isStruck;
  await schedule.stop();
  expect(hook.deeds).toHaveLength(3);
});

test("a fault that cannot be carried out is told when the schedule is stopped", async () => {
  const hook = new NotingHook(1);
  const struck = new Promise<void>((resolve) => {
    hook.strike = async () => {
      resolve();
      throw new Error("no engine");
    };
  });
  const schedule = new FaultSchedule(hook, PACE, 1, seededPrng(1), () => 0);
  await struck;
  await expect(schedule.stop()).rejects.toThrow("no engine");
});
