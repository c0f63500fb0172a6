import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { SkeinError, type Stream, type StreamListener } from "@skein/kernel";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import type { ListenOptions } from "../src/sockets/client-listener.ts";
import { listenWebSocket } from "../src/sockets/websocket.ts";
import { dialMany } from "./support/many-sockets.ts";
import { webSocketPeer } from "./support/peers.ts";
import { type Pair, RecordingHandler, streamContract } from "./support/stream-contract.ts";

interface Listening {
  readonly listener: StreamListener;
  readonly accepted: Promise<Stream>;
}

async function listen(options: Partial<ListenOptions> = {}): Promise<Listening> {
  let accept: (stream: Stream) => void = () => {};
  const accepted = new Promise<Stream>((resolve) => {
    accept = resolve;
  });
  const listener = await new Promise<StreamListener | SkeinError>((resolve) =>
    listenWebSocket({ host: "127.0.0.1", port: 0, accepted: accept, ready: resolve, ...options }),
  );
  if (listener instanceof SkeinError) throw listener;
  return { listener, accepted };
}

/** A client and the socket under it. */
function dial(port: number, protocols: string[], path = "/mqtt"): { client: WebSocket; socket: Socket } {
  const socket = connect(port, "127.0.0.1");
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, {
    createConnection: () => socket,
  });
  return { client, socket };
}

/** The protocol that was agreed on, or the error. */
function outcome(client: WebSocket): Promise<string | Error> {
  return new Promise((resolve) => {
    client.once("open", () => resolve(client.protocol));
    client.once("error", resolve);
  });
}

function start(stream: Stream): RecordingHandler {
  const handler = new RecordingHandler();
  stream.start({
    received: (bytes) => handler.received(bytes),
    drained: () => handler.drained(),
    closed: (error) => handler.noteClosed(error),
  });
  return handler;
}

streamContract("websocket", async (): Promise<Pair> => {
  const { listener, accepted } = await listen();
  const { client, socket } = dial(listener.port, ["mqtt"]);
  const peer = webSocketPeer(client, socket);
  await outcome(client);
  const stream = await accepted;
  stream.gatherAtMost?.(Number.POSITIVE_INFINITY);
  return { stream, peer, close: () => listener.close() };
});

test.each([
  { offered: ["mqtt"], agreed: "mqtt", path: "/mqtt" },
  { offered: ["mqttv3.1"], agreed: "mqttv3.1", path: "/" },
  { offered: ["chat", "mqtt"], agreed: "mqtt", path: "/any/path?x=1" },
  { offered: [], agreed: "", path: "/ws" },
])(
  "[MQTT-6.0.0-4] and 3.1.1 [MQTT-6.0.0-4] of the sub-protocols $offered on $path the listener chooses '$agreed'",
  async (row) => {
    const { listener } = await listen();
    const { client } = dial(listener.port, row.offered, row.path);
    expect(await outcome(client)).toBe(row.agreed);
    client.terminate();
    listener.close();
  },
);

test("1,024 clients may be about to ask for WebSocket; the next one is reset, and upgraded ones do not count", async () => {
  const refusals: string[] = [];
  const streams: Stream[] = [];
  const { listener } = await listen({
    refused: (_, reason) => refusals.push(reason),
    accepted: (stream) => streams.push(stream),
  });
  const upgraded = dial(listener.port, ["mqtt"]);
  await outcome(upgraded.client);
  const silent = await dialMany(1024, () => connect(listener.port, "127.0.0.1"));
  const next = connect(listener.port, "127.0.0.1");
  expect(await once(next, "error")).toMatchObject([{ code: "ECONNRESET" }]);
  expect(refusals).toEqual(["too many HTTP requests at once"]);
  expect(streams).toHaveLength(1);
  for (const socket of silent) socket.destroy();
  upgraded.client.terminate();
  listener.close();
});

test("[MQTT-6.0.0-3] and 3.1.1 [MQTT-6.0.0-3] a client that offers only other sub-protocols is refused", async () => {
  const { listener } = await listen();
  const { client } = dial(listener.port, ["chat"]);
  expect(await outcome(client)).toMatchObject({ message: expect.stringContaining("400") });
  listener.close();
});

test("[MQTT-6.0.0-1] and 3.1.1 [MQTT-6.0.0-1] a text frame ends the connection with 1003, and none of it is handed on", async () => {
  const { listener, accepted } = await listen();
  const { client } = dial(listener.port, ["mqtt"]);
  await outcome(client);
  const handler = start(await accepted);
  const closeCode = new Promise((resolve) => client.once("close", resolve));
  client.send("hello");
  client.send(new Uint8Array([1]));
  expect(await closeCode).toBe(1003);
  expect(await handler.closed).toMatchObject({ message: "text frame on an MQTT connection" });
  expect(handler.bytes).toHaveLength(0);
  listener.close();
});

test("[MQTT-6.0.0-2] and 3.1.1 [MQTT-6.0.0-2] one packet in several frames and several packets in one frame are the same bytes", async () => {
  const { listener, accepted } = await listen();
  const { client } = dial(listener.port, ["mqtt"]);
  await outcome(client);
  const handler = start(await accepted);
  client.send(new Uint8Array([1, 2]), { fin: false });
  client.send(new Uint8Array([3]), { fin: true });
  client.send(new Uint8Array([4, 5]));
  await handler.whenReceived(5);
  expect([...handler.bytes]).toEqual([1, 2, 3, 4, 5]);
  client.terminate();
  listener.close();
});

test("who sends more than may be gathered of one message is reset at once, in however many frames, and none of it is handed on", async () => {
  const { listener, accepted } = await listen();
  const { client, socket } = dial(listener.port, ["mqtt"]);
  await outcome(client);
  const stream = await accepted;
  stream.gatherAtMost?.(100_000);
  const handler = start(stream);
  const reset = once(socket, "error");
  for (let sent = 0; sent < 900_000; sent += 30_000) client.send(new Uint8Array(30_000), { fin: false });
  expect(await reset).toMatchObject([{ code: "ECONNRESET" }]);
  expect(await handler.closed).toMatchObject({ message: "more than 100000 bytes without a whole message" });
  expect(handler.bytes).toHaveLength(0);
  listener.close();
});

test("what is gathered counts for each message: many of them may be larger together", async () => {
  const { listener, accepted } = await listen();
  const { client } = dial(listener.port, ["mqtt"]);
  await outcome(client);
  const stream = await accepted;
  stream.gatherAtMost?.(100_000);
  const handler = start(stream);
  for (let sent = 0; sent < 900_000; sent += 90_000) {
    for (const fin of [false, false, true]) client.send(new Uint8Array(30_000), { fin });
  }
  client.close();
  await handler.closed;
  expect(handler.bytes).toHaveLength(900_000);
  listener.close();
});

test("a plain HTTP request is told to upgrade", async () => {
  const { listener } = await listen();
  const status = await new Promise((resolve) => {
    request({ host: "127.0.0.1", port: listener.port, path: "/" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).end();
  });
  expect(status).toBe(426);
  listener.close();
});

test("a port that is in use is named, with a WebSocket listener to choose", async () => {
  const { listener } = await listen();
  await expect(listen({ port: listener.port })).rejects.toMatchObject({
    code: "ERR_SKEIN_PORT_IN_USE",
    message: expect.stringContaining(`--listen ws://:${listener.port + 1}`),
  });
  listener.close();
});
