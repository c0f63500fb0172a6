/**
 * Draws a schedule from a seed. Swarm: each seed has its own subset of the faults and its own intensity, because a test that
 * always does everything never does anything for long (reference design, section 5.1).
 *
 * Whether the disks of the others allow that this one loses something is decided when a fault strikes (damage-budget.ts).
 */

import type { Prng } from "@skein/kernel";
import { MOMENTS } from "../client/leaving.ts";
import { between, chance, pick, randomStream } from "../world/random-streams.ts";
import type { WorldOptions } from "../world/world.ts";
import { decodedInPieces, drawSizes } from "./draw-sizes.ts";
import type { Plot } from "./plots.ts";
import { SCENARIOS, type Scenario } from "./scenarios.ts";
import { type Fault, type FaultKind, LEADER, type Schedule } from "./schedule.ts";
import { drawUpdate, isForGood } from "./updates.ts";

export interface ScheduleWishes {
  readonly seed: number;
  /** One of {@link SCENARIOS}; undefined: the swarm. */
  readonly scenario?: string | undefined;
  readonly nodes?: number | undefined;
  /** Simulated minutes of chaos. */
  readonly minutes?: number | undefined;
}

/** Of 1,000 seeds so many have this kind of fault. */
const PER_MILLE: Readonly<Record<FaultKind, number>> = {
  crash: 400,
  crashAfterAck: 300,
  power: 400,
  blackout: 150,
  stop: 400,
  pause: 400,
  suspend: 0,
  stranger: 0,
  partition: 400,
  severed: 400,
  clog: 400,
  cut: 400,
  clientsCut: 300,
  diskStall: 400,
  diskFull: 400,
  syncError: 400,
  rot: 150,
  wipe: 150,
  wallStep: 400,
  mdnsSilence: 400,
  mdnsStale: 400,
  arrive: 250,
  coup: 300,
  usurp: 200,
  echo: 150,
  amnesia: 200,
  schism: 300,
  isolated: 200,
  moved: 150,
  // In scenarios of their own only, like all with 0.
  leave: 0,
  forget: 0,
  replaced: 0,
  // Last: each kind takes one draw, and a new one must not move those of the others.
  apart: 40,
  forgetAlone: 0,
  clone: 0,
  takeover: 400,
  crashInSnapshot: 0,
  foreign: 0,
  update: 0,
  transfer: 0,
  standIn: 0,
};
const KINDS = Object.keys(PER_MILLE) as readonly FaultKind[];

/** What concerns several nodes needs so many: two that do not reach each other are promised a third that both do. */
const FEWEST_NODES: Partial<Record<FaultKind, number>> = {
  severed: 2,
  clog: 2,
  cut: 2,
  coup: 2,
  usurp: 2,
  echo: 2,
  leave: 2,
  forget: 2,
  transfer: 2,
  clone: 2,
  standIn: 2,
  isolated: 3,
  amnesia: 3,
  forgetAlone: 3,
};
/** A mesh has so many nodes at least and at most; without a wish three to seven are drawn. */
export const MESH_SIZES = { least: 1, most: 20 } as const;

const FORMATION_MS = 25_000;
const CLIENTS = 4;
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;

/** @throws {RangeError} if there is no such scenario */
export function generateSchedule(wishes: ScheduleWishes): Schedule {
  const { seed } = wishes;
  const scenario = scenarioOf(wishes.scenario);
  const prng = randomStream(seed, "schedule");
  const nodes = between(prng, 3, 7);
  const minutes = wishes.minutes ?? between(prng, 2, 5);
  const drawnWorld = { ...worldOptions(prng, seed, nodes), ...worldOf(scenario, wishes) };
  const pieced = decodedInPieces(drawnWorld);
  const world = scenario?.isSkewed === true ? skewed(pieced) : pieced;
  const chaosUntilMs = FORMATION_MS + minutes * 60_000;
  // Drawn in any case, so that a scenario changes nothing else.
  const drawn = KINDS.filter((kind) => chance(prng, PER_MILLE[kind]));
  const kinds = (scenario?.kinds ?? drawn).filter((kind) => world.nodes >= (FEWEST_NODES[kind] ?? 1));
  const faults = kinds.flatMap((kind) => drawFaults(seed, kind, world, chaosUntilMs));
  faults.sort((a, b) => a.at - b.at);
  const { hasSharers, isQuiet, hasOnlyTalkers, topics } = scenario ?? {};
  const schedule = { world, chaosFromMs: FORMATION_MS, chaosUntilMs, faults };
  return {
    ...schedule,
    ...(hasSharers === undefined ? {} : { hasSharers }),
    ...(isQuiet === undefined ? {} : { isQuiet }),
    ...(hasOnlyTalkers === undefined ? {} : { hasOnlyTalkers }),
    ...(topics === undefined ? {} : { topics }),
  };
}

function scenarioOf(name: string | undefined): Scenario | undefined {
  if (name === undefined) return undefined;
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new RangeError(`no scenario "${name}"; there are ${Object.keys(SCENARIOS).join(", ")}`);
  return scenario;
}

/** What is not left to the seed. */
function worldOf(scenario: Scenario | undefined, wishes: ScheduleWishes): Partial<WorldOptions> {
  const nodes = wishes.nodes ?? scenario?.nodes;
  return {
    ...(nodes === undefined ? {} : { nodes }),
    ...(scenario?.durability === undefined ? {} : { durability: scenario.durability }),
    ...(scenario?.onQuorumLoss === undefined ? {} : { onQuorumLoss: scenario.onQuorumLoss }),
    ...(scenario?.sizes === undefined ? {} : { sizes: scenario.sizes }),
    ...(scenario?.isLogShort === undefined ? {} : { isLogShort: scenario.isLogShort }),
    ...(scenario?.limits === undefined ? {} : { limits: scenario.limits }),
    ...(scenario?.strangers === undefined ? {} : { strangers: scenario.strangers }),
    ...(scenario?.retainedExpirySeconds === undefined
      ? {}
      : { retainedExpirySeconds: scenario.retainedExpirySeconds }),
  };
}

/** Half of the nodes have the program of the version before. */
function skewed(world: WorldOptions): WorldOptions {
  const prng = randomStream(world.seed, "skew");
  const all = Array.from({ length: world.nodes }, (_, node) => node);
  return { ...world, outdated: all.filter(() => chance(prng, 500)) };
}

function worldOptions(prng: Prng, seed: number, nodes: number): WorldOptions {
  const isSlow = chance(prng, 250);
  return {
    seed,
    nodes,
    clients: CLIENTS,
    network: {
      delayMinMs: between(prng, 0, 2),
      delaySpreadMs: isSlow ? between(prng, 20, 80) : between(prng, 1, 10),
      lossPerMille: pick(prng, [0, 0, 1, 5, 20]),
      splitPerMille: pick(prng, [0, 50, 200]),
    },
    multicast: {
      lossPerMille: pick(prng, [0, 50, 300]),
      duplicatePerMille: pick(prng, [0, 100]),
      delaySpreadMs: pick(prng, [5, 100]),
    },
    hasStaticPeers: chance(prng, 500),
    durability: chance(prng, 300) ? "disk" : "replicated",
    timing: chance(prng, 300) ? "wired" : "lan",
    driftPerMillionMax: pick(prng, [0, 100, 10_000]),
    sizes: drawSizes(prng, isSlow),
  };
}

const DAMAGES = ["power", "power", "power", "rot", "wipe"] as const;

/** Mean time between two of a kind; of most it is longer. */
const INTERVALS_MS: Partial<Record<FaultKind, readonly number[]>> = {
  takeover: [1000, 3000, 8000],
  transfer: [2000, 6000, 18_000],
};

/** Each kind draws from a sequence of its own. */
function drawFaults(seed: number, kind: FaultKind, world: WorldOptions, until: number): Fault[] {
  const prng = randomStream(seed, `faults ${kind}`);
  const drawnMs = pick(prng, INTERVALS_MS[kind] ?? [8_000, 20_000, 45_000]);
  // Twice to each node, so that all have the newest program while there is time left to see what the log does then.
  const isUpgrade = kind === "update" && isForGood(world);
  const everyMs = isUpgrade ? (until - FORMATION_MS) / (4 * world.nodes) : drawnMs;
  const faults: Fault[] = [];
  if (kind === "apart") return drawApart(prng, world);
  let at = FORMATION_MS;
  for (;;) {
    at += between(prng, Math.floor(everyMs / 4), Math.floor((everyMs * 7) / 4));
    if (at >= until || faults.length >= mostOf(kind, world)) return faults;
    faults.push(drawFault(prng, kind, at, world, faults.length));
  }
}

/** The nodes start in two groups, or three. */
function drawApart(prng: Prng, { nodes }: WorldOptions): Fault[] {
  const ends = pick(prng, [[1], [2], [1, 3], [2, 4], [3]]).filter((end) => end < nodes);
  return ends.map((end) => {
    const side = Array.from({ length: end }, (_, node) => node);
    return { at: 0, kind: "apart", side, forMs: between(prng, 20_000, FORMATION_MS + 40_000) };
  });
}

/** Some end what came before, and are rarer than the others for that. */
function mostOf(kind: FaultKind, world: WorldOptions): number {
  const { durability, nodes } = world;
  if (kind === "blackout") return durability === "disk" ? Number.POSITIVE_INFINITY : 1;
  if (kind === "wipe" || kind === "rot" || kind === "clone") return 1;
  if (kind === "update" && isForGood(world)) return 2 * nodes;
  // Somebody has to be there from the start.
  return kind === "arrive" ? Math.floor(nodes / 2) : Number.POSITIVE_INFINITY;
}

function drawFault(prng: Prng, kind: FaultKind, at: number, world: WorldOptions, count: number): Fault {
  const { nodes, clients } = world;
  const node = chance(prng, 400) ? LEADER : prng.below(nodes);
  const a = prng.below(nodes);
  // Another one, where there is one.
  const b = (a + 1 + prng.below(Math.max(1, nodes - 1))) % nodes;
  const forMs = between(prng, 200, pick(prng, [2_000, 10_000, 30_000]));
  const oneWay = chance(prng, 300);
  switch (kind) {
    case "crash":
      return { at, kind, node, effects: chance(prng, 700) ? 1 + prng.below(200) : 0, forMs };
    case "crashAfterAck":
      return { at, kind, delayMs: prng.below(6), forMs };
    case "crashInSnapshot":
    case "power":
    case "rot":
    case "wipe":
    case "moved":
    case "stop":
    case "pause":
    case "suspend":
    case "diskFull":
      return { at, kind, node, forMs };
    case "syncError":
      return { at, kind, node };
    case "stranger":
      return { at, kind, forMs };
    case "diskStall":
      return { at, kind, node, forMs: Math.min(forMs, 5000) };
    case "partition": {
      const side = Array.from({ length: nodes + clients }, (_, machine) => machine).filter(() =>
        chance(prng, 400),
      );
      return { at, kind, side, oneWay, forMs };
    }
    case "severed":
      return { at, kind, a, b, oneWay, forMs };
    case "leave":
      return { at, kind, node, forMs };
    case "forget":
    case "replaced":
      return { at, kind, node, forMs: between(prng, 45_000, 80_000) };
    case "forgetAlone":
      return { at, kind, node: a, target: b, forMs: between(prng, 25_000, 40_000) };
    case "clone":
      return { at, kind, node: a, to: b, forMs: between(prng, 200, 5000) };
    case "standIn":
      return { at, kind, node: a, to: b, starts: between(prng, 1, 4), forMs: between(prng, 5000, 15_000) };
    case "isolated":
      return { at, kind, a, b, forMs: between(prng, 15_000, 90_000) };
    case "clog":
      return { at, kind, a, b, slowerByMs: between(prng, 50, 2500), forMs };
    case "cut":
      return { at, kind, a, b };
    case "clientsCut":
      return { at, kind, delayMs: prng.below(20) };
    case "wallStep":
      return { at, kind, node: a, byMs: pick(prng, [-TEN_YEARS_MS, -60_000, 1000, 3_600_000, TEN_YEARS_MS]) };
    case "blackout":
      return { at, kind, afterAckMs: chance(prng, 700) ? prng.below(8) : undefined, forMs };
    case "mdnsSilence":
      return { at, kind, forMs };
    case "mdnsStale":
    case "transfer":
      return { at, kind };
    case "apart":
      return { at, kind, side: [a], forMs };
    case "takeover": {
      const moment = pick(prng, MOMENTS);
      const leaving = pick(prng, ["leave", "end", "reset", "abandon"] as const);
      const delayMs = pick(prng, [0, 0, prng.below(5), prng.below(50)]);
      return { at, kind, client: prng.below(64), moment, isSeen: chance(prng, 600), delayMs, leaving };
    }
    case "foreign": {
      const stranger = prng.below(world.strangers ?? 1);
      return { at, kind, stranger, isWiped: chance(prng, 300), takesOver: chance(prng, 500), forMs };
    }
    case "update":
      return drawUpdate(prng, at, world, { count, node: a, forMs });
    case "arrive":
      return { at, kind, node: nodes - 1 - count };
    default:
      return drawPlot(prng, kind, at, a, b, world);
  }
}

function drawPlot(
  prng: Prng,
  kind: Plot["kind"],
  at: number,
  a: number,
  b: number,
  { durability }: WorldOptions,
): Fault {
  switch (kind) {
    case "coup":
      return {
        at,
        kind,
        node: a,
        elections: between(prng, 1, 4),
        killedPerMille: pick(prng, [0, 300, 1000]),
        delayMs: pick(prng, [0, prng.below(30), prng.below(300)]),
        forMs: between(prng, 2000, 14_000),
        absentMs: pick(prng, [0, prng.below(8000)]),
      };
    case "usurp":
      return {
        at,
        kind,
        node: a,
        afterMs: between(prng, 1500, 7000),
        downMs: between(prng, 20, 400),
        forMs: between(prng, 3000, 10_000),
      };
    case "echo":
      return {
        at,
        kind,
        slowerByMs: between(prng, 100, 2500),
        afterMs: between(prng, 1000, 6000),
        forMs: between(prng, 4000, 9000),
      };
    case "amnesia":
      return {
        at,
        kind,
        node: a,
        victim: b,
        // A power cut takes nothing from who forces everything to the medium.
        damage: pick(prng, durability === "disk" ? (["rot", "rot", "wipe"] as const) : DAMAGES),
        lagMs: between(prng, 100, 3000),
        downMs: between(prng, 20, 1500),
        forMs: between(prng, 6000, 16_000),
      };
    case "schism":
      return { at, kind, forMs: between(prng, 6000, 20_000) };
    default:
      return kind satisfies never;
  }
}
