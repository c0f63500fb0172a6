import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import type { IdentityKind } from "../src/sockets/certificate-identity.ts";
import { readTlsMaterial } from "../src/sockets/certificates.ts";
import type { ClientListener, ListenOptions } from "../src/sockets/client-listener.ts";
import { ClientTls } from "../src/sockets/client-tls.ts";
import { setEnds } from "../src/sockets/socket-ends.ts";
import { listenTcp } from "../src/sockets/tcp.ts";
import { listenWebSocket } from "../src/sockets/websocket.ts";
import { type Credentials, TestAuthority } from "./support/certificates.ts";
import { type Listening, listenFor } from "./support/listening.ts";
import { socketPeer, webSocketPeer } from "./support/peers.ts";
import { type Pair, RecordingHandler, streamContract } from "./support/stream-contract.ts";

const authority = new TestAuthority();
const stranger = new TestAuthority("Another CA");
const server = authority.issue({ cn: "localhost", san: "DNS:localhost,IP:127.0.0.1" });
const ca = readFileSync(authority.certificate);
afterAll(() => {
  authority.remove();
  stranger.remove();
});

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanup.splice(0)) each();
});

function tlsOf(clientCa?: string, identity: IdentityKind = "cn", own: Credentials = server): ClientTls {
  return new ClientTls(readTlsMaterial({ ...own, clientCa }, Date.now()), identity);
}

async function listen(options: Partial<ListenOptions>, open = listenTcp): Promise<Listening> {
  const listening = await listenFor(options, open);
  cleanup.push(() => listening.listener.close());
  return listening;
}

function dial(port: number, options: ConnectionOptions = {}): TLSSocket {
  const socket = connect({ host: "127.0.0.1", port, ca, servername: "localhost", ...options });
  socket.on("error", () => undefined);
  cleanup.push(() => socket.destroy());
  return socket;
}

function credentials({ certificate, key }: Credentials): ConnectionOptions {
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}

/** Common Name of the certificate that the listener shows. */
async function shownBy(listener: ClientListener): Promise<unknown> {
  const socket = dial(listener.port);
  await once(socket, "secureConnect");
  return socket.getPeerX509Certificate()?.toLegacyObject().subject.CN;
}

streamContract(
  "mqtts",
  async (): Promise<Pair> => {
    const { listener, accepted } = await listen({ tls: tlsOf() });
    const peer = socketPeer(dial(listener.port));
    return { stream: await accepted, peer, close: () => listener.close() };
  },
  { canReset: false },
);

streamContract(
  "wss",
  async (): Promise<Pair> => {
    const { listener, accepted } = await listen({ tls: tlsOf() }, listenWebSocket);
    const socket = dial(listener.port);
    const client = new WebSocket("wss://localhost/any/path", ["mqtt"], { createConnection: () => socket });
    const peer = webSocketPeer(client, socket);
    await once(client, "open");
    return { stream: await accepted, peer, close: () => listener.close() };
  },
  { canReset: false },
);

test("a stream has no identity where clients are not asked for a certificate, not even if they have one", async () => {
  const { listener, accepted } = await listen({ tls: tlsOf() });
  dial(listener.port, credentials(authority.issue({ cn: "boiler" })));
  expect((await accepted).identity).toBeUndefined();
});

test.each([
  ["cn", "boiler"],
  ["san", "cellar.local"],
] as const)(
  "with a client CA the stream's identity is the %s of the client's certificate",
  async (kind, name) => {
    const { listener, accepted } = await listen({ tls: tlsOf(authority.certificate, kind) });
    dial(listener.port, credentials(authority.issue({ cn: "boiler", san: "DNS:cellar.local" })));
    expect((await accepted).identity).toBe(name);
  },
);

test("WebSocket over TLS has the identity too", async () => {
  const { listener, accepted } = await listen({ tls: tlsOf(authority.certificate) }, listenWebSocket);
  const socket = dial(listener.port, credentials(authority.issue({ cn: "browser" })));
  const client = new WebSocket("wss://localhost/mqtt", ["mqtt"], { createConnection: () => socket });
  await once(client, "open");
  expect((await accepted).identity).toBe("browser");
});

test.each([
  ["no certificate", () => ({}), "it showed no certificate"],
  [
    "a certificate of another authority",
    () => credentials(stranger.issue({ cn: "boiler" })),
    /^its certificate is not signed by the client CA \(\w+\)$/,
  ],
  [
    "a certificate that has expired",
    () => credentials(authority.issueExpired("boiler")),
    "its certificate has expired",
  ],
  [
    "a certificate without a name",
    () => credentials(authority.issue({})),
    "its certificate has no CN that could be a user name",
  ],
])(
  "with a client CA a client that shows %s gets nothing but an end, and the reason is told",
  async (_, shown, reason) => {
    const { listener, streams, refused, refusals } = await listen({ tls: tlsOf(authority.certificate) });
    const socket = dial(listener.port, shown());
    const handler = new RecordingHandler();
    socket.on("data", (bytes) => handler.received(bytes));
    await new Promise((resolve) => socket.once("close", resolve));
    expect(await refused).toMatch(reason);
    expect(refusals).toHaveLength(1);
    expect(streams).toEqual([]);
    expect(handler.bytes).toHaveLength(0);
  },
);

test("a client that does not know our authority is told apart from one that speaks no TLS", async () => {
  const first = await listen({ tls: tlsOf() });
  // Node's own clients close without a word.
  const args = ["s_client", "-verify_return_error", "-CAfile", stranger.certificate];
  execFile("openssl", [...args, "-connect", `127.0.0.1:${first.listener.port}`]);
  expect(await first.refused).toMatch(/^it does not accept the certificate of this node \(\w+/);
  const second = await listen({ tls: tlsOf() });
  const plain = connectTcp(second.listener.port, "127.0.0.1");
  cleanup.push(() => plain.destroy());
  plain.on("error", () => undefined).write(Uint8Array.of(0x10, 12, 0, 4, 77, 81, 84, 84, 4, 2, 0, 0, 0, 0));
  expect(await second.refused).toBe("it does not speak TLS");
});

test("TLS before 1.2 is refused", async () => {
  const { listener, refused } = await listen({ tls: tlsOf() });
  dial(listener.port, { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
  expect(await refused).toBe("it speaks only versions of TLS before 1.2");
});

test("a client that does not finish the handshake in time is ended", async () => {
  const tls = new ClientTls(readTlsMaterial({ ...server, clientCa: undefined }, Date.now()), "cn", 50);
  const { listener, refused, streams } = await listen({ tls });
  const silent = connectTcp(listener.port, "127.0.0.1");
  cleanup.push(() => silent.destroy());
  silent.on("error", () => undefined);
  expect(await refused).toBe("it did not finish the TLS handshake in time");
  await new Promise((resolve) => silent.once("close", resolve));
  expect(streams).toEqual([]);
});

test("a client that only looks whether the port is open is nothing to tell", async () => {
  const { listener, refusals, accepted } = await listen({ tls: tlsOf() });
  for (const leave of ["end", "resetAndDestroy", "half a handshake"] as const) {
    const looking = connectTcp(listener.port, "127.0.0.1");
    looking.on("error", () => undefined).resume();
    await once(looking, "connect");
    if (leave === "half a handshake") looking.end(Uint8Array.of(22, 3, 1, 2, 0, 1));
    else looking[leave]();
    await new Promise((resolve) => looking.once("close", resolve));
  }
  dial(listener.port);
  await accepted;
  expect(refusals).toEqual([]);
});

test("a replaced certificate is shown from the next handshake on, and connections that are made live on", async () => {
  const tls = tlsOf();
  const { listener, accepted } = await listen({ tls });
  const old = dial(listener.port);
  const stream = await accepted;
  const other = authority.issue({ cn: "renewed", san: "DNS:localhost" });
  tls.replace(readTlsMaterial({ ...other, clientCa: undefined }, Date.now()));
  expect(await shownBy(listener)).toBe("renewed");
  const handler = new RecordingHandler();
  stream.start({ received: (bytes) => handler.received(bytes), drained() {}, closed() {} });
  old.write("still here");
  await handler.whenReceived(10);
});

test("a replaced client CA counts from the next handshake on, also for sessions that would be resumed", async () => {
  const tls = tlsOf(authority.certificate);
  const { listener, accepted, refused } = await listen({ tls });
  const boiler = credentials(authority.issue({ cn: "boiler" }));
  const before = dial(listener.port, boiler);
  const [session] = (await once(before, "session")) as [Buffer];
  await accepted;
  tls.replace(readTlsMaterial({ ...server, clientCa: stranger.certificate }, Date.now()));
  dial(listener.port, { ...boiler, session });
  expect(await refused).toMatch(/not signed by the client CA/);
});

test("what was said about a connection before TLS holds for the stream in it", async () => {
  const { listener, accepted } = await listen({
    tls: tlsOf(),
    divert: (socket: Socket) => {
      setEnds(socket, { remoteAddress: "192.0.2.7:5000", localAddress: "192.0.2.250" });
      return false;
    },
  });
  dial(listener.port);
  expect(await accepted).toMatchObject({ remoteAddress: "192.0.2.7:5000", localAddress: "192.0.2.250" });
});

test("beyond its bound a listener resets whoever comes, before any handshake, and has room again when one leaves", async () => {
  const { listener, streams, refused, accepted } = await listen({ tls: tlsOf(), connectionsMax: 1 });
  const first = dial(listener.port);
  const stream = await accepted;
  const second = connectTcp(listener.port, "127.0.0.1");
  const [error] = (await once(second, "error")) as [Error];
  expect(error).toMatchObject({ code: "ECONNRESET" });
  expect(await refused).toBe("this listener has as many clients as it may have");
  const gone = new Promise<void>((resolve) =>
    stream.start({ received() {}, drained() {}, closed: () => resolve() }),
  );
  first.destroy();
  await gone;
  await once(dial(listener.port), "secureConnect");
  await vi.waitFor(() => expect(streams).toHaveLength(2));
});
