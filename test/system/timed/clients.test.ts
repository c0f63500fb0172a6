/** What clients of a mesh of three are promised within a time: the older of two with one id hears of it, thousands of filters are granted. */

import type { IClientOptions, MqttClient, Packet } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, gather } from "../../support/mqtt-clients.ts";
import { type NodeProcess, startMesh, type TestMesh } from "../../support/node-process.ts";

const TAKEN_OVER_MS = 1000;
const FILTERS = 5000;
const GRANTED_MS = 2000;
const LIVE: IClientOptions = { clean: true };
const KEPT: IClientOptions = { clean: false, properties: { sessionExpiryInterval: 3600 } };

let mesh: TestMesh;
let coordinator: NodeProcess;
let others: readonly [NodeProcess, NodeProcess];

beforeAll(async () => {
  mesh = await startMesh(3);
  const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
  const at = statuses.findIndex(({ node, coordinator: id }) => node === id);
  coordinator = mesh.nodes[at] as NodeProcess;
  others = mesh.nodes.filter((node) => node !== coordinator) as [NodeProcess, NodeProcess];
});
afterAll(async () => {
  await mesh?.remove();
});

/** Where the older client is, and where the newer one comes. */
function moves(): readonly (readonly [string, NodeProcess, NodeProcess])[] {
  const [one, another] = others;
  return [
    ["the same node", one, one],
    ["from the coordinator", coordinator, one],
    ["to the coordinator", one, coordinator],
    ["past the coordinator", one, another],
  ];
}

/** What the older client hears of a newer one with its id, and when its connection has ended since that began to connect, in ms. */
async function takeOver(from: NodeProcess, to: NodeProcess, options: IClientOptions) {
  const older = await connect(from, options);
  const heard: Packet[] = [];
  await known(older, to);
  older.on("packetreceive", (packet) => heard.push(packet));
  const closed = new Promise<number>((resolve) => older.once("close", () => resolve(performance.now())));
  const startedAt = performance.now();
  const newer = await connect(to, options);
  const tookMs = (await closed) - startedAt;
  await newer.publishAsync("taken-over", "x", { qos: 1 });
  return { heard, tookMs };
}

/**
 * Waits until `node` has carried out the CONNECT of `client`: it reads what that has had committed since. Before, a node that has not heard of
 * it yet may take its own, newer one for the older (guarantees.md, P9).
 */
async function known(client: MqttClient, node: NodeProcess): Promise<void> {
  const topic = `connected/${client.options.clientId}`;
  await client.publishAsync(topic, "x", { qos: 1, retain: true });
  const reader = await connect(node);
  const read = gather(reader, 1);
  await reader.subscribeAsync(topic, { qos: 1 });
  await read;
}

test.each([
  [5, "live", LIVE],
  [5, "kept", KEPT],
  [4, "live", LIVE],
  [4, "kept", { clean: false }],
] as const)(
  "P9: a newer client with the same id: the older one (level %i, %s session) is gone within 1 s, with 0x8E where it can be told, on whatever nodes",
  async (protocolVersion, kind, options) => {
    for (const [what, from, to] of moves()) {
      const clientId = `${kind}-${protocolVersion} ${what}`;
      const { heard, tookMs } = await takeOver(from, to, { ...options, protocolVersion, clientId });
      const told = heard.map(({ cmd, ...packet }) => [cmd, "reasonCode" in packet && packet.reasonCode]);
      // A server of 3.1.1 has no packet for that.
      expect([what, told]).toEqual([what, protocolVersion === 5 ? [["disconnect", 0x8e]] : []]);
      expect(tookMs).toBeLessThan(TAKEN_OVER_MS);
    }
  },
);

/** Subscribes with all `filters` at once, in packets of `perPacket`. Returns when the last is granted, in ms since the first was sent. */
async function subscribe(client: MqttClient, filters: readonly string[], perPacket: number): Promise<number> {
  const startedAt = performance.now();
  const packets: Promise<readonly { qos: number }[]>[] = [];
  for (let at = 0; at < filters.length; at += perPacket)
    packets.push(client.subscribeAsync(filters.slice(at, at + perPacket), { qos: 1 }));
  const granted = (await Promise.all(packets)).flat();
  const tookMs = performance.now() - startedAt;
  expect(granted.map(({ qos }) => qos)).toEqual(filters.map(() => 1));
  return tookMs;
}

test.each([
  ["live", LIVE],
  ["kept", KEPT],
] as const)(
  "R21: 5,000 filters are granted to a %s session within 2 s, in one SUBSCRIBE or in ten, with and without wildcards",
  async (kind, options) => {
    for (const [at, perPacket] of [FILTERS, FILTERS / 10].entries()) {
      for (const last of ["state", "+"]) {
        const client = await connect(at === 0 ? others[0] : coordinator, options);
        const filters = Array.from({ length: FILTERS }, (_, n) => `${kind}/${perPacket}/device${n}/${last}`);
        const tookMs = await subscribe(client, filters, perPacket);
        expect(tookMs).toBeLessThan(GRANTED_MS);
      }
    }
  },
);
