/**
 * Many short lives of clusters under faults. Every run checks the properties of paper figure 3 at each step, and that
 * the cluster works again once it is healed. A failure names its seed; the same seed replays the same run.
 */

import { expect, test } from "vitest";
import { foundingState, type ServerId } from "../src/index.ts";
import { HASH_EVERY, SimCluster, TIMING } from "./support/sim-cluster.ts";

const { RAFT_SEEDS, RAFT_SEED } = process.env as { RAFT_SEEDS?: string; RAFT_SEED?: string };
const SEEDS = Number(RAFT_SEEDS ?? 120);
const FIRST_SEED = Number(RAFT_SEED ?? 1);
/** Far above what the default takes, also on a busy machine. */
const LONGEST_MS = 60_000 + SEEDS * 500;
const IDS = ["s1", "s2", "s3", "s4", "s5"];
const CHAOS_MS = 8_000;
const HEAL_MS = 10_000;

function drawFaults(cluster: SimCluster): void {
  const { random, faults } = cluster;
  faults.lossPercent = random.pick([0, 0, 5, 20]);
  faults.duplicatePercent = random.pick([0, 10]);
  faults.delayMaxMs = random.pick([2, 10, 40]);
  faults.diskMaxMs = random.pick([0, 5, 30, 100]);
  cluster.compactAfter = random.pick([8, 40, 1000]);
}

/** Cuts the network in two, or one direction of one pair, or nothing. */
function drawPartition(cluster: SimCluster, ids: readonly ServerId[]): void {
  const { random, faults } = cluster;
  faults.cut.clear();
  const form = random.below(4);
  if (form === 0) faults.cut.add(`${random.pick(ids)}>${random.pick(ids)}`);
  if (form !== 1) return;
  const inside = ids.filter(() => random.chance(50));
  for (const a of inside) {
    for (const b of ids.filter((id) => !inside.includes(id))) faults.cut.add(`${a}>${b}`).add(`${b}>${a}`);
  }
}

/** A next target: first grow 1 -> 3 -> 5 as the mesh does, then anything, the leader's own removal included. */
function drawTarget(cluster: SimCluster, stage: number): { voters: ServerId[]; learners: ServerId[] } {
  const { random } = cluster;
  if (stage === 0) return { voters: ["s1"], learners: ["s2", "s3"] };
  if (stage === 1) return { voters: ["s1", "s2", "s3"], learners: ["s4", "s5"] };
  if (stage === 2) return { voters: IDS, learners: [] };
  const voters = IDS.filter(() => random.chance(60));
  if (voters.length === 0) voters.push(random.pick(IDS));
  return { voters, learners: IDS.filter((id) => !voters.includes(id) && random.chance(70)) };
}

function runChaos(cluster: SimCluster, ids: readonly ServerId[], isConfigurationFixed: boolean): void {
  const { random } = cluster;
  let stage = 0;
  let command = 0;
  const crashPercent = random.pick([1, 4, 15]);
  const restartPercent = random.pick([5, 15, 60]);
  cluster.run(CHAOS_MS, 25, () => {
    const leader = cluster.leaders.length > 0 ? random.pick(cluster.leaders) : undefined;
    if (leader !== undefined && random.chance(50)) {
      const commands = Array.from({ length: 1 + random.below(4) }, () => Uint8Array.of(command++ % 256));
      cluster.step(leader.id, { kind: "propose", commands });
    }
    if (random.chance(30)) cluster.read(random.pick(ids));
    if (leader !== undefined && random.chance(3)) cluster.step(leader.id, { kind: "transferLeadership" });
    if (leader !== undefined && !isConfigurationFixed && random.chance(8)) {
      const { configuration } = leader.node!.status();
      if (configuration.votersOutgoing.length === 0) {
        if (stage < 3 && configuration.voters.length >= [1, 1, 3][stage]!) {
          cluster.step(leader.id, { kind: "changeConfiguration", ...drawTarget(cluster, stage) });
          stage += random.below(2);
        } else {
          cluster.step(leader.id, { kind: "changeConfiguration", ...drawTarget(cluster, stage) });
        }
      }
    }
    if (isConfigurationFixed && random.chance(2)) cluster.corruptState(random.pick(ids));
    if (random.chance(4)) drawPartition(cluster, ids);
    if (random.chance(crashPercent)) cluster.crash(random.pick(ids));
    if (isConfigurationFixed && random.chance(1)) blackOut(cluster, ids);
    for (const id of ids) {
      if (cluster.get(id).node === undefined && random.chance(restartPercent))
        restart(cluster, id, isConfigurationFixed);
    }
  });
}

/** With a fixed configuration, now and then one server at a time loses a part of its log that was safe. */
function restart(cluster: SimCluster, id: ServerId, mayLose: boolean): void {
  const { disk } = cluster.get(id);
  const isAnotherFaulty = [...cluster.servers.values()].some(
    (other) => other.id !== id && (other.disk.isSuspect || other.isWrong),
  );
  if (mayLose && !isAnotherFaulty && cluster.random.chance(40)) {
    disk.lose(1 + cluster.random.below(6));
    disk.isSuspect = true;
  }
  cluster.start(id);
}

/**
 * The power of all fails, and everyone may have lost what it acknowledged. All but one of those with the best log have: so
 * nothing committed is lost as a whole, and the checkers demand that nothing is.
 */
function blackOut(cluster: SimCluster, ids: readonly ServerId[]): void {
  const { random } = cluster;
  const disks = ids.map((id) => cluster.get(id).disk);
  const best = random.pick(disks.filter((disk) => disks.every((other) => disk.isUpToDateWith(other))));
  for (const id of ids) cluster.crash(id);
  for (const disk of disks) {
    if (disk !== best) disk.lose(random.below(7));
    disk.isSuspect = true;
  }
}

/** Everything works again: all servers become voters (if they may), and one more command reaches all. */
function healAndDemandProgress(
  cluster: SimCluster,
  ids: readonly ServerId[],
  isConfigurationFixed: boolean,
): void {
  Object.assign(cluster.faults, { lossPercent: 0, duplicatePercent: 0, delayMaxMs: 5, diskMaxMs: 3 });
  cluster.faults.cut.clear();
  for (const id of ids) {
    if (cluster.get(id).node === undefined) cluster.start(id);
  }
  const deadline = cluster.now + HEAL_MS;
  const isWhole = () => {
    const leader = cluster.leaders[0]?.node?.status();
    return (
      leader?.configuration.voters.length === ids.length && leader.configuration.votersOutgoing.length === 0
    );
  };
  while (!isWhole() && cluster.now < deadline) {
    cluster.run(cluster.now + 50, 50, () => {
      const leader = cluster.leaders[0];
      if (leader !== undefined && !isConfigurationFixed) {
        cluster.step(leader.id, { kind: "changeConfiguration", voters: [...ids], learners: [] });
      }
    });
  }
  expect(isWhole(), "one leader and all servers voters").toBe(true);
  // Old messages may depose a leader once more: propose until it is everywhere.
  const first = cluster.get(ids[0]!);
  const isEverywhere = () =>
    first.state.at(-1) === 255 && ids.every((id) => cluster.get(id).state.join() === first.state.join());
  while (!isEverywhere() && cluster.now < deadline) {
    const leader = cluster.leaders[0];
    // As many as it takes to compare the states once more.
    const commands = Array.from({ length: HASH_EVERY }, () => Uint8Array.of(255));
    if (leader !== undefined) cluster.step(leader.id, { kind: "propose", commands });
    cluster.runUntil(cluster.now + 4 * TIMING.electionMaxMs, isEverywhere);
  }
  expect(isEverywhere(), "a command reaches every server, and their states are equal").toBe(true);
}

function seeds(): number[] {
  return Array.from({ length: SEEDS }, (_, i) => FIRST_SEED + i);
}

/** Runs one seed; a failure says which. */
function runSeed(seed: number, life: (cluster: SimCluster) => void, ids: readonly ServerId[]): void {
  const cluster = new SimCluster(seed, ids);
  try {
    drawFaults(cluster);
    life(cluster);
    cluster.checkLogs();
  } catch (error) {
    throw new Error(`seed ${seed} at ${cluster.now} ms: ${String(error)}`, { cause: error });
  }
}

test(
  "Raft figure 3: a cluster that grows 1 -> 3 -> 5 and changes at will stays safe, and works once healed",
  () => {
    for (const seed of seeds()) {
      runSeed(
        seed,
        (cluster) => {
          cluster.get("s1").disk.found(foundingState("s1"));
          for (const id of IDS) cluster.start(id);
          runChaos(cluster, IDS, false);
          cluster.checkLogs();
          healAndDemandProgress(cluster, IDS, false);
        },
        IDS,
      );
    }
  },
  LONGEST_MS,
);

test(
  "Raft figure 3: three voters of which one loses acknowledged entries, or all but one at once, stay safe and elect",
  () => {
    const ids = IDS.slice(0, 3);
    let stateRepairs = 0;
    for (const seed of seeds()) {
      runSeed(
        seed,
        (cluster) => {
          const configuration = { voters: ids, votersOutgoing: [], learners: [] };
          for (const id of ids) {
            const { disk } = cluster.get(id);
            disk.hardState = { term: 1, votedFor: undefined };
            disk.snapshot = { index: 1, term: 1, configuration, data: new Uint8Array(0) };
            cluster.start(id);
          }
          runChaos(cluster, ids, true);
          cluster.checkLogs();
          healAndDemandProgress(cluster, ids, true);
          stateRepairs += cluster.stateRepairs;
        },
        ids,
      );
    }
    // Wrong states were found and replaced, in a part of the runs.
    expect(stateRepairs).toBeGreaterThanOrEqual(Math.floor(SEEDS / 20));
  },
  LONGEST_MS,
);
