/** A client that stops reading: it costs its bound and nothing more, and nobody waits for it. */

import { readFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { generate } from "mqtt-packet";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connect, gather } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";

const MESSAGES = 12_000;
const PAYLOAD = Buffer.alloc(10_000, "x");
/** What waits for one client: 1 MiB for its socket, 4 MiB in its queue, and what kernels and heaps take besides. */
const BOUND_MEGABYTES = 60;

let node: NodeProcess;

beforeAll(async () => {
  node = await makeNode({ name: "a", args: ["--sys-interval", "1"] });
  await node.start();
});
afterAll(async () => {
  await node?.remove();
});

function residentMegabytes(): number {
  const pages = Number(readFileSync(`/proc/${node.pid}/statm`, "utf8").split(" ")[1]);
  return (pages * 4096) / 1_048_576;
}

/** Subscribes and never reads again. */
function stalledReader(filter: string, qos: 0 | 1): Promise<void> {
  const socket = dial({ host: node.host, port: node.ports.mqtt });
  onTestFinished(() => {
    socket.destroy();
  });
  const hello = {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
  } as const;
  socket.write(generate({ ...hello, clientId: `stalled${qos}` }));
  socket.write(generate({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: filter, qos }] }));
  return new Promise((resolve) => {
    // CONNACK of 4 bytes and SUBACK of 5.
    let bytes = 0;
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (bytes < 9) return;
      socket.pause();
      resolve();
    });
  });
}

test("120 MB pass by two stalled readers: the one beside them gets every message, and the node stays within its bound", async () => {
  await stalledReader("flood", 0);
  await stalledReader("flood", 1);
  const reader = await connect(node);
  await reader.subscribeAsync("flood", { qos: 0 });
  const publisher = await connect(node);
  const publish = async (count: number): Promise<void> => {
    const received = gather(reader, count);
    // One at a time for each of 32, acknowledged: the healthy reader must keep up with it.
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next++ < count) await publisher.publishAsync("flood", PAYLOAD, { qos: 1 });
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    expect(await received).toHaveLength(count);
  };
  // Fills what may be filled, and warms the heap up.
  await publish(MESSAGES / 4);
  const before = residentMegabytes();
  await publish(MESSAGES);
  expect(residentMegabytes() - before).toBeLessThan(BOUND_MEGABYTES);

  const dropped = gather(reader, 1);
  await reader.subscribeAsync("$SYS/broker/publish/messages/dropped");
  expect(Number((await dropped)[0]?.payload)).toBeGreaterThan(MESSAGES);
  expect(node.errorText).toBe("");
});
