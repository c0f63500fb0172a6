/** Which of two clusters in sight of each other has the better claim to the floating address, where one cannot decide anything. */

import { decodeRaftMessage } from "raft-js";
import { expect, test } from "vitest";
import { decodeFrame } from "../../src/frames.ts";
import { type SimNode, World } from "../support/world.ts";

test("a leader that has been elected and commits nothing stands aside for a cluster that works, however small", () => {
  const world = new World(61);
  const nodes = world.add(4);
  const [lone, ...three] = nodes as [SimNode, SimNode, SimNode, SimNode];
  world.startAll();
  world.isolate([lone], true);
  const isFormed = (): boolean => three.every(({ status }) => status.voters.length === 3 && status.hasQuorum);
  world.until(() => isFormed() && lone.status.hasQuorum, 60_000, "two clusters");
  // The change of the voters is over.
  world.run(2000);
  const left = three.find((node) => node.status.role === "leader");
  if (left === undefined) throw new Error("no leader");
  // Entries get lost from now on; votes and heartbeats do not.
  world.isLost = (bytes) => {
    const frame = decodeFrame(bytes);
    return frame?.kind === "raft" && decodeRaftMessage(frame.message).kind === "appendEntries";
  };
  world.kill(left);
  const elected = (): SimNode | undefined =>
    three.find((node) => node !== left && node.coordinator !== undefined && node.status.role === "leader");
  world.until(() => elected() !== undefined, 20_000, "another leader");
  world.isolate([lone], false);
  world.until(() => elected()?.status.isOutranked === true, 5000, "it stands aside");
  expect(lone.status.isOutranked).toBe(false);
});
