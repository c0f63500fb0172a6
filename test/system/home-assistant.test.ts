/**
 * The start of Home Assistant: thousands of filters in a few SUBSCRIBE packets, and everything that was ever retained comes back.
 *
 * It subscribes to discovery with wildcards and to the topics of each entity, at most 500 filters in a packet, and must have every
 * retained message exactly as it was published. Source: reference/users.md section 2.1.
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, gather, publishMany } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";

/** All discovered by one wildcard. */
const DISCOVERED = 5_001;
/** Each with a filter of its own. */
const STATES = 4_999;
const RETAINED = DISCOVERED + STATES;
const FILTERS_PER_SUBSCRIBE = 500;
const PAYLOAD_BYTES = 700;

const discovery = (entity: number): string => `homeassistant/sensor/device${entity}/config`;
const state = (entity: number): string => `zigbee2mqtt/device${entity}/state`;
const payload = (topic: string): string => `{"topic":"${topic}"`.padEnd(PAYLOAD_BYTES, ".");

let node: NodeProcess;

beforeAll(async () => {
  node = await makeNode({ name: "a" });
  await node.start();
});
afterAll(async () => {
  await node?.remove();
});

async function publishEverything(): Promise<void> {
  await publishMany(await connect(node), RETAINED, (at) => {
    const topic = at < DISCOVERED ? discovery(at) : state(at - DISCOVERED);
    return { topic, payload: payload(topic), qos: 1, retain: true };
  });
}

test("5,000 filters in ten SUBSCRIBE or in one, and 10,000 retained messages of 700 bytes: all of them come", async () => {
  await publishEverything();
  const filters = ["homeassistant/+/+/config", ...Array.from({ length: STATES }, (_, at) => state(at))];
  expect(filters).toHaveLength(5_000);
  for (const [protocolVersion, filtersPerSubscribe] of [
    [5, FILTERS_PER_SUBSCRIBE],
    [4, filters.length],
  ] as const) {
    const home = await connect(node, { protocolVersion });
    const received = gather(home, RETAINED);
    for (let at = 0; at < filters.length; at += filtersPerSubscribe) {
      const granted = await home.subscribeAsync(filters.slice(at, at + filtersPerSubscribe), { qos: 1 });
      for (const { qos } of granted) expect(qos).toBe(1);
    }
    const messages = await received;
    expect(new Set(messages.map(({ topic }) => topic)).size).toBe(RETAINED);
    for (const message of messages) {
      expect(message).toEqual({
        topic: message.topic,
        payload: payload(message.topic),
        qos: 1,
        retain: true,
      });
    }
  }
  expect(node.errorText).toBe("");
});
