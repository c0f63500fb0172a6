import { expect, test } from "vitest";
import { Alarm } from "../src/alarm.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

test("an alarm that is moved later rings then, one that is moved earlier rings earlier, and each once", () => {
  const clock = new VirtualClock();
  const rung: number[] = [];
  const alarm = new Alarm(clock, () => rung.push(clock.monotonicMs()));
  alarm.set(100);
  clock.advance(50);
  alarm.set(200);
  clock.advance(100);
  expect(rung).toEqual([]);
  clock.advance(100);
  expect(rung).toEqual([200]);
  alarm.set(1000);
  alarm.set(300);
  clock.advance(1000);
  expect(rung).toEqual([200, 300]);
  alarm.set(2000);
  alarm.set(Number.POSITIVE_INFINITY);
  clock.advance(5000);
  expect(rung).toEqual([200, 300]);
  alarm.set(7000);
  alarm.stop();
  clock.advance(5000);
  expect(rung).toEqual([200, 300]);
});
