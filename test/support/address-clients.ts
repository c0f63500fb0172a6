/**
 * Clients of the floating address, run in a namespace of their own: idle ones with keep-alive 60, one that publishes, and one that
 * knocks all the time. Each thing that happens is a line of JSON with its time (ms since 1970).
 */

import { connect as dial, isIPv6 } from "node:net";
import mqtt from "mqtt";

const [, , host = "", idleCount = "0"] = process.argv;
const KNOCK_EVERY_MS = 50;
const KNOCK_TIMEOUT_MS = 300;
const PUBLISH_EVERY_MS = 200;
/** CONNECT of MQTT 3.1.1, clean session, empty client id. */
const CONNECT = Buffer.from([0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0]);

const url = `mqtt://${isIPv6(host) ? `[${host}]` : host}:1883`;

function say(what: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ what, at: Date.now(), ...fields })}\n`);
}

/** One attempt from the first SYN to CONNACK. */
function knock(): void {
  const socket = dial({ host, port: 1883 });
  const timer = setTimeout(() => socket.destroy(), KNOCK_TIMEOUT_MS);
  socket.on("error", () => undefined);
  socket.on("connect", () => socket.write(CONNECT));
  socket.on("data", () => {
    say("answer", {});
    socket.destroy();
  });
  socket.on("close", () => clearTimeout(timer));
}

for (let n = 0; n < Number(idleCount); n++) {
  const client = mqtt.connect(url, {
    clientId: `idle-${n}`,
    keepalive: 60,
    protocolVersion: 4,
  });
  client.on("connect", () => {
    client.subscribe("idle");
    say("connected", { client: n });
  });
  client.on("close", () => say("closed", { client: n }));
  client.on("error", () => undefined);
}
const publisher = mqtt.connect(url, { clientId: "publisher", connectTimeout: 2000 });
publisher.on("error", () => undefined);
let count = 0;
setInterval(() => {
  if (publisher.connected) publisher.publish("busy", String(count++), { qos: 1, retain: true });
}, PUBLISH_EVERY_MS);
setInterval(knock, KNOCK_EVERY_MS);
