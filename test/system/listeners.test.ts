/** How clients get in and out: TCP and WebSocket, closed while the node starts, a reason when it stops (P11). */

import { connect as tcpConnect } from "node:net";
import { connectAsync } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../support/free-ports.ts";
import { connect, gather } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess } from "../support/node-process.ts";

/** Whether the MQTT port takes connections. */
function isOpen(node: NodeProcess): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = tcpConnect({ host: "127.0.0.1", port: node.ports.mqtt });
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => socket.destroy());
    onTestFinished(() => {
      socket.destroy();
    });
  });
}

test("P11: the port is closed until the node is ready, and a stopping node says 0x8B to its clients", async () => {
  const node = await makeNode({ name: "a" });
  onTestFinished(() => node.remove());
  node.launch();
  await node.waitForLog("that it started", ({ msg }) => msg === "node started");
  expect(await isOpen(node)).toBe(false);
  expect(await node.status()).toMatchObject({ health: "down" });
  await node.serving();
  expect(await isOpen(node)).toBe(true);

  const client = await connect(node);
  const goodbye = new Promise<number | undefined>((resolve) => {
    client.on("disconnect", ({ reasonCode }) => resolve(reasonCode));
  });
  expect(await node.stop()).toEqual({ code: 0, signal: null });
  expect(await goodbye).toBe(0x8b);
  expect(node.errorText).toBe("");
});

test("[MQTT-4.2.0-1] and 3.1.1 [MQTT-7.1.1-1] clients over WebSocket, on any path, and over TCP reach each other", async () => {
  const [port = 0] = await freePorts(1);
  const node = await makeNode({ name: "a", args: ["--listen", `ws://127.0.0.1:${port}`] });
  onTestFinished(() => node.remove());
  await node.start();
  for (const path of ["", "/mqtt", "/ws"]) {
    const browser = await connectAsync(`ws://127.0.0.1:${port}${path}`, {
      reconnectPeriod: 0,
      protocolVersion: 5,
    });
    onTestFinished(async () => {
      await browser.endAsync(true);
    });
    await browser.subscribeAsync("page/#", { qos: 1 });
    const device = await connect(node, { protocolVersion: 4 });
    const received = gather(browser, 1);
    await device.publishAsync("page/value", path, { qos: 1 });
    expect((await received)[0]).toMatchObject({ topic: "page/value", payload: path });
    const answered = gather(device, 1);
    await device.subscribeAsync("device/#");
    await browser.publishAsync("device/value", "back", { qos: 2 });
    expect((await answered)[0]?.payload).toBe("back");
  }
});

test("a message over WebSocket is bounded as packets are: 128 KiB before CONNACK, twice the largest packet after it", async () => {
  const [port = 0] = await freePorts(1);
  const node = await makeNode({ name: "a", args: ["--listen", `ws://127.0.0.1:${port}`] });
  onTestFinished(() => node.remove());
  await node.start();

  // 3.1.1, Clean Session, client id "w"; half a million PINGREQ.
  const connect = Buffer.from("100d00044d5154540402003c000177", "hex");
  const pings = Buffer.alloc(1_000_000, Buffer.from("c000", "hex"));
  /** Sends each message when what is owed for those before it has come. */
  const say = (
    messages: { bytes: Buffer; answer: number }[],
  ): Promise<{ answered: number; code: number }> => {
    const client = new WebSocket(`ws://127.0.0.1:${port}`, "mqtt");
    client.binaryType = "arraybuffer";
    let answered = 0;
    let owed = 0;
    const next = (): void => {
      const message = messages.shift();
      if (message === undefined) return;
      owed += message.answer;
      client.send(message.bytes);
    };
    client.addEventListener("open", next);
    client.addEventListener("message", ({ data }) => {
      answered += (data as ArrayBuffer).byteLength;
      if (answered === owed) next();
    });
    return new Promise((resolve) => {
      client.addEventListener("close", ({ code }) => resolve({ answered, code }));
    });
  };
  const both = Buffer.concat([connect, pings]);
  expect(await say([{ bytes: both, answer: 4 + pings.length }])).toEqual({ answered: 0, code: 1006 });
  const owed = [
    { bytes: connect, answer: 4 },
    { bytes: pings, answer: pings.length },
    { bytes: Buffer.concat([pings, pings, pings]), answer: 3 * pings.length },
  ];
  expect(await say(owed)).toEqual({ answered: 4 + pings.length, code: 1006 });
});
