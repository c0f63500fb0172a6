/** A client that goes from a node without a quorum to one that has one, in the first moments after the two hear each other again. */

import type { KeptSession, OwedMessage } from "@skein/kernel";
import { expect, test } from "vitest";
import { comesTo, openingOf } from "../support/kept-client.ts";
import { completion, type SimNode, World } from "../support/world.ts";
import { message, wish } from "./session-world.ts";

interface Pair {
  readonly world: World;
  /** The voter. */
  readonly whole: SimNode;
  /** Without a quorum since long. */
  readonly alone: SimNode;
  /** What the client is owed as the node without a quorum knows. */
  readonly owed: KeptSession;
  readonly acknowledge: (ordinal: number) => void;
}

/**
 * A client that is owed one message is on the node that does not vote, which has lost the other one for so long that it goes on by itself. After
 * 11 s the other one takes it for gone.
 */
function cutOff(forMs = 9000): Pair {
  const world = new World(11);
  world.add(2);
  world.startAll();
  world.until(() => world.isFormed(1) && world.leader !== undefined, 60_000, "formed");
  world.run(2000);
  const whole = world.leader;
  const alone = world.nodes.find((node) => node !== whole);
  if (whole === undefined || alone === undefined) throw new Error("no nodes");
  const { claim, kept } = comesTo(alone, "c");
  claim.subscribe([wish("t")], completion());
  world.run(1000);
  whole.running.sessions.publish(message("t", "before", 2), undefined, [], completion());
  world.run(1000);
  world.isolate([alone], true);
  world.run(forMs);
  expect([alone.status.hasQuorum, kept().queued]).toEqual([false, 1]);
  return { world, whole, alone, owed: kept(), acknowledge: (ordinal) => claim.acknowledge(ordinal) };
}

/** It comes to `node` as its broker lets it. The message that it is sent first when its CONNECT is answered. */
function firstSent(world: World, node: SimNode): OwedMessage | undefined {
  let first: OwedMessage | undefined;
  let isAnswered = false;
  const nothing = (): void => undefined;
  const holder = {
    opened: (kept: KeptSession) => {
      first = kept.after(-1);
      isAnswered = true;
    },
    grown: nothing,
    lost: nothing,
    placed: nothing,
  };
  const { sessions } = node.running;
  sessions.afterOutboxes(() => void sessions.open(openingOf("c"), holder));
  world.until(() => isAnswered, 1100, "it is answered");
  return first;
}

test.each([
  ["", 9000],
  [", although that was taken for gone", 15_000],
])("it is not sent again what it has acknowledged to that node%s", (_, forMs) => {
  const { world, whole, alone, owed, acknowledge } = cutOff(forMs);
  acknowledge(owed.after(-1)?.ordinal ?? 0);
  world.run(1000);
  world.isolate([alone], false);
  // The links are there.
  world.run(15);
  expect(firstSent(world, whole)).toBe(undefined);
});

test("nor what it has acknowledged in the last moment, which that node has not proposed yet", () => {
  const { world, whole, alone, owed, acknowledge } = cutOff();
  world.isolate([alone], false);
  world.run(15);
  acknowledge(owed.after(-1)?.ordinal ?? 0);
  expect(firstSent(world, whole)).toBe(undefined);
});

test("what that node has taken comes before what is published after its CONNECT is answered", () => {
  const { world, whole, alone } = cutOff();
  alone.running.sessions.publish(message("t", "older"), undefined, [], completion());
  world.run(1000);
  world.isolate([alone], false);
  world.run(15);
  let payloads: string[] | undefined;
  whole.running.sessions.afterOutboxes(() => {
    whole.running.sessions.publish(message("t", "newer"), undefined, [], completion());
    const { kept } = comesTo(whole, "c");
    world.clock.after(500, () => {
      const view = kept();
      payloads = [];
      for (let at = view.after(-1); at !== undefined; at = view.after(at.ordinal))
        payloads.push(new TextDecoder().decode(at.message.payload));
    });
  });
  world.run(2000);
  expect(payloads).toEqual(["before", "older", "newer"]);
});

test("a client that comes to the node without a quorum then finds its session as the other one has it", () => {
  const { world, whole, alone } = cutOff();
  const there = comesTo(whole, "c");
  world.run(500);
  there.claim.acknowledge(there.kept().after(-1)?.ordinal ?? 0);
  world.run(1000);
  world.isolate([alone], false);
  world.run(15);
  expect(alone.status.hasQuorum).toBe(false);
  expect(firstSent(world, alone)).toBe(undefined);
});
