/** What time it is for sessions and messages on a node whose replica follows the log, or catches up. */

import { expect, test } from "vitest";
import { SessionClock } from "../../src/sessions/session-clock.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { SessionWorld } from "./session-world.ts";

/** A replica that has what `world` has, and its clock. */
function following(world: SessionWorld) {
  const [clock, machine] = [new VirtualClock(), new StateMachine()];
  machine.restore(world.machine.snapshot());
  const time = new SessionClock(clock, machine);
  time.observe();
  return { clock, machine, time };
}

/** What has been written so far. */
function begun(): SessionWorld {
  const world = new SessionWorld();
  world.pass(1);
  return world;
}

test("a replica that catches up does not take the time of an old entry for the time that it is", () => {
  const world = begun();
  const { clock, machine, time } = following(world);
  const [cutOffAt, came] = [time.now, world.log.length];
  world.pass(1);
  world.pass(60);
  clock.advance(61_500);
  expect(time.now - cutOffAt).toBe(61_500);
  for (let at = came; at < world.log.length; at++) {
    machine.apply(world.log[at] as Uint8Array, at + 1);
    time.observe();
    expect(time.now - cutOffAt).toBe(61_500);
  }
});

test("a node that goes over to another cluster goes by the time of that, though its clock is years behind", () => {
  const ours = begun();
  ours.nowMs += 10 * 365 * 86_400_000;
  ours.pass(1);
  const { clock, machine, time } = following(ours);
  const theirs = begun();
  machine.restore(theirs.machine.snapshot());
  time.observe();
  clock.advance(3000);
  expect(time.now).toBe(theirs.machine.sessions.time.elapsed + 3000);
});
