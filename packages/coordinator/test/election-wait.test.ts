/** After a power cut of all an election waits for every voter; whoever waits must know for whom. */

import { expect, test } from "vitest";
import { completion, retained, type SimNode, World } from "./support/world.ts";

const MINUTE_MS = 60_000;
const LINE = "no coordinator: an election waits for every voter";

function blackout(world: World): void {
  for (const node of world.nodes) {
    world.kill(node);
    node.disk.crash();
    node.bootId = `${node.bootId}-next`;
  }
}

function formed(seed: number): World {
  const world = new World(seed);
  world.add(3);
  world.startAll();
  world.until(() => world.isFormed(3), 30_000, "formed");
  const done = completion();
  for (let i = 0; i < 20; i++) world.leader?.running.retained.put(retained(`t/${i}`, "x"), done);
  world.until(() => done.codes.length === 20, 5000, "acknowledged");
  world.run(3000);
  return world;
}

test("a blackout after which one voter stays away: the others name it in status and log, at once and then once a minute", () => {
  const world = formed(71);
  const [a, b, away] = world.nodes as [SimNode, SimNode, SimNode];
  blackout(world);
  world.startAll([a, b]);
  for (const node of [a, b]) node.logs.length = 0;
  world.until(() => [a, b].every(({ status }) => status.electionWait !== undefined), 15_000, "known");
  world.run(5 * MINUTE_MS);
  for (const node of [a, b]) {
    const voter = { id: away.id, name: "pi3", isLinked: false, lostAt: undefined };
    expect(node.status).toMatchObject({
      hasQuorum: false,
      electionWait: { isSuspect: true, voters: [voter] },
    });
    const lines = node.logs.filter(({ message }) => message === LINE);
    expect(lines.length).toBeGreaterThanOrEqual(5);
    expect(lines.length).toBeLessThanOrEqual(6);
    expect(lines[0]?.fields).toMatchObject({
      waitsFor: ["pi3"],
      explanation: expect.stringContaining("waits for pi3 (not seen since this node started)"),
    });
  }
  world.start(away);
  world.until(() => world.isFormed(3) && world.isConverged(), 30_000, "whole again");
  for (const node of world.nodes) expect(node.status.electionWait).toBeUndefined();
});

test("when it was seen last is said of one that went away later; a lone node waits for both others", () => {
  const world = formed(72);
  const [a, b, away] = world.nodes as [SimNode, SimNode, SimNode];
  blackout(world);
  world.start(a);
  world.until(() => a.status.electionWait?.voters.length === 2, 15_000, "waits for both");
  world.start(away);
  world.run(10_000);
  expect(a.status.electionWait?.voters).toMatchObject([{ id: b.id, name: "pi2", isLinked: false }]);
  world.kill(away);
  const lostAt = world.clock.monotonicMs();
  world.run(20_000);
  const seen = a.status.electionWait?.voters.find(({ id }) => id === away.id)?.lostAt ?? 0;
  expect(seen - lostAt).toBeGreaterThanOrEqual(0);
  expect(seen - lostAt).toBeLessThan(100);
});

test("without a power cut a missing majority is no such wait", () => {
  const world = formed(73);
  const [a, b, c] = world.nodes as [SimNode, SimNode, SimNode];
  world.kill(b);
  world.kill(c);
  world.run(30_000);
  expect(a.status).toMatchObject({ hasQuorum: false, electionWait: undefined });
  expect(a.logs.some(({ message }) => message === LINE)).toBe(false);
});

test("P12: a damaged list of names is ignored, and written anew when names are heard", () => {
  const world = formed(74);
  const [a] = world.nodes as [SimNode];
  world.kill(a);
  expect(new TextDecoder().decode(a.disk.read("names.json"))).toContain('"pi3"');
  a.disk.cut("names.json", 7);
  world.start(a);
  expect(a.logs.at(-1)?.message).toBe("the list of names is unreadable and ignored");
  world.run(5000);
  expect(new TextDecoder().decode(a.disk.read("names.json"))).toContain('"pi3"');
});
