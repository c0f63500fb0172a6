/**
 * One run: everybody connects, messages flow while brokers are struck, then all is put right and what is owed has time to come.
 *
 * It is over sooner when nothing is owed any more and nothing unexpected comes for a while.
 */

import { randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { seededPrng } from "@skein/kernel";
import { type Cast, castOf, clientsOf, gather } from "./cast.ts";
import { readRetained } from "./clients/retained-reader.ts";
import { keptPrefix } from "./clients/retained-writer.ts";
import type { Broker, Surroundings } from "./clients/roaming-client.ts";
import { type Fault, type FaultHook, FaultSchedule } from "./faults/fault-schedule.ts";
import { ConnectionLedger } from "./ledger/connection-ledger.ts";
import type { Judgement } from "./ledger/judgement.ts";
import type { MessageCounts } from "./ledger/message-ledger.ts";
import { Pacemaker } from "./pacemaker.ts";
import type { Settings } from "./settings.ts";

/** Nothing is owed: what comes now would be too much. */
const AFTERMATH_MS = 4000;
const LOOK_EVERY_MS = 500;
const PROGRESS_MS = 5000;
const WRITES_PER_SECOND = 5;

export interface RunResult {
  readonly run: string;
  readonly settings: Settings;
  readonly brokers: readonly string[];
  readonly messages: MessageCounts;
  readonly retainedWrites: number;
  readonly lives: number;
  /** Sends that were due when nobody could send. */
  readonly heldBack: number;
  readonly acknowledgedMs: readonly number[];
  readonly answeredMs: readonly number[];
  readonly resumedMs: readonly number[];
  readonly faults: readonly Fault[];
  /** From the end of the load until nothing was owed, or until the patience was over. */
  readonly drainedMs: number;
  readonly judgements: readonly Judgement[];
}

/** @throws {Error} if the run cannot take place: nobody is let in, or a fault cannot be carried out. */
export async function run(
  settings: Settings,
  brokers: readonly Broker[],
  hook: FaultHook | undefined,
  say: (line: string) => void,
): Promise<RunResult> {
  const name = randomBytes(3).toString("hex");
  const prefix = `plug/${name}`;
  const startAt = performance.now();
  const random = seededPrng(settings.seed);
  const connections = new ConnectionLedger();
  const around: Surroundings = { brokers, random, connections, now: () => performance.now() - startAt };
  const cast = castOf(settings, name, prefix, around);
  const { messages, shared, retained, wills, publishers, subscribers, sharers, writers } = cast;
  const clients = clientsOf(cast);
  let what = "gathering";
  let schedule: FaultSchedule | undefined;
  const progress = setInterval(() => {
    const { sent, acknowledged, delivered, owed } = messages.counts;
    const connected = clients.filter(({ isReady }) => isReady).length;
    const fault = schedule === undefined ? "" : `, ${schedule.current}`;
    say(
      `${Math.round(around.now() / 1000)} s, ${what}${fault}: ${sent} sent, ${acknowledged} acknowledged, ${delivered} delivered, ${owed} owed; ${connected} of ${clients.length} connected`,
    );
  }, PROGRESS_MS);
  try {
    await gather(cast);
    what = "load";
    const load = new Pacemaker(
      settings.rate,
      publishers.map((each) => () => each.send()),
    );
    const writes = new Pacemaker(
      WRITES_PER_SECOND * writers.length,
      writers.map((each) => () => each.write()),
    );
    for (const [at, subscriber] of subscribers.entries()) if (at % 2 === 1) subscriber.roam();
    for (const sharer of sharers.slice(1)) sharer.roam();
    if (hook !== undefined) {
      const pace = {
        kinds: settings.faultKinds,
        everyMs: settings.faultEverySeconds * 1000,
        lastsMs: settings.faultForSeconds * 1000,
      };
      schedule = new FaultSchedule(hook, pace, brokers.length, random, around.now);
    }
    await delay(settings.seconds * 1000);
    load.stop();
    writes.stop();
    what = "putting right";
    await schedule?.stop();
    what = "draining";
    const drainedMs = await drain(cast, performance.now() + settings.drainSeconds * 1000);
    what = "looking";
    const sets = [];
    if (writers.length > 0)
      for (const broker of brokers) sets.push(await readRetained(broker, keptPrefix(prefix)));
    return {
      run: name,
      settings,
      brokers: brokers.map((broker) => broker.name),
      messages: messages.counts,
      retainedWrites: retained.acknowledged,
      lives: wills.lives,
      heldBack: load.missed,
      acknowledgedMs: messages.acknowledgementTimes(),
      answeredMs: connections.answeredMs,
      resumedMs: connections.resumedMs,
      faults: schedule?.faults ?? [],
      drainedMs,
      judgements: [
        ...messages.judge(),
        ...shared.judge(),
        ...connections.judge(),
        ...retained.judge(sets),
        ...wills.judge(around.now()),
      ],
    };
  } finally {
    clearInterval(progress);
    await Promise.all(clients.map((client) => client.leave()));
  }
}

/** Everybody comes, clients with a will go; waits until nothing is owed. @returns how long that took */
async function drain(
  { publishers, subscribers, sharers, writers, mortals, messages, shared, wills }: Cast,
  untilAt: number,
): Promise<number> {
  const startAt = performance.now();
  for (const subscriber of [...subscribers, ...sharers]) subscriber.settle();
  await Promise.all(mortals.map((mortal, at) => mortal.settle(at % 2 === 1)));
  const isOver = (): boolean => {
    const unanswered = [...publishers, ...writers].some((each) => each.unanswered > 0);
    return (
      !unanswered && messages.owed === 0 && shared.owed === 0 && wills.missing(Number.POSITIVE_INFINITY) === 0
    );
  };
  while (!isOver() && performance.now() < untilAt) await delay(LOOK_EVERY_MS);
  const tookMs = performance.now() - startAt;
  await delay(AFTERMATH_MS);
  return tookMs;
}
