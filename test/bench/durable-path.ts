/**
 * What kept sessions cost: three real nodes on loopback, one process of clients beside them.
 *
 *   npm run bench:durable                                  both kinds of durability, all parts
 *   npm run bench:durable -- --durability replicated --parts flood,rate,takeover --seconds 20
 *
 * flood: QoS 1 to kept sessions on another node, as fast as acknowledgements come · rate: the same at 1,000 messages a second, and how
 * long an acknowledgement takes · subscribe: one SUBSCRIBE with 5,000 filters · takeover: from CONNECT on another node to the
 * first message that waited · retained: 10,000 of 700 bytes to a reader that takes 200 a second.
 *
 * All processes share the machine's cores; what else runs on it shows in every figure.
 */

import { parseArgs } from "node:util";
import { type NodeProcess, startMesh } from "../support/node-process.ts";
import { measurePairs, type PairsLoad } from "./durable/pairs.ts";
import { replay, writeRetained } from "./durable/retained-replay.ts";
import { measureTakeovers } from "./durable/takeovers.ts";
import { type Endpoint, RawClient } from "./mqtt/raw-client.ts";

const { values } = parseArgs({
  options: {
    durability: { type: "string", default: "replicated,disk" },
    parts: { type: "string", default: "flood,rate,subscribe,takeover,retained" },
    nodes: { type: "string", default: "3" },
    seconds: { type: "string", default: "15" },
    pairs: { type: "string", default: "20" },
    window: { type: "string", default: "50" },
    rate: { type: "string", default: "1000" },
    bytes: { type: "string", default: "100" },
    filters: { type: "string", default: "5000" },
    takeovers: { type: "string", default: "100" },
    retained: { type: "string", default: "10000" },
    "retained-bytes": { type: "string", default: "700" },
    "reader-rate": { type: "string", default: "200" },
  },
});
const WARM_UP_MS = 4000;
const WAITING = 10;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function flood(nodes: readonly Endpoint[], run: string): Promise<void> {
  const window = Number(values.window);
  const { acknowledged, delivered, latenciesMs, missing } = await measurePairs(
    nodes,
    { ...common(), window, perSecond: undefined },
    run,
  );
  say(
    `flood      ${Math.round(acknowledged)} acknowledged/s, ${Math.round(delivered)} delivered/s, ${values.pairs} pairs with ${window} under way each; acknowledgement ${spread(latenciesMs)}; ${missing} missing`,
  );
}

async function rate(nodes: readonly Endpoint[], run: string): Promise<void> {
  const perSecond = Number(values.rate);
  const result = await measurePairs(nodes, { ...common(), window: undefined, perSecond }, run);
  const { acknowledged, delivered, latenciesMs, missing } = result;
  say(
    `rate       ${perSecond} asked, ${Math.round(acknowledged)} acknowledged/s, ${Math.round(delivered)} delivered/s; acknowledgement ${spread(latenciesMs)}; ${missing} missing`,
  );
}

function common(): Pick<PairsLoad, "pairs" | "payloadBytes" | "warmUpMs" | "measuredMs"> {
  return {
    pairs: Number(values.pairs),
    payloadBytes: Number(values.bytes),
    warmUpMs: WARM_UP_MS,
    measuredMs: Number(values.seconds) * 1000,
  };
}

async function subscribe(nodes: readonly Endpoint[], run: string): Promise<void> {
  const count = Number(values.filters);
  const took: number[] = [];
  for (const [at, node] of nodes.entries()) {
    const filters = Array.from({ length: count }, (_, number) => `filters/${run}/${at}/${number}/+`);
    const client = await RawClient.connect(node, `${run}-${at}`, 0, {}, true);
    const startAt = performance.now();
    await client.subscribe(filters, 1);
    took.push(performance.now() - startAt);
    client.close();
  }
  say(
    `subscribe  ${count} filters acknowledged after ${took.map((ms) => `${ms.toFixed(0)} ms`).join(", ")} (each node once)`,
  );
}

async function takeover(nodes: readonly Endpoint[], run: string): Promise<void> {
  const tookMs = await measureTakeovers(nodes, Number(values.takeovers), WAITING, run);
  say(
    `takeover   ${spread(tookMs)} from dialling another node to the first of ${WAITING} messages that waited`,
  );
}

async function retained(nodes: readonly Endpoint[], run: string, pids: readonly number[]): Promise<void> {
  const [writer, reader] = nodes as readonly [Endpoint, Endpoint];
  const [, pid = 0] = pids;
  const count = Number(values.retained);
  const bytes = Number(values["retained-bytes"]);
  const startAt = performance.now();
  await writeRetained(writer, run, count, bytes);
  say(
    `retained   ${count} of ${bytes} bytes written in ${((performance.now() - startAt) / 1000).toFixed(1)} s`,
  );
  const perSecond = Number(values["reader-rate"]);
  for (const [qos, isKept] of [
    [0, false],
    [1, false],
    [1, true],
  ] as const) {
    const result = await replay(reader, pid, run, { qos, isKept, perSecond, count });
    const who = `QoS ${qos}, ${isKept ? "kept" : "live"} session`;
    say(
      `           ${who}, ${perSecond}/s: ${result.received} received, ${count - result.received} dropped, ${result.seconds.toFixed(0)} s, its node ${result.extraMegabytes.toFixed(0)} MB more at most`,
    );
  }
}

/** Percentiles. */
function spread(samples: readonly number[]): string {
  const sorted = Float64Array.from(samples).sort();
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms (${sorted.length})`;
}

const PARTS = { flood, rate, subscribe, takeover, retained } as const;

for (const durability of values.durability.split(",")) {
  const count = Number(values.nodes);
  const mesh = await startMesh(count, () => ({ args: ["--durability", durability, "--log-level", "warn"] }));
  try {
    say(`${count} nodes, ${durability}, payload ${values.bytes} bytes`);
    const endpoints = mesh.nodes.map(({ host, ports }: NodeProcess) => ({ host, port: ports.mqtt }));
    const pids = mesh.nodes.flatMap(({ pid }) => pid ?? []);
    for (const name of values.parts.split(",")) {
      const part = PARTS[name as keyof typeof PARTS];
      if (part === undefined) throw new Error(`There is no part ${name}`);
      await part(endpoints, `${durability}-${name}`, pids);
    }
  } finally {
    await mesh.remove();
  }
}
