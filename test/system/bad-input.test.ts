/** Clients that break the rules are put out with the right reason; nobody else on the node notices anything. */

import type { MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, gather } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";
import { RawClient } from "../support/raw-client.ts";

let node: NodeProcess;

beforeAll(async () => {
  node = await makeNode({ name: "a" });
  await node.start();
});
afterAll(async () => {
  await node?.remove();
});

const CONNECT_V5 = generate({
  cmd: "connect",
  protocolId: "MQTT",
  protocolVersion: 5,
  clean: true,
  clientId: "offender",
  keepalive: 1,
});

/** A well-behaved client that talks to itself; it must never notice anything. */
async function bystander(): Promise<MqttClient> {
  const client = await connect(node);
  client.on("close", () => {
    throw new Error("a bystander was disconnected");
  });
  await client.subscribeAsync("calm/#", { qos: 1 });
  return client;
}

async function expectUndisturbed(client: MqttClient): Promise<void> {
  const received = gather(client, 1);
  await client.publishAsync("calm/water", "still", { qos: 1 });
  expect((await received)[0]?.payload).toBe("still");
  expect(node.errorText).toBe("");
  client.removeAllListeners("close");
}

test.each([
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["zeros", Buffer.alloc(64)],
  ["a packet before CONNECT", generate({ cmd: "pingreq" })],
  ["noise", Buffer.from("f3a90917c4d2ffffffffffffffffff0101", "hex")],
])("garbage instead of CONNECT (%s) ends the connection, and others notice nothing", async (_, bytes) => {
  const other = await bystander();
  const offender = new RawClient(node, 4);
  offender.send(bytes);
  for (const packet of await offender.closed) expect(packet.cmd).not.toBe("publish");
  await expectUndisturbed(other);
});

test("half a packet and then silence ends the connection when the keep-alive is over", async () => {
  const other = await bystander();
  const offender = new RawClient(node, 5);
  offender.send(CONNECT_V5);
  const publish = generate({
    cmd: "publish",
    topic: "calm/storm",
    payload: "x".repeat(100),
    qos: 0,
    dup: false,
    retain: false,
  });
  offender.send(publish.subarray(0, 20));
  const packets = await offender.closed;
  expect(packets.map(({ cmd }) => cmd)).toEqual(["connack", "disconnect"]);
  expect(packets[1]).toMatchObject({ reasonCode: 0x8d });
  await expectUndisturbed(other);
});

test("an oversized packet is refused with 0x95 from its header alone", async () => {
  const other = await bystander();
  const offender = new RawClient(node, 5);
  offender.send(CONNECT_V5);
  // PUBLISH of 256 MiB - 1: the length is announced, the bytes never come.
  offender.send(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x01, 0x61]));
  const packets = await offender.closed;
  expect(packets[1]).toMatchObject({ cmd: "disconnect", reasonCode: 0x95 });
  await expectUndisturbed(other);
});

test("[MQTT-3.3.2-2] a wildcard in a Topic Name is refused with 0x90", async () => {
  const other = await bystander();
  const offender = new RawClient(node, 5);
  offender.send(CONNECT_V5);
  // Topic "calm/#", written by hand: no library lets it pass.
  const topic = Buffer.from("calm/#");
  offender.send(
    Buffer.concat([Buffer.from([0x30, topic.length + 4, 0, topic.length]), topic, Buffer.from([0, 0x78])]),
  );
  const packets = await offender.closed;
  expect(packets[1]).toMatchObject({ cmd: "disconnect", reasonCode: 0x90 });
  await expectUndisturbed(other);
});
