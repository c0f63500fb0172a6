/** A member that gets a leader's snapshot instead of the entries: what the log has published meanwhile. */

import type { NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { comesTo, numbers, publisherAt } from "../support/kept-client.ts";
import { type SimNode, textOf, World } from "../support/world.ts";
import { A, B, message, SessionWorld, will } from "./session-world.ts";

/** Logs so short that whoever is away gets a snapshot. */
const SHORT_LOG = { snapshotEntries: 20, entriesKept: 5, snapshotChunkBytes: 500 };

/** A mesh of `count`, its leader first. */
function mesh(count: number, voters: number): { readonly world: World; readonly nodes: readonly SimNode[] } {
  const world = new World(count, SHORT_LOG);
  world.add(count);
  world.startAll();
  world.until(() => world.isFormed(voters) && world.leader !== undefined, 60_000, "formed");
  return { world, nodes: [...world.nodes].sort((a) => (a === world.leader ? -1 : 0)) };
}

function together(world: World, voters: number): void {
  world.until(() => world.isFormed(voters) && world.isConverged(), 60_000, "together again");
  world.run(1000);
}

test("P5: its live subscribers get QoS 2 messages of kept sessions and wills, once, in their order", () => {
  const { world, nodes } = mesh(3, 3);
  const [leader, other, away] = nodes as [SimNode, SimNode, SimNode];
  const publish = publisherAt(world, other);
  const { claim } = comesTo(leader, "w", { will: { message: message("w", "gone", 1), delaySeconds: 0 } });
  publish();
  world.run(1000);
  world.isolate([away], true);
  for (let count = 2; count <= 100; count++) {
    publish();
    if (count === 50) claim.close("publish", 0, -1);
    world.run(100);
  }
  world.isolate([away], false);
  publish();
  together(world, 3);
  expect(away.heard.map(textOf)).toEqual(leader.heard.map(textOf));
  expect(away.heard.map(textOf).filter((text) => text !== "gone")).toEqual(numbers(1, 101));
  expect(away.heard.length).toBe(102);
});

test("P6: and not once more what they had before the log, without a quorum", () => {
  const { world, nodes } = mesh(5, 3);
  const [leader, ...others] = nodes as [SimNode, SimNode, SimNode, SimNode, SimNode];
  const isVoter = ({ id }: SimNode): boolean => leader.status.voters.includes(id);
  const minority = [...others.filter(isVoter).slice(1), ...others.filter((node) => !isVoter(node)).slice(1)];
  const [teller, away] = minority as [SimNode, SimNode];
  const publish = publisherAt(world, teller);
  world.isolate(minority, true);
  world.run(9000);
  expect([teller.status.hasQuorum, away.status.hasQuorum]).toEqual([false, false]);
  for (let count = 1; count <= 50; count++) publish();
  world.run(1000);
  expect(away.heard.map(textOf)).toEqual(numbers(1, 50));
  // The one that has them in its outbox first: the other one gets a snapshot that holds them.
  world.isolate([teller], false);
  world.isolate([away], true);
  world.run(3000);
  for (let count = 51; count <= 100; count++) publish();
  world.run(2000);
  expect(leader.heard.map(textOf)).toEqual(numbers(1, 100));
  world.isolate([away], false);
  together(world, 3);
  expect(away.heard.map(textOf)).toEqual(numbers(1, 100));
});

/** A client that publishes with QoS 2 in a kept session, `each` ms apart. */
function published(texts: readonly string[], each: number): SessionWorld {
  const world = new SessionWorld();
  const claim = world.open(A, "p");
  for (const [i, text] of texts.entries()) {
    world.nowMs += each;
    const operation = {
      kind: "publishOnce",
      isRepeated: false,
      clientId: "p",
      claim,
      packetId: i + 1,
    } as const;
    world.propose(A, { ...operation, message: message("t", text, 2) });
  }
  return world;
}

function recent(machine: StateMachine, behind = 0): (readonly [string | undefined, NodeId | undefined])[] {
  const { elapsed } = machine.sessions.time;
  return [...machine.recent.behind(behind, elapsed)].map(({ publication, by }) => [
    textOf(publication.message),
    by,
  ]);
}

test("a snapshot holds what was published last, in order, and who has put it there", () => {
  const world = published(["1", "2", "3"], 1);
  world.close(B, "w", world.open(B, "w", { will: will("w", "gone") }));
  const restored = new StateMachine();
  restored.restore(world.machine.snapshot());
  expect(recent(restored)).toEqual([...numbers(1, 3).map((text) => [text, A]), ["gone", B]]);
  expect(recent(restored, 3)).toEqual([
    ["3", A],
    ["gone", B],
  ]);
  expect(restored.snapshot()).toEqual(world.machine.snapshot());
});

test.each([
  ["number", numbers(1, 1500), 1, numbers(501, 1500)],
  ["bytes", numbers(1, 50).map((text) => text.padEnd(30_000)), 1, numbers(17, 50)],
  ["age", numbers(1, 10), 20_000, numbers(7, 10)],
])("it is bounded in %s", (_, texts, each, left) => {
  const { machine } = published(texts, each);
  expect(recent(machine).map(([text]) => text?.trim())).toEqual(left);
});

test("what is old where the snapshot was made is not handed out", () => {
  const world = published(["1"], 1);
  expect(recent(world.machine)).toEqual([["1", A]]);
  world.nowMs += 61_000;
  world.open(B, "c");
  expect(recent(world.machine)).toEqual([]);
});
