import { type Completion, SAFE_HERE_ONLY } from "@skein/kernel";
import { expect, test } from "vitest";
import {
  COORDINATOR_WAIT_MAX_MS,
  LINKS_WAIT_MAX_MS,
  REPLICA_WAIT_MAX_MS,
  Readiness,
  type ReadyReason,
} from "../src/readiness.ts";

/** A readiness with a clock and a log that the test drives. */
function waiting() {
  let now = 0;
  let timers: { at: number; callback: () => void }[] = [];
  const clock = {
    after: (delayMs: number, callback: () => void) => {
      const timer = { at: now + delayMs, callback };
      timers.push(timer);
      return { cancel: () => (timers = timers.filter((other) => other !== timer)) };
    },
  };
  const world = {
    hasQuorum: false,
    hasLinks: true,
    committed: undefined as Completion | undefined,
    reason: undefined as ReadyReason | undefined,
    readiness: undefined as Readiness | undefined,
    timers: () => timers.length,
    pass(ms: number) {
      now += ms;
      const due = timers.filter(({ at }) => at <= now);
      timers = timers.filter(({ at }) => at > now);
      for (const { callback } of due) callback();
    },
  };
  const retained = {
    put: (message: { readonly payload: Uint8Array; readonly topic: string }, done?: Completion) => {
      // It must change nothing: deletes a topic that nobody uses.
      expect(message.payload).toHaveLength(0);
      expect(message.topic).toMatch(/^\$/);
      world.committed = done;
      return 1;
    },
  };
  world.readiness = new Readiness(
    clock,
    retained,
    () => world,
    () => world.hasLinks,
    (reason) => {
      world.reason = reason;
    },
  );
  return world;
}

test("P4: what the clients of other nodes want is waited for, as long as there may be a link to them", () => {
  const linkless = () => {
    const world = waiting();
    world.hasQuorum = true;
    world.hasLinks = false;
    world.readiness?.membersChanged();
    world.committed?.settle(0);
    world.pass(LINKS_WAIT_MAX_MS - 1);
    expect(world.reason).toBeUndefined();
    return world;
  };
  const linked = linkless();
  linked.hasLinks = true;
  linked.readiness?.membersChanged();
  expect(linked.reason).toBe("current");
  expect(linked.timers()).toBe(0);
  const apart = linkless();
  apart.pass(1);
  expect(apart.reason).toBe("current");
});

test("P8: clients are let in once a command of this node has come back through the log", () => {
  const world = waiting();
  world.hasQuorum = true;
  world.pass(COORDINATOR_WAIT_MAX_MS / 2);
  expect(world.reason).toBeUndefined();
  world.committed?.settle(0);
  world.pass(0);
  expect(world.reason).toBe("current");
  expect(world.timers()).toBe(0);
});

test("P3: without a coordinator clients are let in after a while", () => {
  const world = waiting();
  world.pass(COORDINATOR_WAIT_MAX_MS - 1);
  expect(world.reason).toBeUndefined();
  world.pass(1);
  expect(world.reason).toBe("no coordinator");
});

test("with a coordinator a replica that is being filled gets more time, but not for ever", () => {
  const world = waiting();
  world.hasQuorum = true;
  world.pass(COORDINATOR_WAIT_MAX_MS);
  world.pass(REPLICA_WAIT_MAX_MS - COORDINATOR_WAIT_MAX_MS - 1);
  expect(world.reason).toBeUndefined();
  world.pass(1);
  expect(world.reason).toBe("slow replica");
});

test("P8: a command that was taken without a quorum has not come through the log, and is proposed again", () => {
  const world = waiting();
  world.pass(5000);
  world.committed?.settle(SAFE_HERE_ONLY);
  expect(world.reason).toBeUndefined();
  const taken = world.committed;
  world.pass(1000);
  expect(world.committed).not.toBe(taken);
  world.committed?.settle(0);
  expect(world.reason).toBe("current");
  expect(world.timers()).toBe(0);
});

test("P3: as long as commands are taken without a quorum nobody is let in as by a current node, but at last all the same", () => {
  const world = waiting();
  for (let second = 0; second < COORDINATOR_WAIT_MAX_MS / 1000; second++) {
    expect(world.reason).toBeUndefined();
    world.committed?.settle(SAFE_HERE_ONLY);
    world.pass(1000);
  }
  expect(world.reason).toBe("no coordinator");
  expect(world.timers()).toBe(0);
});

test("stopped while waiting it lets nobody in", () => {
  const world = waiting();
  world.readiness?.stop();
  world.pass(REPLICA_WAIT_MAX_MS);
  expect(world.reason).toBeUndefined();
  expect(world.timers()).toBe(0);
});
