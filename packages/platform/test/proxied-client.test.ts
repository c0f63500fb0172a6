import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { encodeProxyHeader, type Stream } from "@skein/kernel";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { readTlsMaterial } from "../src/sockets/certificates.ts";
import type { ListenOptions } from "../src/sockets/client-listener.ts";
import { ClientTls } from "../src/sockets/client-tls.ts";
import { listenTcp } from "../src/sockets/tcp.ts";
import { listenWebSocket } from "../src/sockets/websocket.ts";
import { TestAuthority } from "./support/certificates.ts";
import { type Listening, listenFor } from "./support/listening.ts";
import { dialMany } from "./support/many-sockets.ts";
import { RecordingHandler } from "./support/stream-contract.ts";

const authority = new TestAuthority();
afterAll(() => authority.remove());

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanup.splice(0)) each();
});

const CLIENT = { address: "192.0.2.7", port: 5000 };
const PROXY = { address: "192.0.2.1", port: 1883 };
const TEXT = Buffer.from("PROXY TCP4 192.0.2.7 192.0.2.1 5000 1883\r\n");
const BINARY = encodeProxyHeader({ command: "proxy", source: CLIENT, destination: PROXY, fields: [] });
const LOCAL = encodeProxyHeader({ command: "local", source: undefined, destination: undefined, fields: [] });

async function listen(options: Partial<ListenOptions> = {}, open = listenTcp): Promise<Listening> {
  const listening = await listenFor({ isProxied: true, ...options }, open);
  cleanup.push(() => listening.listener.close());
  return listening;
}

function dial(port: number): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  cleanup.push(() => socket.destroy());
  return socket;
}

function start(stream: Stream): RecordingHandler {
  const handler = new RecordingHandler();
  stream.start({
    received: (bytes) => handler.received(bytes),
    drained() {},
    closed: (error) => handler.noteClosed(error),
  });
  return handler;
}

test.each([
  ["version 1", TEXT],
  ["version 2", BINARY],
])(
  "a PROXY header of %s tells whose connection it is, and what follows reaches the stream whole",
  async (_, header) => {
    const { listener, accepted } = await listen();
    dial(listener.port).write(Buffer.concat([header, Buffer.from("hello")]));
    const stream = await accepted;
    expect(stream).toMatchObject({ remoteAddress: "192.0.2.7:5000", localAddress: "127.0.0.1" });
    const handler = start(stream);
    await handler.whenReceived(5);
    expect(Buffer.from(handler.bytes).toString()).toBe("hello");
  },
);

test.each([
  ["version 1", TEXT],
  ["version 2", BINARY],
])("a header of %s may come byte by byte", async (_, header) => {
  const { listener, accepted } = await listen();
  const socket = dial(listener.port);
  socket.setNoDelay(true);
  for (const byte of [...header, 0x68]) {
    socket.write(Uint8Array.of(byte));
    // Let it go out alone.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const handler = start(await accepted);
  await handler.whenReceived(1);
  expect(handler.bytes).toEqual(Uint8Array.of(0x68));
});

test.each([
  ["LOCAL", LOCAL],
  ["UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n")],
])("%s leaves the connection its own ends", async (_, header) => {
  const { listener, accepted } = await listen();
  const socket = dial(listener.port);
  socket.write(header);
  expect((await accepted).remoteAddress).toBe(`127.0.0.1:${socket.localPort}`);
});

test.each([
  ["no header but a CONNECT", Uint8Array.of(0x10, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, 0)],
  ["a malformed header", Buffer.from("PROXY TCP4 300.0.2.7 192.0.2.1 5000 1883\r\n")],
  ["a line without end", Buffer.from(`PROXY ${"A".repeat(200)}`)],
])("%s resets the connection, and the reason is told", async (_, bytes) => {
  const { listener, streams, refused } = await listen();
  const socket = connect(listener.port, "127.0.0.1");
  socket.write(bytes);
  const [error] = (await once(socket, "error")) as [Error];
  expect(error).toMatchObject({ code: "ECONNRESET" });
  expect(await refused).toBe("it did not begin with a PROXY header");
  expect(streams).toEqual([]);
});

test("a header that does not come within 5 seconds resets the connection", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    const { listener, streams, refused } = await listen();
    const socket = connect(listener.port, "127.0.0.1");
    socket.write(TEXT.subarray(0, 10));
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1));
    vi.advanceTimersByTime(5000);
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({ code: "ECONNRESET" });
    expect(await refused).toBe("it sent no PROXY header in time");
    expect(streams).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

test("1,024 connections may wait for their header; the next one is reset, and comes in when one has gone", async () => {
  const { listener, refused, accepted, streams } = await listen();
  const silent = await dialMany(1024, () => dial(listener.port));
  const next = connect(listener.port, "127.0.0.1");
  const [error] = (await once(next, "error")) as [Error];
  expect(error).toMatchObject({ code: "ECONNRESET" });
  expect(await refused).toBe("too many PROXY headers at once");
  // One that has its header waits no longer.
  silent[0]?.write(TEXT);
  await accepted;
  const late = dial(listener.port);
  late.write(TEXT);
  await vi.waitFor(() => expect(streams).toHaveLength(2));
});

test("without the option a PROXY header is the client's own bytes", async () => {
  const { listener, accepted } = await listen({ isProxied: false });
  const socket = dial(listener.port);
  socket.write(TEXT);
  const stream = await accepted;
  expect(stream.remoteAddress).toBe(`127.0.0.1:${socket.localPort}`);
  const handler = start(stream);
  await handler.whenReceived(TEXT.length);
  expect(Buffer.from(handler.bytes)).toEqual(TEXT);
});

test("the header comes before the TLS handshake, and the stream in TLS is the client's", async () => {
  const own = authority.issue({ cn: "localhost", san: "DNS:localhost" });
  const tls = new ClientTls(readTlsMaterial({ ...own, clientCa: undefined }, Date.now()), "cn");
  const { listener, accepted } = await listen({ tls });
  const carrier = dial(listener.port);
  carrier.write(BINARY);
  const socket = connectTls({ socket: carrier, servername: "localhost", rejectUnauthorized: false });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  expect((await accepted).remoteAddress).toBe("192.0.2.7:5000");
});

test("the header comes before the HTTP request of WebSocket", async () => {
  const { listener, accepted } = await listen({}, listenWebSocket);
  const carrier = dial(listener.port);
  carrier.write(TEXT);
  const client = new WebSocket(`ws://127.0.0.1:${listener.port}/mqtt`, ["mqtt"], {
    createConnection: () => carrier,
  });
  await once(client, "open");
  const stream = await accepted;
  expect(stream.remoteAddress).toBe("192.0.2.7:5000");
  const handler = start(stream);
  client.send(Uint8Array.of(1, 2, 3));
  await handler.whenReceived(3);
});
