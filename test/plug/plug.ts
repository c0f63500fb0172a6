/**
 * `npm run plug`: pulls the plug under load, and judges with real clients that what was acknowledged survives.
 *
 *   npm run plug                                        three containers of Skein, five minutes, a fault every 15 s
 *   npm run plug -- --nodes 2 --seconds 60              two of them, shorter
 *   npm run plug -- --fault processes                   the same with processes on loopback, without root or Docker
 *   npm run plug -- --brokers a:1883,b:1883             any brokers of one cluster, left alone
 *   npm run plug -- --brokers ... --fault command --command ./strike.sh
 *
 * Ctrl-C removes what was started.
 */

import { removeLeftovers } from "../containers/support/bridge.ts";
import { buildImage, findEngine, IMAGE } from "../containers/support/engine.ts";
import { ContainerMesh } from "../containers/support/mesh.ts";
import { startMesh } from "../support/node-process.ts";
import type { Broker } from "./clients/roaming-client.ts";
import { CommandFaults } from "./faults/command-faults.ts";
import { ContainerFaults, containerBrokers } from "./faults/container-faults.ts";
import type { FaultHook } from "./faults/fault-schedule.ts";
import { ProcessFaults, processBrokers } from "./faults/process-faults.ts";
import { isKept, jsonOf, tableOf } from "./report.ts";
import { run } from "./run.ts";
import { HELP, type Settings, settingsFrom, UsageError } from "./settings.ts";

const FORMATION_MS = 120_000;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The brokers of a run, and how they are struck. */
interface Stage {
  readonly brokers: readonly Broker[];
  readonly hook: FaultHook | undefined;
  remove(): Promise<void>;
}

async function main(settings: Settings): Promise<void> {
  const stage = await stageOf(settings);
  process.once("SIGINT", () => {
    void stage.remove().finally(() => process.exit(130));
  });
  try {
    const result = await run(settings, stage.brokers, stage.hook, say);
    process.stdout.write(`${settings.isJson ? jsonOf(result) : tableOf(result)}\n`);
    if (!isKept(result)) process.exitCode = 1;
  } finally {
    await stage.remove();
  }
}

async function stageOf(settings: Settings): Promise<Stage> {
  if (settings.brokers.length > 0) {
    const hook = settings.fault === "command" ? new CommandFaults(settings.command) : undefined;
    return { brokers: settings.brokers.map(brokerAt), hook, remove: async () => undefined };
  }
  if (settings.fault === "processes") {
    const mesh = await startMesh(settings.nodes);
    return { brokers: processBrokers(mesh), hook: new ProcessFaults(mesh), remove: () => mesh.remove() };
  }
  const mesh = await startContainers(settings.nodes);
  const hook = settings.fault === "docker" ? new ContainerFaults(mesh) : undefined;
  return { brokers: containerBrokers(mesh), hook, remove: () => mesh.remove() };
}

async function startContainers(count: number): Promise<ContainerMesh> {
  const engine = await findEngine();
  if (engine === undefined)
    throw new Error("Containers need Docker; or give --brokers, or --fault processes");
  say("building the image");
  await removeLeftovers(engine);
  await buildImage();
  const mesh = await ContainerMesh.create(engine, { count, image: IMAGE, hasHealthCheck: false });
  try {
    await mesh.start();
    const { afterMs } = await mesh.healthy(FORMATION_MS);
    say(`${count} containers are a mesh after ${afterMs} ms`);
    return mesh;
  } catch (error) {
    await mesh.remove();
    throw error;
  }
}

function brokerAt(address: string): Broker {
  const at = address.lastIndexOf(":");
  return { name: address, host: address.slice(0, at), port: Number(address.slice(at + 1)) };
}

try {
  const settings = settingsFrom(process.argv.slice(2));
  if (settings === undefined) process.stdout.write(HELP);
  else await main(settings);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  say(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
