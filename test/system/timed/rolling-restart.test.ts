/** Three nodes are restarted in order, one after the other, as for an update, while clients of all of them publish (R27). */

import type { MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../../support/mqtt-clients.ts";
import { startMesh, type TestMesh, waitUntilHealthy } from "../../support/node-process.ts";

const PER_SECOND = 100;
const INTERRUPTED_MAX_MS = 6000;
const DELIVERED_MAX_MS = 10_000;

let mesh: TestMesh;

beforeAll(async () => {
  mesh = await startMesh(3);
});
afterAll(async () => {
  await mesh?.remove();
});

/** A client that comes back by itself, keeps its session and notes how long it was away. */
async function device(at: number, clientId: string) {
  const node = mesh.nodes[at];
  if (node === undefined) throw new Error(`there is no node ${at}`);
  const client = await connect(node, {
    clientId,
    protocolVersion: 4,
    clean: false,
    reconnectPeriod: 200,
    keepalive: 60,
  });
  const interruptions: number[] = [];
  let closedAt: number | undefined;
  client.on("close", () => (closedAt ??= performance.now()));
  client.on("connect", () => {
    if (closedAt !== undefined) interruptions.push(performance.now() - closedAt);
    closedAt = undefined;
  });
  return { client, interruptions };
}

/** Publishes at a third of the rate until `stop`, which resolves with how many there were when all are acknowledged. */
function publishing(client: MqttClient, publisher: string) {
  const acknowledged: Promise<unknown>[] = [];
  const timer = setInterval(() => {
    const payload = String(acknowledged.length);
    acknowledged.push(client.publishAsync(`rolling/${publisher}`, payload, { qos: 1 }));
  }, 3000 / PER_SECOND);
  return async (): Promise<number> => {
    clearInterval(timer);
    await Promise.all(acknowledged);
    return acknowledged.length;
  };
}

/** The numbers of each publisher in the order in which they came first. */
function gathering(client: MqttClient) {
  const seen = new Map<string, Set<number>>();
  let changed = (): void => undefined;
  client.on("message", (topic, payload) => {
    const numbers = seen.get(topic) ?? new Set();
    seen.set(topic, numbers.add(Number(payload)));
    changed();
  });
  return (topic: string, count: number): Promise<readonly number[]> =>
    new Promise((resolve, reject) => {
      const numbersOf = (): readonly number[] => [...(seen.get(topic) ?? [])];
      const timer = setTimeout(() => {
        reject(new Error(`${numbersOf().length} of ${count} came on ${topic}`));
      }, DELIVERED_MAX_MS);
      changed = () => {
        if (numbersOf().length < count) return;
        clearTimeout(timer);
        resolve(numbersOf());
      };
      changed();
    });
}

test("R27: nothing of 100 messages a second is lost or out of order, and every client is back within six seconds", async () => {
  const devices = await Promise.all(
    [0, 1, 2].flatMap((at) => [device(at, `reader-${at}`), device(at, `writer-${at}`)]),
  );
  const readers = devices.filter((_, at) => at % 2 === 0);
  const writers = devices.filter((_, at) => at % 2 === 1);
  const gathered = readers.map(({ client }) => gathering(client));
  await Promise.all(readers.map(({ client }) => client.subscribeAsync("rolling/#", { qos: 1 })));
  const stops = writers.map(({ client }, at) => publishing(client, String(at)));
  for (const node of mesh.nodes) {
    expect(await node.stop()).toMatchObject({ code: 0 });
    await node.start();
    await waitUntilHealthy(mesh.nodes);
  }
  const counts = await Promise.all(stops.map((stop) => stop()));
  for (const numbersOf of gathered) {
    for (const [at, count] of counts.entries()) {
      const expected = Array.from({ length: count }, (_, number) => number);
      expect(await numbersOf(`rolling/${at}`, count)).toEqual(expected);
    }
  }
  for (const { interruptions } of devices) {
    // Its own node was restarted once.
    expect(interruptions).toHaveLength(1);
    expect(Math.max(...interruptions)).toBeLessThan(INTERRUPTED_MAX_MS);
  }
});
