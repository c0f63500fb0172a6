/**
 * What a follower pays for a leader's snapshot: how long it stands still, and how much memory it takes at most.
 *
 * The follower has a journal on the disk and the driver of a real node; the leader is a file that is read piece by piece. The snapshot is
 * installed in an empty replica, and then once more, as a newer one, in the replica that has all of it already. "Still" is the longest turn of
 * the event loop in CPU time; memory is what was resident at most since the process began.
 *
 *   node --expose-gc --conditions=@skein/source test/bench/snapshot-install.ts SNAPSHOT FOLDER
 */

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import type { Log, NodeId } from "@skein/kernel";
import { openDataDirectory, systemClock } from "@skein/platform";
import { Journal } from "../../packages/coordinator/src/journal/journal.ts";
import type { Driver } from "../../packages/coordinator/src/replica/driver.ts";
import { REPLICA_SIZES } from "../../packages/coordinator/src/replica/replica-sizes.ts";
import { StateMachine } from "../../packages/coordinator/src/state-machine/state-machine.ts";
import { replicaDriver, Turns } from "./replica.ts";

const LEADER = "000000000000000a" as NodeId;
const FOLLOWER = "000000000000000b" as NodeId;
const CONFIGURATION = { voters: [LEADER], votersOutgoing: [], learners: [FOLLOWER] };
const QUIET: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

const [snapshot = "", folder = ""] = process.argv.slice(2);

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** What is resident once everything is collected that can be. */
async function residentAtRest(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await delay(500);
  }
  return process.memoryUsage.rss();
}

/** As the leader of term 2 sends it. */
async function install(driver: Driver, index: number): Promise<number> {
  const file = openSync(snapshot, "r");
  const totalBytes = fstatSync(file).size;
  for (let offset = 0; offset < totalBytes; offset += REPLICA_SIZES.snapshotChunkBytes) {
    const data = new Uint8Array(Math.min(REPLICA_SIZES.snapshotChunkBytes, totalBytes - offset));
    readSync(file, data, 0, data.length, offset);
    const point = { index, term: 1, configuration: CONFIGURATION };
    const message = { kind: "installSnapshot", term: 2, point, totalBytes, offset, data } as const;
    driver.step({ kind: "receive", from: LEADER, message });
    await turn();
  }
  closeSync(file);
  while (driver.applied.index < index) await turn();
  return totalBytes;
}

const disk = openDataDirectory(folder);
const clock = systemClock();
const machine = new StateMachine();
const opened = Journal.open(disk, "journal", QUIET, 0, { durability: "replicated", clock });
const driver = replicaDriver(FOLLOWER, opened, machine, clock, REPLICA_SIZES.partedBytes);
driver.start();
for (const [index, where] of ["an empty replica", "one that has it already"].entries()) {
  const before = await residentAtRest();
  const cpu = process.cpuUsage();
  const turns = new Turns();
  const bytes = await install(driver, index + 1);
  await turn();
  turns.stop();
  const { user, system } = process.cpuUsage(cpu);
  process.stdout.write(
    `a snapshot of ${mb(bytes)} in ${where}: ${((user + system) / 1e6).toFixed(1)} s of CPU; longest still: ${turns.longestMs.toFixed(0)} ms; ` +
      `resident ${mb(before)} before, ${mb(process.resourceUsage().maxRSS * 1024)} at most\n`,
  );
}
await new Promise<void>((resolve) => driver.stop(resolve));
disk.close();
