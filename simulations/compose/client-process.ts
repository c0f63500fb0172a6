/**
 * Many MQTT clients in one process, in the room it was started in: `client-process.ts PLANS`, with PLANS as JSON.
 *
 * Each reconnects by itself, a second after it lost its connection, as MQTT.js does for everybody. A publisher sends once a
 * second while it is connected. On "quiet" from standard input publishers end; on its end all do.
 */

import { createInterface } from "node:readline";
import mqtt, { type MqttClient } from "mqtt";
import type { ClientEvent, ClientPlan } from "./client-events.ts";

const PUBLISH_EVERY_MS = 1000;
/** Subscriptions are for both kinds of topics, live and retained. */
const FILTER = "sim/#";

const plans = JSON.parse(process.argv[2] ?? "[]") as readonly ClientPlan[];
const clients: MqttClient[] = [];
let isQuiet = false;
let lines = "";

function tell(event: ClientEvent): void {
  if (lines === "") setImmediate(flush);
  lines += `${JSON.stringify(event)}\n`;
}

function flush(): void {
  process.stdout.write(lines);
  lines = "";
}

function begin(plan: ClientPlan): void {
  const { id: c, host, keepalive, version, isDurable } = plan;
  const client = mqtt.connect({
    protocol: "mqtt",
    host,
    port: 1883,
    clientId: c,
    keepalive,
    protocolVersion: version,
    clean: !isDurable,
    queueQoSZero: false,
    ...(version === 5 && isDurable ? { properties: { sessionExpiryInterval: 3600 } } : {}),
  });
  clients.push(client);
  let isUp = false;
  client.on("error", () => undefined);
  client.on("close", () => {
    if (isUp) tell({ t: Date.now(), c, e: "down" });
    isUp = false;
  });
  const up = (): void => {
    isUp = true;
    tell({ t: Date.now(), c, e: "up" });
  };
  if (plan.role === "publisher") {
    // Not "connect": MQTT.js says that when what it sends again is acknowledged, and a retained message waits for a quorum.
    client.on("packetreceive", (packet) => {
      if (packet.cmd === "connack" && packet.reasonCode === 0) up();
    });
    publish(client, plan);
    return;
  }
  client.on("connect", () => {
    client.subscribe(FILTER, { qos: 2 }, (error) => {
      if (!error) up();
    });
  });
  client.on("message", (_, payload, { retain }) => {
    const [p = "", s] = payload.toString().split(" ");
    // What is replayed at a subscription is not a delivery.
    if (!retain) tell({ t: Date.now(), c, e: "got", p, s: Number(s) });
  });
}

function publish(client: MqttClient, { id: c, qos, isRetained }: ClientPlan): void {
  let s = 0;
  const topic = `sim/${isRetained ? "kept" : "live"}/${c}`;
  const timer = setInterval(() => {
    if (isQuiet) clearInterval(timer);
    if (isQuiet || !client.connected) return;
    const number = ++s;
    tell({ t: Date.now(), c, e: "sent", s: number });
    client.publish(topic, `${c} ${number}`, { qos, retain: isRetained }, (error) => {
      if (!error) tell({ t: Date.now(), c, e: "acked", s: number });
    });
  }, PUBLISH_EVERY_MS);
}

for (const plan of plans) begin(plan);
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  if (line === "quiet") isQuiet = true;
});
input.on("close", () => {
  for (const client of clients) client.end(true);
  flush();
  process.exit(0);
});
