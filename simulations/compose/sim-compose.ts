/**
 * `npm run sim:compose`: twenty real nodes in containers, real clients, a scripted hour compressed to nine minutes.
 *
 *   npm run sim:compose                                 20 nodes; report in simulations/compose/report
 *   npm run sim:compose -- --quick                      5 nodes, two minutes; report in a temporary folder
 *   npm run sim:compose -- --nodes 9 --keep --out DIR   leaves the containers running
 *
 * Needs root and a Docker engine. Ctrl-C removes everything. Exit code 1: a promise was broken.
 */

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ContainerRuntimeClient } from "testcontainers";
import { removeLeftovers } from "../../test/containers/support/bridge.ts";
import { Cabling } from "../../test/containers/support/cabling.ts";
import { buildImage, findEngine, IMAGE } from "../../test/containers/support/engine.ts";
import { HolderWatch } from "../../test/containers/support/holder-watch.ts";
import { ContainerMesh } from "../../test/containers/support/mesh.ts";
import { commitName, loadNow, machineName } from "../../test/figures/laboratory.ts";
import { AddressProbe } from "./address-probe.ts";
import { type Deed, Faults } from "./faults.ts";
import { findingsOf } from "./findings.ts";
import { Household } from "./household.ts";
import { MeshTraffic } from "./mesh-traffic.ts";
import { Meters, type Written, writtenBy } from "./meters.ts";
import { type Findings, faultsOf, pagesOf } from "./report.ts";
import { retainedCheck } from "./retained-check.ts";
import { FULL, nameOf, QUICK, type Timetable } from "./timetable.ts";

const ROOMS = 3;
const FORMATION_MS = 240_000;
/** Nobody is connected: what the mesh itself says. */
const IDLE_MS = 20_000;
const PROGRESS_MS = 5000;

const say = (line: string): void =>
  void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);

/** What has to be taken down again, newest last. */
const cleanups: (() => Promise<void> | void)[] = [];

async function cleanUp(): Promise<void> {
  for (const undo of cleanups.splice(0).reverse()) {
    await Promise.resolve(undo()).catch((error: unknown) => say(`cannot clean up: ${String(error)}`));
  }
}

async function simulate(
  engine: ContainerRuntimeClient,
  count: number,
  timetable: Timetable,
): Promise<Findings> {
  const load = loadNow();
  const commit = commitName();
  const mesh = await ContainerMesh.create(engine, { count, image: IMAGE, hasHealthCheck: false });
  if (values.keep !== true) cleanups.push(() => mesh.remove());
  const cabling = new Cabling(mesh.bridge);
  cleanups.push(() => cabling.remove());
  const rooms = [];
  for (let number = 0; number < ROOMS; number += 1) rooms.push(await cabling.room());
  await mesh.start();
  say(`${count} containers started; waiting until they are one mesh`);
  const formed = await mesh.formed(FORMATION_MS);
  await mesh.healthy(FORMATION_MS);
  say(`one mesh after ${formed.afterMs} ms; idle for ${IDLE_MS / 1000} s`);

  const traffic = await MeshTraffic.create();
  cleanups.push(() => traffic.remove());
  const meters = new Meters(mesh.nodes, traffic);
  cleanups.push(() => meters.stop());
  await delay(IDLE_MS);
  const watch = new HolderWatch(mesh.nodes, mesh.vip);
  cleanups.push(() => watch.stop());
  const household = new Household(mesh, rooms);
  cleanups.push(() => household.stop());
  const probe = new AddressProbe(mesh.vip);
  cleanups.push(() => probe.stop());
  const startMs = Date.now();
  let now = "quiet";
  const progress = setInterval(() => {
    const seconds = Math.round((Date.now() - startMs) / 1000);
    const holders = mesh.holders().map(({ name }) => name);
    say(
      `${seconds} of ${timetable.endAt} s: ${now}; address on ${holders.join(", ") || "no node"}; ${household.connected} of ${household.plans.length} clients connected`,
    );
  }, PROGRESS_MS);
  cleanups.push(() => clearInterval(progress));

  const faults = new Faults(mesh, cabling, rooms);
  const deeds: Deed[] = [];
  // What takes longer than planned, on a busy machine a rolling restart, puts off all that follows.
  let lateMs = 0;
  const due = (seconds: number): number => startMs + lateMs + seconds * 1000;
  for (const act of timetable.acts) {
    await delay(Math.max(0, due(act.at) - Date.now()));
    now = nameOf(act);
    try {
      deeds.push(await faults.carryOut(act, due(act.until)));
    } catch (error) {
      say(`cannot carry out "${now}": ${error instanceof Error ? error.message : String(error)}`);
    }
    lateMs += Math.max(0, Date.now() - due(act.until));
    now = "quiet";
  }
  await delay(Math.max(0, due(timetable.quietAt) - Date.now()));
  household.quiet();
  await delay((timetable.endAt - timetable.quietAt) * 1000);
  clearInterval(progress);
  const endMs = Date.now();
  await probe.stop();
  watch.stop();
  await meters.stop();
  household.stop();
  const retained = await retainedCheck(mesh, household);
  const written = new Map<string, Written>();
  for (const node of mesh.nodes) written.set(node.name, await writtenBy(node));
  return findingsOf({
    machine: machineName(),
    commit,
    command: `npm run sim:compose${values.quick === true ? " -- --quick" : ""}`,
    load: [load, loadNow()],
    nodes: mesh.nodes.map(({ name }) => name),
    formedAfterMs: formed.afterMs,
    startMs,
    endMs,
    deeds,
    plans: household.plans,
    events: household.events,
    readings: meters.readings,
    holdings: watch.changes.map((change) => ({ ...change, fromMs: change.fromMs + performance.timeOrigin })),
    probe,
    retained,
    written,
  });
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean" },
    nodes: { type: "string" },
    keep: { type: "boolean" },
    out: { type: "string" },
    help: { type: "boolean" },
  },
});
const count = Number(values.nodes ?? (values.quick === true ? 5 : 20));
if (values.help === true || !Number.isInteger(count) || count < 3 || count > 60) {
  process.stderr.write("usage: npm run sim:compose -- [--quick] [--nodes 3-60] [--keep] [--out DIRECTORY]\n");
  process.exit(values.help === true ? 0 : 2);
}
Object.assign(process.env, { SKEIN_TEST_REQUIRE_DOCKER: "true" });
const engine = await findEngine();
if (engine === undefined) process.exit(1);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    say("stopping; removing everything");
    void cleanUp().finally(() => process.exit(130));
  });
}
try {
  await removeLeftovers(engine);
  say("building the image");
  await buildImage();
  const findings = await simulate(engine, count, values.quick === true ? QUICK : FULL);
  const isRehearsal = values.quick === true || values.nodes !== undefined;
  const folder =
    values.out ??
    (isRehearsal ? mkdtempSync(join(tmpdir(), "skein-report-")) : join(import.meta.dirname, "report"));
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of pagesOf(findings)) writeFileSync(join(folder, name), text);
  const kept = join(mkdtempSync(join(tmpdir(), "skein-findings-")), "findings.json");
  writeFileSync(
    kept,
    JSON.stringify(findings, (_, value) => (value instanceof Map ? [...value] : value)),
  );
  say(`every event and reading, to look again at what is broken: ${kept}`);
  const broken = faultsOf(findings);
  say(`report in ${folder}: ${broken.length === 0 ? "all promises kept" : broken.join("; ")}`);
  if (broken.length > 0) process.exitCode = 1;
} finally {
  await cleanUp();
}
process.exit();
