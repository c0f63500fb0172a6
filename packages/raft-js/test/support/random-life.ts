/**
 * One random life of a cluster: everything that may happen to it, then healing, and what must be true after that.
 *
 * Each seed draws its own settings and faults (swarm testing): tiny windows in one, slow disks in the next, so that rare
 * combinations get a life of their own. What is aimed at: leaders, and configurations that are joint.
 */

import { foundingState, type ServerId } from "../../src/index.ts";
import { partition, splitBySets } from "./random-partitions.ts";
import {
  beginStranding,
  blackOut,
  bounce,
  corrupt,
  restart,
  type Stranding,
  strand,
} from "./random-restarts.ts";
import { HASH_EVERY, SETTINGS, SimCluster } from "./sim-cluster.ts";
import type { SimServer } from "./sim-server.ts";

const CHAOS_MS = 8_000;
const HEAL_MS = 12_000;
const TICK_MS = 25;
/** The command that must reach everyone at the end. */
const LAST = 255;

const IDS: readonly ServerId[] = ["s1", "s2", "s3", "s4", "s5", "s6", "s7"];

/** What a life may contain. */
interface Plan {
  readonly ids: readonly ServerId[];
  /** The voters stay the same; then also the power of all may fail at once. */
  readonly isConfigurationFixed: boolean;
}

/** How often things happen in this life, in percent per tick. */
interface Rates {
  readonly crash: number;
  readonly restart: number;
  /** A process that dies and is there again at once. */
  readonly bounce: number;
  readonly transfer: number;
  readonly change: number;
  readonly pause: number;
  readonly strand: number;
  readonly damage: number;
  readonly blackOut: number;
  readonly corrupt: number;
  /** Of what is done to the cluster, the part that is done to its leader. */
  readonly aimed: number;
}

/** A cluster that one server founds and that changes at will, up to five or seven voters. Returns what it met. */
export function liveAndGrow(seed: number): ReadonlySet<string> {
  const ids = IDS.slice(0, seed % 3 === 0 ? 7 : 5);
  return live(seed, { ids, isConfigurationFixed: false }, (cluster) => {
    cluster.get("s1").disk.found(foundingState("s1"));
  });
}

/** Three or five voters for good, which the power of all may fail. Returns what it met. */
export function liveWithFixedVoters(seed: number): ReadonlySet<string> {
  const ids = IDS.slice(0, seed % 3 === 0 ? 5 : 3);
  const point = { index: 1, term: 1, configuration: { voters: ids, votersOutgoing: [], learners: [] } };
  return live(seed, { ids, isConfigurationFixed: true }, (cluster) => {
    for (const id of ids) {
      const hardState = { term: 1, votedFor: undefined };
      cluster.get(id).disk.found({ hardState, entries: [] }, { ...point, data: new Uint8Array(0) });
    }
  });
}

function live(seed: number, plan: Plan, found: (cluster: SimCluster) => void): ReadonlySet<string> {
  const cluster = new SimCluster(seed, plan.ids);
  try {
    drawSettings(cluster);
    found(cluster);
    for (const id of plan.ids) cluster.start(id);
    runChaos(cluster, plan);
    healAndDemandProgress(cluster, plan);
  } catch (error) {
    throw new Error(`seed ${seed} at ${cluster.now} ms: ${String(error)}`, { cause: error });
  }
  return cluster.seen;
}

/** Draws limits, timing and faults. Before the first server starts. */
function drawSettings(cluster: SimCluster): void {
  const { random, network } = cluster;
  const electionMinMs = random.pick([100, 100, 100, 100, 250, 250, 250, 1000]);
  cluster.settings = {
    ...SETTINGS,
    heartbeatMs: electionMinMs / 5,
    electionMinMs,
    electionMaxMs: electionMinMs * random.pick([1.1, 1.5, 2, 2]),
    appendBytesMax: random.pick([1, 1, 100, 200, 1000]),
    inflightMax: random.pick([1, 2, 3, 4, 16]),
    inflightBytesMax: random.pick([1, 100, 500, 10_000]),
    entriesKept: random.pick([0, 1, 3, 20]),
    snapshotChunkBytes: random.pick([4, 16, 64]),
  };
  Object.assign(network.faults, {
    lossPercent: random.pick([0, 0, 5, 20]),
    duplicatePercent: random.pick([0, 10]),
    latePercent: random.pick([0, 1, 5, 20]),
    delayMaxMs: random.pick([2, 10, 40]),
  });
  cluster.diskMaxMs = random.pick([0, 5, 5, 30, 100]);
  cluster.releaseMaxMs = random.pick([20, 20, 600]);
  cluster.checkMaxMs = random.pick([0, 5, 200, 1000]);
  cluster.compactAfter = random.pick([8, 40, 1000]);
  cluster.crashPerMillion = random.pick([0, 0, 50, 500]);
}

function drawRates({ random }: SimCluster, { isConfigurationFixed }: Plan): Rates {
  return {
    crash: random.pick([0.5, 2, 6]),
    restart: random.pick([10, 30, 80]),
    bounce: random.pick([0, 1, 5]),
    transfer: random.pick([1, 3, 10]),
    change: isConfigurationFixed ? 0 : random.pick([4, 8, 20]),
    pause: random.pick([0, 0, 2]),
    strand: random.pick([0, 0, 1]),
    damage: random.pick([0, 40]),
    blackOut: isConfigurationFixed ? random.pick([0, 0.2]) : 0,
    corrupt: isConfigurationFixed ? random.pick([0, 2]) : 0,
    aimed: random.pick([0, 50, 90]),
  };
}

/** Lets everything go wrong for a while. */
function runChaos(cluster: SimCluster, plan: Plan): void {
  const { random } = cluster;
  const { ids } = plan;
  const rates = drawRates(cluster, plan);
  // Long enough for an election in every state of the network.
  const turnMs = random.pick([1, 2, 3]) * cluster.settings.electionMaxMs;
  let nextTurn = cluster.now;
  let stranding: Stranding | undefined;
  let command = 0;
  cluster.run(cluster.now + CHAOS_MS, TICK_MS, () => {
    const leader = cluster.leaders.length > 0 ? random.pick(cluster.leaders) : undefined;
    const victim = (): ServerId =>
      leader !== undefined && random.chance(rates.aimed) ? leader.id : random.pick(ids);
    if (leader !== undefined) {
      if (random.chance(50)) {
        const commands = Array.from({ length: 1 + random.below(4) }, () => Uint8Array.of(command++ % LAST));
        cluster.step(leader.id, { kind: "propose", commands });
      }
      // While a configuration changes most can go wrong at once: it gets more of everything.
      const haste = isChanging(leader) ? 4 : 1;
      if (random.chance(rates.transfer * haste)) transfer(cluster, leader, ids);
      if (random.chance(rates.change)) change(cluster, leader, ids);
      if (haste > 1 && random.chance(10)) splitBySets(cluster, leader);
      if (haste > 1 && random.chance(10))
        cluster.crash(random.chance(50) ? victim() : random.pick(leader.configuration.voters));
      noteWhatMeets(cluster, leader);
    }
    if (random.chance(30)) cluster.read(random.pick(ids));
    if (leader !== undefined && stranding === undefined && random.chance(rates.strand)) {
      stranding = beginStranding(cluster, leader.id, ids);
      nextTurn = stranding.at + turnMs;
    }
    if (stranding !== undefined && cluster.now >= stranding.at) {
      strand(cluster, stranding, ids);
      stranding = undefined;
    }
    if (cluster.now >= nextTurn) {
      nextTurn = cluster.now + turnMs + random.below(turnMs);
      partition(cluster, ids, victim());
    }
    if (random.chance(rates.crash)) cluster.crash(victim());
    if (random.chance(rates.bounce)) bounce(cluster, random.pick(ids));
    if (random.chance(rates.pause)) cluster.pause(victim(), random.pick([100, 300, 1000]));
    if (random.chance(rates.blackOut)) blackOut(cluster, ids);
    if (random.chance(rates.corrupt)) corrupt(cluster, victim());
    for (const id of ids) {
      if (cluster.get(id).node === undefined && random.chance(rates.restart))
        restart(cluster, id, rates.damage);
    }
  });
  cluster.checkLogs();
}

function isJoint({ configuration }: SimServer): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** Its configuration is joint, or gives it no vote any more. */
function isChanging(leader: SimServer): boolean {
  return isJoint(leader) || !leader.configuration.voters.includes(leader.id);
}

function transfer(cluster: SimCluster, leader: SimServer, ids: readonly ServerId[]): void {
  const { random } = cluster;
  const to = random.pick(ids);
  if (isJoint(leader)) cluster.seen.add("leadership is transferred in a joint configuration");
  if (random.chance(50)) cluster.step(leader.id, { kind: "transferLeadership" });
  else cluster.step(leader.id, { kind: "transferLeadership", to });
}

/** A next target: first 1 -> 3 -> 5 as the mesh grows, then anything, the leader's own removal included. */
function change(cluster: SimCluster, leader: SimServer, ids: readonly ServerId[]): void {
  const { random, network } = cluster;
  const { configuration } = leader;
  if (isJoint(leader)) return;
  const { voters } = configuration;
  const isGrowing = voters.length < 5 && random.chance(60);
  const count = voters.length < 3 ? 3 : 5;
  const percent = random.pick([20, 60, 60, 90]);
  const next = isGrowing
    ? [...new Set([...voters, ...configuration.learners, ...ids])].slice(0, count)
    : ids.filter(() => random.chance(percent));
  if (next.length === 0) next.push(random.pick(ids));
  const learners = ids.filter((id) => !next.includes(id) && random.chance(70));
  // As the mesh does it: newcomers are learners first.
  const newcomers = next.filter((id) => !voters.includes(id) && !configuration.learners.includes(id));
  const target =
    newcomers.length > 0 && random.chance(70)
      ? { voters, learners: [...newcomers, ...learners].filter((id) => !voters.includes(id)) }
      : { voters: next, learners };
  cluster.step(leader.id, { kind: "changeConfiguration", ...target });
  if (!isJoint(leader)) return;
  const isBehind = network.faults.cut.size > 0;
  if (isBehind && target.voters.some((id) => configuration.learners.includes(id)))
    cluster.seen.add("a learner is promoted behind a partition");
  if (!target.voters.includes(leader.id)) cluster.seen.add("a leader removes itself");
  // Before anyone has heard of it.
  if (random.chance(25)) splitBySets(cluster, leader);
}

/** Notes which rare things happen at the same time. */
function noteWhatMeets({ seen, network, servers }: SimCluster, leader: SimServer): void {
  if (leader.configuration.voters.length >= 7) seen.add("seven servers vote");
  if (!isJoint(leader)) return;
  const { voters, votersOutgoing } = leader.configuration;
  const isVoter = (id: ServerId) => voters.includes(id) || votersOutgoing.includes(id);
  seen.add("a configuration is joint");
  if (network.faults.cut.size > 0) seen.add("a joint configuration meets a partition");
  if (leader.node?.status().transferringTo !== undefined)
    seen.add("a transfer is under way in a joint configuration");
  for (const { id, node, disk } of servers.values()) {
    if (!isVoter(id)) continue;
    if (node === undefined) seen.add("a voter of a joint configuration is down");
    if (disk.isSuspect) seen.add("a voter of a joint configuration is suspect");
  }
}

/** Everything works again: all servers become voters (if they may), and one more command reaches all. */
function healAndDemandProgress(cluster: SimCluster, { ids, isConfigurationFixed }: Plan): void {
  Object.assign(cluster.network.faults, {
    lossPercent: 0,
    duplicatePercent: 0,
    latePercent: 0,
    delayMaxMs: 5,
  });
  cluster.network.faults.cut.clear();
  cluster.diskMaxMs = 3;
  cluster.releaseMaxMs = 20;
  cluster.checkMaxMs = 5;
  cluster.crashPerMillion = 0;
  for (const id of ids) {
    cluster.pause(id, 0);
    if (cluster.get(id).node === undefined) cluster.start(id);
  }
  const deadline = cluster.now + HEAL_MS;
  const isWhole = () => {
    const [leader] = cluster.leaders;
    return leader?.configuration.voters.length === ids.length && !isJoint(leader);
  };
  while (!isWhole() && cluster.now < deadline) {
    cluster.run(cluster.now + 50, 50, () => {
      const [leader] = cluster.leaders;
      if (leader !== undefined && !isConfigurationFixed)
        cluster.step(leader.id, { kind: "changeConfiguration", voters: [...ids], learners: [] });
    });
  }
  if (!isWhole()) throw new Error("liveness: no leader with all servers as voters");
  // Old messages may depose a leader once more: propose until it is everywhere.
  const isEverywhere = () => {
    const [first, ...others] = ids.map((id) => cluster.get(id).state);
    if (first?.at(-1) !== LAST || others.some(({ length }) => length !== first.length)) return false;
    return others.every((state) => state.join() === first.join());
  };
  while (!isEverywhere() && cluster.now < deadline) {
    const [leader] = cluster.leaders;
    // As many as it takes to compare the states once more, and not before all have said what they have.
    const isOneWrong = ids.some((id) => cluster.get(id).isWrong);
    const isBehind = ids.some((id) => cluster.get(id).appliedIndex !== leader?.appliedIndex);
    const commands = Array.from({ length: isOneWrong ? HASH_EVERY : 1 }, () => Uint8Array.of(LAST));
    if (leader !== undefined && !(isOneWrong && isBehind))
      cluster.step(leader.id, { kind: "propose", commands });
    cluster.runUntil(cluster.now + 4 * cluster.settings.electionMaxMs, isEverywhere);
  }
  if (!isEverywhere())
    throw new Error("liveness: a command does not reach every server, or their states differ");
  cluster.checkLogs();
}
