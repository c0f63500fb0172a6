/** What a node without a quorum knows of the wishes of kept sessions, and what it holds back: guarantees.md, "Without a quorum". */

import { type Completion, type KeptSession, type OwedMessage, SAFE_HERE_ONLY } from "@skein/kernel";
import { expect, test } from "vitest";
import { comesTo } from "../support/kept-client.ts";
import { completion, replicated, retained, type SimNode, textOf, World } from "../support/world.ts";
import { message, wish } from "./session-world.ts";

/** A client whose session is kept subscribes to `filter`. */
function subscribe(node: SimNode, filter: string): void {
  comesTo(node, `for ${filter}`).claim.subscribe([wish(filter)], completion());
}

/** Three nodes are one cluster; `here` does not lead it. */
function formThree(world: World): { readonly leader: SimNode; readonly here: SimNode } {
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  world.run(2000);
  const { leader } = world;
  const here = world.nodes.find((node) => node !== leader);
  if (leader === undefined || here === undefined) throw new Error("no nodes");
  return { leader, here };
}

test("a node that is cut off knows what was subscribed before, and what nodes in reach are told since, but not what the majority is", () => {
  const world = new World(5);
  world.add(5);
  world.startAll();
  world.until(() => world.isFormed(3) && world.leader !== undefined, 60_000, "formed");
  world.run(2000);
  const { leader } = world;
  const cutOff = world.nodes.filter(({ id, status }) => !status.voters.includes(id));
  const [here, there] = cutOff;
  if (leader === undefined || here === undefined || there === undefined) throw new Error("no nodes");
  subscribe(leader, "before");
  world.run(2000);
  world.isolate(cutOff, true);
  world.run(15_000);
  subscribe(leader, "with the majority");
  subscribe(there, "in reach");
  world.run(2000);
  const { sessions } = here.running;
  expect([here.status.hasQuorum, sessions.wants("before"), sessions.wants("in reach")]).toEqual([
    false,
    true,
    true,
  ]);
  expect(sessions.wants("with the majority")).toBe(false);
  world.isolate(cutOff, false);
  world.until(() => sessions.wants("with the majority"), 20_000, "it hears of it");
});

test("a node that was silent lets the log decide who wants a message until it has what was committed meanwhile", () => {
  const world = new World(6, { appendBytesMax: 200, inflightMax: 1 });
  const { leader, here } = formThree(world);
  // Not as long as an election takes: the term stays.
  world.isolate([here], true);
  for (let number = 0; number < 50; number++)
    leader.running.retained.put(retained("t", `${number}`.padEnd(100)), completion());
  world.run(1000);
  subscribe(leader, "wish");
  world.run(500);
  const { sessions } = here.running;
  expect(sessions.wants("wish")).toBe(false);
  const { term } = here.status;
  world.isolate([here], false);
  world.until(() => sessions.wants("wish"), 2000, "it is back");
  expect(replicated(here, "t"), "it lacks what was committed").toBeUndefined();
  for (let passed = 0; passed < 2000; passed += 5) {
    expect(sessions.wants("wish")).toBe(true);
    world.run(5);
  }
  expect(sessions.wants("nobody's")).toBe(false);
  expect(here.status.term).toBe(term);
});

/** Payloads that a session is owed, in order. */
function owed(kept: KeptSession): (string | undefined)[] {
  const texts: (string | undefined)[] = [];
  for (let next = kept.after(-1); next !== undefined; next = kept.after(next.ordinal))
    texts.push(textOf(next.message));
  return texts;
}

test("with `hold` a node without a quorum neither acknowledges nor delivers what goes through the log; after the heal it does, once", () => {
  const world = new World(7, {}, "hold");
  const { leader, here } = formThree(world);
  const near = comesTo(here, "near");
  const far = comesTo(leader, "far");
  const publisher = comesTo(here, "publisher");
  for (const { claim } of [near, far]) claim.subscribe([wish("t"), wish("kept")], completion());
  world.run(2000);
  world.isolate([here], true);
  // Twice what a node waits that may acknowledge by itself.
  world.run(15_000);
  expect(here.status.hasQuorum).toBe(false);

  const done = Array.from({ length: 4 }, completion);
  const { sessions, retained: store } = here.running;
  sessions.publish(message("t", "1", 1), "publisher", [], done[0]);
  publisher.claim.publish(message("t", "2", 2), 1, false, done[1] as Completion);
  sessions.publish(message("kept", "3", 1, true), "publisher", [], done[2]);
  store.put(retained("plain", "4"), done[3]);
  world.run(60_000);
  expect(done.map(({ codes }) => codes)).toEqual([[], [], [], []]);
  for (const { kept } of [near, far]) expect(owed(kept())).toEqual([]);
  for (const node of world.nodes) expect(node.heard).toEqual([]);
  for (const topic of ["kept", "plain"]) expect(replicated(leader, topic)).toBeUndefined();

  world.isolate([here], false);
  world.until(() => done.every(({ codes }) => codes.length > 0), 20_000, "all is acknowledged");
  world.run(5000);
  expect(done.map(({ codes }) => codes)).toEqual([[0], [0], [0], [0]]);
  for (const { kept } of [near, far]) expect(owed(kept())).toEqual(["1", "2", "3"]);
  for (const node of world.nodes) {
    // What goes to everybody through the log.
    expect(node.heard.map(textOf)).toEqual(["2"]);
    expect([replicated(node, "kept"), replicated(node, "plain")]).toEqual(["3", "4"]);
  }
});

test("what a node has taken without a quorum goes on with what is left of its lifetime when the log has it, also where nobody wrote anything meanwhile", () => {
  const world = new World(5);
  const { leader, here } = formThree(world);
  const { claim, kept } = comesTo(leader, "s");
  claim.subscribe([wish("t")], completion());
  world.run(2000);
  world.isolate([here], true);
  // Not in the minute in which the others write down that it is gone.
  world.run(30_000);
  const done = completion();
  for (const messageExpirySeconds of [30, 100]) {
    const properties = { messageExpirySeconds };
    here.running.sessions.publish({ ...message("t", "x"), properties }, undefined, [], done);
  }
  world.run(60_000);
  expect(done.codes).toEqual([SAFE_HERE_ONLY, SAFE_HERE_ONLY]);
  world.isolate([here], false);
  world.until(() => kept().queued === 2, 20_000, "they are owed");
  const first = kept().after(-1) as OwedMessage;
  const second = kept().after(first.ordinal) as OwedMessage;
  expect(kept().lifetimeLeft(first)).toBe(0);
  expect(Math.abs((kept().lifetimeLeft(second) ?? 0) - 37)).toBeLessThan(4);
});
