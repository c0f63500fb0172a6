/**
 * What `durability: disk` costs on this machine's disk: commits, entries and the time to an acknowledgement.
 *
 * Three voters in one process, over links in memory (one turn of the event loop each way, frames encoded and decoded),
 * each with a journal of its own on the disk; that all three share one disk and one core makes the figures worse than
 * those of three machines, whose network is not in them. Retained updates of 200 bytes arrive at a fixed rate, whether
 * or not the earlier ones are done (an open loop: a stall is paid for by everyone who arrives in it).
 *
 *   npm run bench:journal -- [--durability disk|replicated] [--seconds 10] [--rates 100,1000,10000] [--folder /path]
 *     [--sync-interval 50]    ms between syncs; without it the journal goes by the time that they take (sync-pace.ts)
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Disk, DiskFile, Incarnation, Log, NodeId, Prng } from "@skein/kernel";
import { openDataDirectory, systemClock } from "@skein/platform";
import { decodeRaftMessage, encodeConfiguration, encodeRaftMessage } from "raft-js";
import { Journal } from "../../packages/coordinator/src/journal/journal.ts";
import { Driver } from "../../packages/coordinator/src/replica/driver.ts";
import { REPLICA_SIZES } from "../../packages/coordinator/src/replica/replica-sizes.ts";
import { encodeCommand } from "../../packages/coordinator/src/state-machine/commands.ts";
import { StateMachine } from "../../packages/coordinator/src/state-machine/state-machine.ts";
import { raftOptions } from "../../packages/coordinator/src/timing.ts";

const { values } = parseArgs({
  options: {
    durability: { type: "string", default: "disk" },
    seconds: { type: "string", default: "10" },
    rates: { type: "string", default: "100,1000,10000" },
    folder: { type: "string", default: tmpdir() },
    "sync-interval": { type: "string" },
  },
});
const PAYLOAD = new Uint8Array(200).fill(120);
const TOPICS = 1000;
const IDS = ["000000000000000a", "000000000000000b", "000000000000000c"].map((id) => id as NodeId);
const ENTRY = encodeConfiguration({ voters: [...IDS], votersOutgoing: [], learners: [] });
const RANDOM = { below: (bound: number) => Math.floor(Math.random() * bound) } as Prng;
const QUIET: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

const clock = systemClock();

/** Counts what reaches a disk. */
class CountedDisk {
  syncs = 0;
  bytes = 0;

  around(disk: Disk): Disk {
    const open = (path: string): DiskFile => {
      const file = disk.open(path);
      return {
        write: (at, bytes, done) => {
          this.bytes += bytes.length;
          file.write(at, bytes, done);
        },
        sync: (done) => {
          this.syncs++;
          file.sync(done);
        },
        close: () => file.close(),
      };
    };
    return new Proxy(disk, {
      get: (target, name) => {
        if (name === "open") return open;
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }
}

/** Time from when an update was due to when the leader had it committed and applied, by sequence number. */
class Load {
  readonly #dueAt: number[] = [];
  readonly latencies: number[] = [];
  sent = 0;

  take(upTo: number, dueAt: (at: number) => number): Uint8Array[] {
    const commands: Uint8Array[] = [];
    while (this.sent < upTo) {
      const due = dueAt(this.sent);
      this.#dueAt.push(due);
      this.sent++;
      commands.push(commandOf(this.sent));
    }
    return commands;
  }

  applied(seq: number): void {
    const due = this.#dueAt[seq - 1];
    if (due !== undefined) this.latencies.push(performance.now() - due);
  }
}

function commandOf(seq: number): Uint8Array {
  return encodeCommand({
    envelope: { node: IDS[0] as NodeId, incarnation: 1 as Incarnation, seq },
    stamp: seq,
    operation: {
      kind: "retainedSet",
      message: {
        topic: `bench/${seq % TOPICS}`,
        payload: PAYLOAD,
        qos: 1,
        retain: true,
        properties: undefined,
      },
    },
  });
}

async function run(rate: number, seconds: number): Promise<void> {
  const folder = mkdtempSync(join(values.folder, "skein-bench-"));
  const disks = IDS.map((id) => openDataDirectory(join(folder, id)));
  const counted = IDS.map(() => new CountedDisk());
  const load = new Load();
  let commits = 0;
  let applied = 0;
  const drivers = new Map<NodeId, Driver>();
  for (const [at, id] of IDS.entries()) {
    const disk = (counted[at] as CountedDisk).around(disks[at] as Disk);
    const durability = values.durability === "replicated" ? "replicated" : "disk";
    const interval = values["sync-interval"];
    const syncIntervalMs = interval === undefined ? undefined : Number(interval);
    const opened = Journal.open(disk, "journal", QUIET, 0, { durability, clock, syncIntervalMs });
    // All begin with the same founding entry, so that there is nothing to form.
    const entries = [{ index: 1, term: 1, kind: "configuration" as const, data: ENTRY }];
    const hardState = { term: 1, votedFor: undefined };
    await new Promise<void>((resolve) => opened.journal.persist({ hardState, entries }, () => resolve()));
    let appliedInStep = 0;
    const driver = new Driver(
      {
        ...REPLICA_SIZES,
        raft: raftOptions(id, "wired", REPLICA_SIZES, RANDOM),
      },
      { ...opened, state: { ...opened.state, hardState, entries } },
      new StateMachine(),
      {
        clock,
        send: (to, message) => {
          const bytes = encodeRaftMessage(message);
          setImmediate(() =>
            drivers.get(to as NodeId)?.step({ kind: "receive", from: id, message: decodeRaftMessage(bytes) }),
          );
          return true;
        },
        applied: ({ command }) => {
          appliedInStep++;
          if (command !== undefined && drivers.get(id)?.leadership.role === "leader") {
            applied++;
            load.applied(command.envelope.seq);
          }
        },
        restored: () => {},
        observer: undefined,
        giveUpLease: (released) => released(),
        reads: { answered: () => {}, confirmed: () => {} },
        faulty: (fault) => {
          throw new Error(`replicas differ: ${fault.kind}`);
        },
        leadershipChanged: () => {},
        stepped: () => {
          if (appliedInStep > 0 && drivers.get(id)?.leadership.role === "leader") commits++;
          appliedInStep = 0;
        },
        failed: (error) => {
          throw error;
        },
      },
    );
    drivers.set(id, driver);
  }
  for (const driver of drivers.values()) driver.start();
  const flusher = setInterval(() => {
    for (const driver of drivers.values()) driver.flush();
  }, 1000);
  const leader = await elected(drivers);
  await delay(500);

  const syncsBefore = counted.map(({ syncs }) => syncs);
  const start = performance.now();
  for (;;) {
    const now = performance.now();
    const due = Math.min(rate * seconds, Math.floor(((now - start) * rate) / 1000));
    const commands = load.take(due, (at) => start + (at * 1000) / rate);
    if (commands.length > 0 && !leader.propose(commands)) throw new Error("the leader refused: overloaded");
    if (due === rate * seconds) break;
    await delay(1);
  }
  while (load.latencies.length < load.sent && performance.now() - start < (seconds + 30) * 1000)
    await delay(10);
  const elapsed = (performance.now() - start) / 1000;
  clearInterval(flusher);
  const syncs = counted.map(({ syncs }, at) => Math.round((syncs - (syncsBefore[at] ?? 0)) / elapsed));
  const sorted = load.latencies.sort((a, b) => a - b);
  const quantile = (share: number): string =>
    (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
  process.stdout.write(
    `${values.durability} ${rate} msg/s: ${Math.round(commits / elapsed)} commits/s, ${Math.round(applied / elapsed)} entries/s, ` +
      `acknowledged after p50 ${quantile(0.5)} ms, p99 ${quantile(0.99)} ms, max ${quantile(1)} ms; ` +
      `syncs/s per voter ${syncs.join(", ")}\n`,
  );
  for (const driver of drivers.values()) await new Promise<void>((resolve) => driver.stop(resolve));
  for (const disk of disks) disk.close();
  rmSync(folder, { recursive: true });
}

async function elected(drivers: ReadonlyMap<NodeId, Driver>): Promise<Driver> {
  for (;;) {
    for (const driver of drivers.values()) {
      if (driver.leadership.role === "leader" && driver.applied.term === driver.leadership.term)
        return driver;
    }
    await delay(20);
  }
}

for (const rate of values.rates.split(",")) await run(Number(rate), Number(values.seconds));
