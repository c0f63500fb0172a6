import { expect, test } from "vitest";
import { allCheckers } from "../../src/checkers/all-checkers.ts";
import { startHousehold } from "../../src/client/household.ts";
import {
  type ClientProfile,
  ESPHOME,
  HOME_ASSISTANT,
  MQTT_JS,
  PAHO,
  PERSISTENT_V5,
  PROFILES,
  TASMOTA,
} from "../../src/client/profiles.ts";
import { MARK_TOPIC, RetainedReader } from "../../src/client/retained-reader.ts";
import { SimClient } from "../../src/client/sim-client.ts";
import { LoneBroker } from "../support/lone-broker.ts";

function start(world: LoneBroker, clientId: string, profile: ClientProfile): SimClient {
  const client = new SimClient(world.host, { clientId, target: "node:0", profile });
  client.start();
  return client;
}

test.each(PROFILES)("$name publishes and receives with every QoS", (profile) => {
  const world = new LoneBroker();
  const sub = start(world, "sub", profile);
  sub.subscribe("a/+", 2);
  const pub = start(world, "pub", profile);
  world.run(100);
  for (const qos of [0, 1, 2] as const)
    pub.publish("a/b", `m${qos}`, qos, false, { paddingBytes: qos * 300 });
  world.run(100);
  expect(world.of("delivered").map(({ payloadId, qos }) => [payloadId, qos])).toEqual([
    ["m0", 0],
    ["m1", 1],
    ["m2", 2],
  ]);
  expect(world.of("publishAcked").map(({ payloadId, reasonCode }) => [payloadId, reasonCode])).toEqual([
    ["m1", 0],
    ["m2", 0],
  ]);
  expect(world.of("subscribeAcked")).toMatchObject([{ client: "sub", filter: "a/+", qos: 2 }]);
  expect(pub.unfinished).toBe(0);
});

test.each(PROFILES)("$name notices what is safe on one node only, if its version can say so", (profile) => {
  const world = new LoneBroker();
  const pub = start(world, "pub", profile);
  world.run(100);
  for (const isAlone of [true, false]) {
    world.isAlone = isAlone;
    for (const qos of [1, 2] as const) pub.publish("t", `${isAlone} ${qos}`, qos, true);
    world.run(100);
  }
  const told = profile.version === 5 ? {} : { isUntold: true };
  const alone = profile.version === 5 ? { isSafeHereOnly: true } : told;
  const acked = { at: expect.any(Number), node: "lone", kind: "publishAcked", client: "pub", reasonCode: 0 };
  expect(world.of("publishAcked")).toEqual([
    { ...acked, payloadId: "true 1", ...alone },
    { ...acked, payloadId: "true 2", ...alone },
    { ...acked, payloadId: "false 1", ...told },
    { ...acked, payloadId: "false 2", ...told },
  ]);
  expect(pub.unfinished).toBe(0);
});

test("publishes wait while there is no connection, and go out in order once there is one", () => {
  const world = new LoneBroker();
  start(world, "sub", MQTT_JS).subscribe("t", 1);
  world.run(100);
  const pub = start(world, "pub", MQTT_JS);
  for (let i = 0; i < 50; i++) pub.publish("t", `m${i}`, 1, false);
  world.run(500);
  expect(world.of("delivered").map(({ payloadId }) => payloadId)).toEqual(
    Array.from({ length: 50 }, (_, i) => `m${i}`),
  );
});

test("[MQTT-4.4.0-1] a session that lives on: unfinished publishes are sent again with DUP, QoS 2 arrives once", () => {
  const world = new LoneBroker();
  start(world, "sub", PERSISTENT_V5).subscribe("t", 2);
  const pub = start(world, "pub", PERSISTENT_V5);
  world.run(100);
  const connection = world.connections[1]!;
  pub.publish("t", "one", 1, false);
  pub.publish("t", "two", 2, false);
  world.run(1);
  // The publishes have arrived, their acknowledgements never do.
  connection.other!.isDead = true;
  connection.isDead = true;
  world.run(60_000);
  expect(world.of("publishSent").map(({ packet }) => packet.payloadId)).toEqual(["one", "two", "one", "two"]);
  expect(world.of("publishAcked").map(({ payloadId }) => payloadId)).toEqual(["one", "two"]);
  expect(world.of("delivered").map(({ payloadId }) => payloadId)).toEqual(["one", "two", "one"]);
  expect(world.of("connected").filter(({ client }) => client === "pub")).toMatchObject([
    { session: "pub#1" },
    { session: "pub#1" },
  ]);
});

test("a session that the server has lost: unfinished publishes are forgotten, subscriptions made again", () => {
  const world = new LoneBroker();
  const sub = start(world, "sub", PERSISTENT_V5);
  sub.subscribe("t", 2);
  world.run(100);
  world.replaceBroker();
  world.run(5000);
  expect(world.of("connected").map(({ session }) => session)).toEqual(["sub#1", "sub#2"]);
  expect(world.of("subscribeAcked")).toHaveLength(2);
  start(world, "pub", MQTT_JS).publish("t", "m", 2, false);
  world.run(100);
  expect(world.of("delivered")).toHaveLength(1);
});

test.each([
  [TASMOTA, [10, 20, 30, 40]],
  [ESPHOME, [5, 5, 5, 5]],
  [MQTT_JS, [1, 1, 1, 1]],
  [PAHO, [1, 2, 4, 8]],
  [HOME_ASSISTANT, [0, 10, 10, 10]],
])("$name waits between attempts as the real one does", (profile, seconds) => {
  const world = new LoneBroker();
  world.isUp = false;
  start(world, "c", profile);
  world.run(300_000);
  // Each attempt is refused after 1 ms; up to 250 ms of jitter keep real clients out of step.
  const waits = world.dialledAt.slice(1).map((at, i) => at - 1 - world.dialledAt[i]!);
  expect(waits.slice(0, 4).map((ms) => Math.floor(ms / 1000))).toEqual(seconds);
});

test("a silent connection is given up after keep-alive and ping timeout; a quiet one lives", () => {
  const world = new LoneBroker();
  start(world, "c", ESPHOME);
  world.run(120_000);
  expect(world.of("disconnected")).toEqual([]);
  world.connections[0]!.other!.isDead = true;
  world.run(31_000);
  expect(world.of("disconnected")).toHaveLength(1);
  world.run(10_000);
  expect(world.of("connected")).toHaveLength(2);
});

test("[P8] a retained read gives the value, and null after a deletion; a live message spoils it", () => {
  const world = new LoneBroker();
  const pub = start(world, "pub", MQTT_JS);
  const reader = new RetainedReader(world.host, "reader", "node:0", MQTT_JS);
  reader.client.start();
  world.run(100);
  reader.read("t");
  world.run(11_000);
  expect(world.of("retainedRead"), "without a mark a read says nothing").toEqual([]);
  pub.publish(MARK_TOPIC, "mark", 1, true);
  pub.publish("t", "v1", 1, true);
  world.run(100);
  const askedAt = world.events.now;
  reader.read("t");
  world.run(100);
  pub.publish("t", "-1", 1, true);
  world.run(100);
  reader.read("t");
  world.run(100);
  world.readDelayMs = 50;
  reader.read("t");
  world.run(25);
  pub.publish("t", "v2", 1, true);
  world.run(100);
  expect(world.of("retainedRead").map(({ payloadId }) => payloadId)).toEqual(["v1", null]);
  expect(world.of("retainedRead")[0]).toMatchObject({ client: "reader", topic: "t", askedAt });
  reader.read("t");
  world.run(100);
  expect(world.of("retainedRead").at(-1)?.payloadId).toBe("v2");
});

test("a household on one broker works for a quarter of an hour, through restarts, and every checker is content", () => {
  const world = new LoneBroker();
  const household = startHousehold(world.host, { nodes: 1, hasFloatingAddress: false, beatMs: 2000 });
  for (let i = 0; i < 15; i++) {
    world.run(60_000);
    if (i % 5 === 4) world.replaceBroker();
  }
  household.rest();
  world.run(30_000);
  expect(world.of("delivered").length).toBeGreaterThan(1500);
  expect(world.of("retainedRead").length).toBeGreaterThan(100);
  // Everything in this broker is lost with it, so only what does not survive a restart anyway is judged.
  const checkers = allCheckers({ durability: "replicated" }).filter(({ name }) => name !== "retained store");
  for (const checker of checkers) {
    for (const observation of world.observations) checker.observe(observation);
    checker.finish?.();
  }
}, 30_000);
