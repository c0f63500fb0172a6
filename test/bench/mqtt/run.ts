/** One broker, fresh, under one scenario: what a delivery, a connection or an idle client costs it. */

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BrokerName, GENERATOR_CORE, startBroker } from "./brokers.ts";
import type { Mark, Order, Outcome } from "./generator.ts";
import { usageOf } from "./process-usage.ts";
import type { Scenario } from "./scenarios.ts";

/** What one run has shown. Which fields there are depends on the kind of scenario. */
export interface Sample {
  /** Microseconds of the broker's CPU time for each delivered message, or connection. */
  readonly cpuUs?: number;
  /** Deliveries or connections a second. */
  readonly perSecond?: number;
  readonly p50Us?: number | undefined;
  readonly p99Us?: number | undefined;
  /** Bytes of resident memory for each connection. */
  readonly bytesEach?: number;
  /** Of the broker, before anybody connected. */
  readonly baseMb?: number;
  readonly rssMb: number;
  /** CPU time of the generator for each second: near 1, it was the limit. */
  readonly generator?: number;
}

export interface Durations {
  readonly warmMs: number;
  readonly measureMs: number;
}

/** A new subscriber each time; the first ones warm the code. */
const REPLAYS = { warm: 2, measured: 5 } as const;

/** Until connections are idle: what V8 has taken for thousands of CONNECTs it gives back when it has been quiet for half a minute. */
const QUIET_MS = 45_000;

/** @throws {Error} when a message got lost, came twice or in disorder: a faster broker that loses is no broker */
export async function run(
  broker: BrokerName,
  scenario: Scenario,
  durations: Durations,
): Promise<Sample | undefined> {
  const running = await startBroker(broker, scenario.kind === "flow" && scenario.isAcross === true);
  if (running === undefined) return undefined;
  const generator = new Generator();
  try {
    const base = usageOf(running.pids);
    const { publish, subscribe } = running;
    await generator.ask({ kind: "prepare", scenario, publish, subscribe });
    const sample = await measure(scenario, durations, generator, () => usageOf(running.pids), base.rssBytes);
    const outcome = (await generator.ask({ kind: "finish" })) as Outcome;
    const { missing, disordered, published, p50Us, p99Us } = outcome;
    if (missing !== 0 || disordered !== 0) {
      const text = `${missing} of what was due is missing, ${disordered} came twice or in disorder`;
      throw new Error(`${broker}, ${scenario.name}: ${text} (${published} published)`);
    }
    return p50Us === undefined ? sample : { ...sample, p50Us, p99Us };
  } finally {
    await generator.end();
    await running.stop();
  }
}

type Measure = () => { readonly cpuMs: number; readonly rssBytes: number };

async function measure(
  scenario: Scenario,
  { warmMs, measureMs }: Durations,
  generator: Generator,
  usage: Measure,
  baseBytes: number,
): Promise<Sample> {
  const mark = async (kind: "start" | "mark"): Promise<Mark> => (await generator.ask({ kind })) as Mark;
  if (scenario.kind === "flow") {
    await mark("start");
    await delay(warmMs);
    return between(
      () => mark("mark"),
      () => delay(measureMs),
      usage,
    );
  }
  if (scenario.kind === "replay") {
    for (let i = 0; i < REPLAYS.warm; i++) await mark("start");
    return between(
      () => mark("mark"),
      async () => {
        for (let i = 0; i < REPLAYS.measured; i++) await mark("start");
      },
      usage,
    );
  }
  const sample = await between(
    () => mark("mark"),
    () => mark("start"),
    usage,
  );
  if (scenario.kind === "connect") return sample;
  await delay(QUIET_MS);
  const { rssBytes } = usage();
  return {
    rssMb: rssBytes / 2 ** 20,
    baseMb: baseBytes / 2 ** 20,
    bytesEach: (rssBytes - baseBytes) / scenario.connections,
  };
}

async function between(
  mark: () => Promise<Mark>,
  what: () => Promise<unknown>,
  usage: Measure,
): Promise<Sample> {
  const first = await mark();
  const before = usage();
  await what();
  const last = await mark();
  const after = usage();
  const units = last.units - first.units;
  const seconds = (last.atMs - first.atMs) / 1000;
  return {
    cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / units,
    perSecond: units / seconds,
    rssMb: after.rssBytes / 2 ** 20,
    generator: (last.cpuMs - first.cpuMs) / 1000 / seconds,
  };
}

/** The generator's process. */
class Generator {
  readonly #child: ChildProcess = fork(join(import.meta.dirname, "generator.ts"), [], {
    execPath: "taskset",
    execArgv: ["-c", GENERATOR_CORE, process.execPath, "--conditions=@skein/source"],
  });
  readonly #gone = once(this.#child, "exit");
  #answer: (reply: Reply) => void = () => undefined;

  constructor() {
    this.#child.on("message", (reply: Reply) => this.#answer(reply));
    void this.#gone.then(() => this.#answer({ error: "The generator has ended" }));
  }

  async ask(order: Order): Promise<unknown> {
    const replied = new Promise<Reply>((resolve) => {
      this.#answer = resolve;
    });
    this.#child.send(order);
    const { answer, error } = await replied;
    if (error !== undefined) throw new Error(error);
    return answer;
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone;
  }
}

interface Reply {
  readonly answer?: unknown;
  readonly error?: string;
}
