/**
 * R13: how many bytes reach the medium of each node per hour, idle and at 20 retained updates a second.
 *
 * Three real nodes on default settings. Counted are the writes of each process (`/proc/<pid>/io`, `write_bytes`: pages it
 * made dirty) and of the block device below its data directory (`/sys/dev/block/<dev>/stat`: with the file system's own
 * journal and what else lives there). For figures that mean something each folder must be a file system of its own:
 *
 *   for i in 0 1 2; do
 *     truncate -s 200M /tmp/d$i.img; mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /tmp/d$i.img
 *     mkdir -p /tmp/d$i; mount -o loop /tmp/d$i.img /tmp/d$i
 *   done
 *   npm run bench:device-writes -- --minutes 5 /tmp/d0 /tmp/d1 /tmp/d2
 */

import { readFileSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connectAsync } from "mqtt";
import { type NodeProcess, startMesh } from "../support/node-process.ts";

const SECTOR_BYTES = 512;
/** What the operating system writes back late (30 s, and the file system's commit) must not count for the next phase. */
const SETTLE_MS = 45_000;

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    "idle-minutes": { type: "string", default: "3" },
    rate: { type: "string", default: "20" },
    topics: { type: "string", default: "100" },
    "payload-bytes": { type: "string", default: "40" },
  },
  allowPositionals: true,
});

interface Counters {
  readonly process: number;
  readonly device: number;
}

function countersOf(node: NodeProcess): Counters {
  const io = readFileSync(`/proc/${node.pid}/io`, "latin1");
  const written = Number(/^write_bytes: (\d+)$/m.exec(io)?.[1]);
  const { dev } = statSync(node.dataDirectory);
  const fields = readFileSync(`/sys/dev/block/${major(dev)}:${minor(dev)}/stat`, "latin1")
    .trim()
    .split(/\s+/);
  return { process: written, device: Number(fields[6]) * SECTOR_BYTES };
}

/** Linux packs 12 bits of major number above 8 bits of minor number (the rest of both is higher up, and 0 here). */
function major(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

function minor(dev: number): number {
  return dev & 0xff;
}

async function measure(
  nodes: readonly NodeProcess[],
  phase: string,
  ms: number,
  updates: () => number,
): Promise<void> {
  const before = nodes.map(countersOf);
  const updatesBefore = updates();
  await delay(ms);
  const after = nodes.map(countersOf);
  const count = updates() - updatesBefore;
  for (const [at, node] of nodes.entries()) {
    const perHour = (of: keyof Counters): string =>
      ((((after[at]?.[of] ?? 0) - (before[at]?.[of] ?? 0)) * 3_600_000) / ms / 1e6).toFixed(2);
    const device = (after[at]?.device ?? 0) - (before[at]?.device ?? 0);
    const { role } = (await node.status()).members.find(({ name }) => name === node.name) ?? { role: "?" };
    const each = count === 0 ? "" : `, ${Math.round(device / count)} bytes of the device per update`;
    process.stdout.write(
      `${phase} ${node.name} (${role}): device ${perHour("device")} MB/h, process ${perHour("process")} MB/h${each}\n`,
    );
  }
}

const mesh = await startMesh(3, (at) =>
  positionals[at] === undefined ? {} : { dataFolder: positionals[at] },
);
try {
  const { nodes } = mesh;
  let sent = 0;
  let updates = 0;
  await delay(SETTLE_MS);
  await measure(nodes, "idle", Number(values["idle-minutes"]) * 60_000, () => updates);

  const client = await connectAsync(nodes[0]?.url ?? "", { clientId: "bench" });
  const payload = "x".repeat(Number(values["payload-bytes"]));
  const timer = setInterval(() => {
    const topic = `home/room/sensor-${sent++ % Number(values.topics)}/state`;
    client.publish(topic, payload, { qos: 1, retain: true }, (error) => {
      if (!error) updates++;
    });
  }, 1000 / Number(values.rate));
  await delay(SETTLE_MS);
  await measure(nodes, `${values.rate} updates/s`, Number(values.minutes) * 60_000, () => updates);
  clearInterval(timer);
  await client.endAsync(true);
} finally {
  await mesh.remove();
}
