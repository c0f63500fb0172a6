/**
 * An idle subscriber with MQTT.js that reconnects by itself; writes "connected" whenever it is, "heard" for each message.
 *
 * usage: mqttjs-idle.ts HOST KEEPALIVE TOPIC
 */

import mqtt from "mqtt";

const [, , host = "", keepalive = "", topic = ""] = process.argv;
const say = (word: string): void => void process.stdout.write(`${word}\n`);
const client = mqtt.connect({ protocol: "mqtt", host, port: 1883, keepalive: Number(keepalive) });

// It reconnects after any.
client.on("error", () => undefined);
client.on("connect", () => {
  client.subscribe(topic, { qos: 1 }, (error) => {
    if (!error) say("connected");
  });
});
client.on("message", () => say("heard"));
