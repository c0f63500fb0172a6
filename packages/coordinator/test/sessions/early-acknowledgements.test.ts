/** What clients say without a quorum: nobody who knows of it sends them a message again, whatever the log and the replica say. */

import type { KeptSession, SessionClaim, SubscriptionWish } from "@skein/kernel";
import { expect, test } from "vitest";
import { decodeFrame } from "../../src/frames.ts";
import { EarlyAcknowledgements } from "../../src/sessions/early-acknowledgements.ts";
import { nameOf } from "../../src/sessions/early-messages.ts";
import { decodeCommand } from "../../src/state-machine/commands.ts";
import { comesTo, openingOf } from "../support/kept-client.ts";
import { completion, type SimNode, World } from "../support/world.ts";
import { message, SessionWorld, A as SOME, wish } from "./session-world.ts";

/** An election that fails, and the patience of the outbox. */
const CUT_OFF_MS = 15_000;
/** A command that is put on the disk, or comes through the log. */
const CARRIED_OUT_MS = 1000;

/** The client comes to `node`. */
function come(world: World, node: SimNode): ReturnType<typeof comesTo> {
  const client = comesTo(node, "s");
  world.run(CARRIED_OUT_MS);
  return client;
}

function leave(world: World, claim: SessionClaim): void {
  claim.close("discard", 3600, -1);
  world.run(CARRIED_OUT_MS);
}

/** A mesh in which the client has a session that wants `t`, and is away. */
function mesh(count: number): { world: World; nodes: readonly SimNode[] } {
  const world = new World(3);
  const nodes = world.add(count);
  world.startAll();
  world.until(() => world.isFormed(count > 2 ? (count > 6 ? 5 : 3) : 1), 60_000, "formed");
  const { claim } = come(world, nodes[0] as SimNode);
  const wishes: readonly SubscriptionWish[] = [wish("t")];
  claim.subscribe(wishes, completion());
  world.run(CARRIED_OUT_MS);
  leave(world, claim);
  return { world, nodes };
}

/** What it would be sent, in order, with what needs only its PUBREL in brackets. */
function owed(kept: KeptSession): string[] {
  const found: string[] = [];
  for (let next = kept.after(-1); next !== undefined; next = kept.after(next.ordinal)) {
    const text = new TextDecoder().decode(next.message.payload);
    found.push(next.isReleased ? `(${text})` : text);
  }
  return found;
}

test("P6: who empties its queue without a quorum is not sent it again by that node, also after a restart, nor by the mesh", () => {
  const { world, nodes } = mesh(2);
  const voter = nodes.find(({ status }) => status.role === "leader") as SimNode;
  const other = nodes.find((node) => node !== voter) as SimNode;
  for (const text of ["1", "2", "3", "4"])
    voter.running.sessions.publish(message("t", text, 2), undefined, [], completion());
  world.run(CARRIED_OUT_MS);
  world.kill(voter);
  world.run(CUT_OFF_MS);

  const first = come(world, other);
  expect(owed(first.kept())).toEqual(["1", "2", "3", "4"]);
  const place = first.kept().after(-1)?.ordinal ?? 0;
  first.claim.acknowledge(place);
  const committed = completion();
  for (const ordinal of [place + 1, place + 2]) first.claim.confirm(ordinal, committed);
  world.run(CARRIED_OUT_MS);
  expect(committed.codes).toEqual([0, 0]);
  first.claim.acknowledge(place + 2);
  leave(world, first.claim);
  const second = come(world, other);
  expect(owed(second.kept())).toEqual(["(2)", "4"]);
  leave(world, second.claim);

  world.restart(other);
  world.run(CUT_OFF_MS);
  const third = come(world, other);
  expect(owed(third.kept())).toEqual(["(2)", "4"]);
  third.claim.acknowledge(place + 3);
  world.run(CARRIED_OUT_MS);

  world.start(voter);
  world.until(() => world.isConverged(), 60_000, "converged");
  expect(owed(third.kept())).toEqual(["(2)"]);
  expect(owed(come(world, voter).kept())).toEqual(["(2)"]);
});

test("P6: what a client said without a quorum under a claim that was overtaken goes into the log when it comes back", () => {
  const { world, nodes } = mesh(2);
  const voter = nodes.find(({ status }) => status.role === "leader") as SimNode;
  const other = nodes.find((node) => node !== voter) as SimNode;
  voter.running.sessions.publish(message("t", "1", 2), undefined, [], completion());
  world.run(CARRIED_OUT_MS);
  world.isolate([other], true);
  world.run(CUT_OFF_MS);
  const first = come(world, other);
  first.claim.acknowledge(first.kept().after(-1)?.ordinal ?? -1);
  leave(world, first.claim);
  // Meanwhile it was with the voter, which could not know.
  leave(world, come(world, voter).claim);
  world.isolate([other], false);
  world.until(() => world.isConverged(), 60_000, "converged");
  const back = come(world, other);
  expect(owed(back.kept())).toEqual([]);
  leave(world, back.claim);
  expect(owed(come(world, voter).kept())).toEqual([]);
});

/** Five nodes of which two do not vote, and three messages that the client is owed. */
function meshOfFive() {
  const { world, nodes } = mesh(5);
  for (const text of ["1", "2", "3"])
    nodes[0]?.running.sessions.publish(message("t", text, 2), undefined, [], completion());
  world.run(CARRIED_OUT_MS);
  const alone = nodes.filter(({ status }) => status.role === "learner");
  const [before, after] = alone as [SimNode, SimNode];
  return { world, nodes, alone, before, after };
}

test("P6: who empties its queue without a quorum is not sent it again by another node of the same minority", () => {
  const { world, nodes, alone, before, after } = meshOfFive();
  world.isolate(alone, true);
  world.run(CUT_OFF_MS);
  const { claim, kept } = come(world, before);
  const place = kept().after(-1)?.ordinal ?? 0;
  claim.acknowledge(place);
  claim.confirm(place + 1, completion());
  leave(world, claim);
  const moved = come(world, after);
  expect(owed(moved.kept())).toEqual(["(2)", "3"]);
  leave(world, moved.claim);
  world.isolate(alone, false);
  world.until(() => world.isConverged(), 60_000, "converged");
  for (const node of [after, nodes.find((each) => !alone.includes(each)) as SimNode]) {
    const back = come(world, node);
    expect(owed(back.kept())).toEqual(["(2)", "3"]);
    leave(world, back.claim);
  }
});

test.each([false, true])(
  "P6: nor by one that comes into reach of that node only afterwards (which has restarted: %s)",
  (isRestarted) => {
    const { world, alone, before, after } = meshOfFive();
    for (const node of alone) world.isolate([node], true);
    world.run(CUT_OFF_MS);
    const { claim, kept } = come(world, before);
    const place = kept().after(-1)?.ordinal ?? 0;
    claim.acknowledge(place);
    claim.confirm(place + 1, completion());
    leave(world, claim);
    if (isRestarted) world.restart(before);
    world.isolate([before], false);
    world.isolate(alone, true);
    world.run(CARRIED_OUT_MS);
    expect(alone.map(({ status }) => status.hasQuorum)).toEqual([false, false]);
    const moved = come(world, after);
    world.run(CUT_OFF_MS);
    expect(owed(moved.kept())).toEqual(["(2)", "3"]);
  },
);

test.each([false, true])(
  "P6: who has a message without a quorum that is in the outbox of another node is not owed it (that node restarts: %s)",
  (isRestarted) => {
    const { world, nodes } = mesh(5);
    const alone = nodes.filter(({ status }) => status.role === "learner");
    const [publishing, serving] = alone as [SimNode, SimNode];
    world.isolate(alone, true);
    world.run(CUT_OFF_MS);
    const names: string[] = [];
    world.watch = (bytes) => {
      const frame = decodeFrame(bytes);
      if (frame?.kind !== "early") return;
      for (const command of frame.commands.map(decodeCommand))
        if (command.operation.kind === "publish") names.push(nameOf(command.envelope));
    };
    const { claim } = come(world, serving);
    for (const text of ["had", "new"])
      publishing.running.sessions.publish(message("t", text, 2), undefined, [], completion());
    world.run(CARRIED_OUT_MS);
    expect(names).toHaveLength(2);
    claim.acknowledgeEarly(names[0] as string);
    leave(world, claim);
    if (isRestarted) world.restart(publishing);
    world.isolate(alone, false);
    world.until(() => world.isConverged(), 60_000, "converged");
    world.run(CUT_OFF_MS);
    const [elsewhere] = nodes.filter((node) => !alone.includes(node));
    expect(owed(come(world, elsewhere as SimNode).kept())).toEqual(["new"]);
  },
);

test("what is remembered of a session says nothing about the next one of its client, and goes when the log has it", () => {
  const said = new EarlyAcknowledgements();
  const log = new SessionWorld();
  const claim = log.open(SOME, "s");
  log.subscribe(SOME, "s", claim, wish("t"));
  for (const text of ["1", "2"]) log.publish(SOME, "t", text, 2);
  const [first, second] = log.ordinals("s", 0, 1) as [number, number];
  const acknowledge = (ordinals: number[], by: number) =>
    ({ kind: "acknowledge", sessions: [{ clientId: "s", claim: by, ordinals }] }) as const;
  said.take(acknowledge([first, second], claim));
  const heard = (operation: Parameters<EarlyAcknowledgements["take"]>[0]): void => {
    log.propose(SOME, operation);
    said.applied(operation, log.machine.sessions);
  };
  heard(acknowledge([first], claim));
  heard(acknowledge([second], claim + 1));
  expect([...said.of("s")]).toEqual([[second, "had"]]);
  heard({ kind: "open", opening: openingOf("s") });
  expect(said.isEmpty).toBe(false);
  heard({ kind: "open", opening: openingOf("s", { cleanStart: true }) });
  expect(said.isEmpty).toBe(true);
});
