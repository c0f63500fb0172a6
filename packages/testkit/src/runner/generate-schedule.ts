/**
 * Draws a schedule from a seed. Swarm: each seed has its own subset of the faults and its own intensity, because a test that
 * always does everything never does anything for long (reference design, section 5.1).
 *
 * Faults that destroy what a disk holds strike a fixed minority of the machines only: two power cuts on different voters may
 * take what a majority had acknowledged, which the `replicated` profile does not promise to survive.
 */

import type { Prng } from "@skein/kernel";
import { between, chance, pick, randomStream } from "../world/random-streams.ts";
import type { WorldOptions } from "../world/world.ts";
import { type Fault, type FaultKind, LEADER, type Schedule } from "./schedule.ts";

export interface ScheduleWishes {
  readonly seed: number;
  /** One of {@link SCENARIOS}; undefined: the swarm. */
  readonly scenario?: string | undefined;
  readonly nodes?: number | undefined;
  /** Simulated minutes of chaos. */
  readonly minutes?: number | undefined;
}

/** Named subsets of faults, for those who look for something. */
export const SCENARIOS: Readonly<Record<string, readonly FaultKind[]>> = {
  calm: [],
  crashes: ["crash", "stop", "pause"],
  partitions: ["partition", "severed", "clog", "cut"],
  disks: ["diskStall", "diskFull", "syncError", "rot", "power"],
  power: ["power", "blackout"],
  wiped: ["wipe", "crash", "partition"],
  discovery: ["mdnsSilence", "mdnsStale", "crash", "wallStep"],
};

const KINDS: readonly FaultKind[] = [
  "crash",
  "power",
  "blackout",
  "stop",
  "pause",
  "partition",
  "severed",
  "clog",
  "cut",
  "diskStall",
  "diskFull",
  "syncError",
  "rot",
  "wipe",
  "wallStep",
  "mdnsSilence",
  "mdnsStale",
];
/** These are rarer than the others: one of them ends what came before. */
const ONCE: ReadonlySet<FaultKind> = new Set(["wipe", "blackout", "rot"]);

const FORMATION_MS = 25_000;
const CLIENTS = 4;
const TEN_YEARS_MS = 10 * 365 * 24 * 3_600_000;

export function generateSchedule(wishes: ScheduleWishes): Schedule {
  const { seed } = wishes;
  const prng = randomStream(seed, "schedule");
  const nodes = between(prng, 3, 7);
  const minutes = wishes.minutes ?? between(prng, 2, 5);
  const world = worldOptions(prng, seed, wishes.nodes ?? nodes);
  const chaosUntilMs = FORMATION_MS + minutes * 60_000;
  const kinds = kindsOf(prng, wishes.scenario);
  const faults = kinds.flatMap((kind) => drawFaults(seed, kind, world, chaosUntilMs));
  faults.sort((a, b) => a.at - b.at);
  return { world, chaosFromMs: FORMATION_MS, chaosUntilMs, faults };
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
    durability: chance(prng, 250) ? "disk" : "replicated",
    driftPerMillionMax: pick(prng, [0, 100, 10_000]),
  };
}

function kindsOf(prng: Prng, scenario: string | undefined): readonly FaultKind[] {
  // Drawn in any case, so that a scenario changes nothing else.
  const drawn = KINDS.filter((kind) => chance(prng, ONCE.has(kind) ? 150 : 400));
  if (scenario === undefined) return drawn;
  const kinds = SCENARIOS[scenario];
  if (kinds === undefined)
    throw new RangeError(`no scenario "${scenario}"; there are ${Object.keys(SCENARIOS).join(", ")}`);
  return kinds;
}

/** Each kind draws from a sequence of its own. */
function drawFaults(seed: number, kind: FaultKind, world: WorldOptions, until: number): Fault[] {
  const prng = randomStream(seed, `faults ${kind}`);
  const everyMs = pick(prng, [8_000, 20_000, 45_000]);
  const faults: Fault[] = [];
  let at = FORMATION_MS;
  for (;;) {
    at += between(prng, Math.floor(everyMs / 4), Math.floor((everyMs * 7) / 4));
    if (at >= until) return faults;
    faults.push(drawFault(prng, kind, at, world));
    if (ONCE.has(kind)) return faults;
  }
}

function drawFault(prng: Prng, kind: FaultKind, at: number, world: WorldOptions): Fault {
  const { nodes, clients } = world;
  const node = chance(prng, 400) ? LEADER : prng.below(nodes);
  // The machines whose disks may lose something: fewer than half of the voters, whoever votes.
  const victim = prng.below(nodes >= 7 ? 2 : 1);
  const a = prng.below(nodes);
  const b = (a + 1 + prng.below(nodes - 1)) % nodes;
  const forMs = between(prng, 200, pick(prng, [2_000, 10_000, 30_000]));
  const oneWay = chance(prng, 300);
  switch (kind) {
    case "crash":
      return { at, kind, node, effects: chance(prng, 700) ? 1 + prng.below(200) : 0, forMs };
    case "power":
    case "rot":
    case "wipe":
      return { at, kind, node: victim, forMs };
    case "syncError":
      return { at, kind, node: victim };
    case "stop":
    case "pause":
    case "diskFull":
      return { at, kind, node, forMs };
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
    case "clog":
      return { at, kind, a, b, slowerByMs: between(prng, 50, 2500), forMs };
    case "cut":
      return { at, kind, a, b };
    case "wallStep":
      return { at, kind, node: a, byMs: pick(prng, [-TEN_YEARS_MS, -60_000, 1000, 3_600_000, TEN_YEARS_MS]) };
    case "blackout":
    case "mdnsSilence":
      return { at, kind, forMs };
    case "mdnsStale":
      return { at, kind };
    default:
      return kind satisfies never;
  }
}
