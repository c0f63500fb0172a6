/** What a run is made of, from the command line. */

import { parseArgs } from "node:util";

const FAULT_KINDS = ["kill", "pause", "disconnect"] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Settings {
  /** `host:port` of each broker; empty: nodes of Skein are started. */
  readonly brokers: readonly string[];
  /** `docker` and `processes` start the nodes that they strike. */
  readonly fault: "none" | "docker" | "processes" | "command";
  readonly command: string;
  readonly faultKinds: readonly FaultKind[];
  readonly faultEverySeconds: number;
  readonly faultForSeconds: number;
  readonly nodes: number;
  readonly seconds: number;
  /** Messages a second of all publishers together. */
  readonly rate: number;
  readonly publishersQos1: number;
  readonly publishersQos2: number;
  readonly subscribers: number;
  /** Subscribers that hear each publisher. */
  readonly fanOut: number;
  /** Members of one shared subscription to everything. */
  readonly sharers: number;
  readonly writers: number;
  readonly wills: number;
  readonly payloadBytes: number;
  readonly drainSeconds: number;
  readonly willGraceSeconds: number;
  readonly seed: number;
  readonly isJson: boolean;
}

export const HELP = `npm run plug -- [options]

Pulls the plug under load, and judges what clients see: nothing that was acknowledged is lost, nothing comes twice that
must not, order, retained messages, sessions and wills. Exit code 0: every promise was kept; 1: one was broken; 2: wrong use.

  --brokers HOST:PORT,...  brokers of one cluster. Default: containers of Skein (needs root and Docker)
  --nodes N                how many containers or processes are started (3)
  --fault none|docker|processes|command
                           what happens to the brokers. Default: docker, or none if there are --brokers; processes: nodes are
                           started as processes on loopback, and killed and frozen
  --command TEXT           for --fault command: run by the shell as TEXT ACTION INDEX, with the actions
                           kill/start, pause/unpause, disconnect/connect and the broker's place in the list, from 0
  --fault-kinds LIST       of kill,pause,disconnect (all; processes have no cable)
  --fault-every S          seconds between two faults (15)
  --fault-for S            seconds that a fault lasts (7)
  --seconds S              of load (300)
  --rate N                 messages a second, all publishers together (500)
  --qos1 N  --qos2 N       publishers (50 and 20)
  --subscribers N          with sessions that are kept, half of them away now and then (30)
  --fan-out N              subscribers that hear each publisher (3)
  --sharers N              members of one shared subscription to everything, with sessions that are kept; all but one are away now and then (3)
  --writers N              of retained messages, five a second each (4)
  --wills N                clients with a will (6)
  --bytes N                of payload (64)
  --drain S                how long what is owed may take to come after the load (90)
  --will-grace S           how long a broker may wait with a will (45)
  --seed N                 of all choices (by the clock)
  --json                   the result as JSON on standard output
  --help
`;

/** Wrong use. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** @returns undefined if help is asked for. @throws {UsageError} */
export function settingsFrom(args: readonly string[]): Settings | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const number = (name: keyof typeof values, least: number): number => {
    const value = Number(values[name]);
    if (!Number.isFinite(value) || value < least)
      throw new UsageError(`--${name} must be a number of at least ${least}`);
    return value;
  };
  const brokers = values.brokers?.split(",") ?? [];
  for (const broker of brokers) {
    if (!/^\S+:\d+$/.test(broker)) throw new UsageError(`--brokers: "${broker}" is not HOST:PORT`);
  }
  const fault = values.fault ?? (brokers.length === 0 ? "docker" : "none");
  if (fault !== "none" && fault !== "docker" && fault !== "processes" && fault !== "command")
    throw new UsageError("--fault is none, docker, processes or command");
  if ((fault === "docker" || fault === "processes") && brokers.length > 0)
    throw new UsageError(`--fault ${fault} strikes the nodes it starts: leave --brokers out`);
  if (fault === "processes" && values["fault-kinds"]?.includes("disconnect") === true)
    throw new UsageError("--fault processes cannot disconnect");
  if (fault === "command" && (values.command === undefined || brokers.length === 0))
    throw new UsageError("--fault command needs --command and --brokers");
  const subscribers = number("subscribers", 1);
  const fanOut = number("fan-out", 1);
  if (fanOut > subscribers) throw new UsageError("--fan-out is more than there are subscribers");
  return {
    brokers,
    fault,
    command: values.command ?? "",
    faultKinds: (values["fault-kinds"] ?? (fault === "processes" ? "kill,pause" : FAULT_KINDS.join()))
      .split(",")
      .map(faultKind),
    faultEverySeconds: number("fault-every", 1),
    faultForSeconds: number("fault-for", 0.1),
    nodes: number("nodes", 1),
    seconds: number("seconds", 1),
    rate: number("rate", 1),
    publishersQos1: number("qos1", 0),
    publishersQos2: number("qos2", 0),
    subscribers,
    fanOut,
    sharers: number("sharers", 0),
    writers: number("writers", 0),
    wills: number("wills", 0),
    payloadBytes: number("bytes", 0),
    drainSeconds: number("drain", 1),
    willGraceSeconds: number("will-grace", 1),
    seed: values.seed === undefined ? Date.now() % 1_000_000 : number("seed", 0),
    isJson: values.json === true,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        brokers: { type: "string" },
        nodes: { type: "string", default: "3" },
        fault: { type: "string" },
        command: { type: "string" },
        "fault-kinds": { type: "string" },
        "fault-every": { type: "string", default: "15" },
        "fault-for": { type: "string", default: "7" },
        seconds: { type: "string", default: "300" },
        rate: { type: "string", default: "500" },
        qos1: { type: "string", default: "50" },
        qos2: { type: "string", default: "20" },
        subscribers: { type: "string", default: "30" },
        "fan-out": { type: "string", default: "3" },
        sharers: { type: "string", default: "3" },
        writers: { type: "string", default: "4" },
        wills: { type: "string", default: "6" },
        bytes: { type: "string", default: "64" },
        drain: { type: "string", default: "90" },
        "will-grace": { type: "string", default: "45" },
        seed: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function faultKind(name: string): FaultKind {
  const kind = FAULT_KINDS.find((each) => each === name);
  if (kind === undefined)
    throw new UsageError(`--fault-kinds: "${name}" is none of ${FAULT_KINDS.join(", ")}`);
  return kind;
}
