import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { encodeProxyHeader, type LinkTransport, ProxyHeaderReader, type Stream } from "@skein/kernel";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { PassEntry } from "../src/passing/pass-entry.ts";
import { type Claim, encodeNonce, newNonce, nonceOf, PassProofs } from "../src/passing/pass-messages.ts";
import { Passer } from "../src/passing/passer.ts";
import { readHeader } from "../src/passing/read-header.ts";
import type { ClientListener } from "../src/sockets/client-listener.ts";
import { listenTcp } from "../src/sockets/tcp.ts";
import { tlsPskTransport } from "../src/sockets/tls-psk.ts";
import { listenWebSocket } from "../src/sockets/websocket.ts";
import { RecordingHandler } from "./support/stream-contract.ts";

const KEY = new Uint8Array(32).fill(7);
const [HOLDER, SERVER] = ["00000000000000aa", "00000000000000bb"];

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const each of cleanup.splice(0)) each();
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((set) => {
    resolve = set;
  });
  return { promise, resolve };
}

interface Serving {
  /** Of its link listener. */
  readonly address: string;
  readonly port: number;
  readonly transport: LinkTransport;
  readonly entry: PassEntry;
  readonly claims: Claim[];
  readonly refusals: string[];
  /** A link (TLS) that was accepted. */
  readonly link: Promise<Stream>;
}

/** A node that takes clients in; `serve` gets their sockets. */
async function serving(serve: ((socket: Socket) => void) | undefined, key = KEY): Promise<Serving> {
  const claims: Claim[] = [];
  const refusals: string[] = [];
  const entry = new PassEntry({
    key,
    node: SERVER,
    server: (claim) => {
      claims.push(claim);
      return serve;
    },
  });
  const transport = tlsPskTransport({ key, identity: SERVER, passEntry: entry, handshakeTimeoutMs: 500 });
  const link = deferred<Stream>();
  const port = await new Promise<number>((resolve, reject) =>
    transport.listen(
      "127.0.0.1:0",
      link.resolve,
      (_, reason) => refusals.push(reason),
      (result) => {
        if (result instanceof Error) {
          reject(result);
          return;
        }
        cleanup.push(() => result.close());
        resolve(result.port);
      },
    ),
  );
  return { address: `127.0.0.1:${port}`, port, transport, entry, claims, refusals, link: link.promise };
}

interface Holding {
  readonly passer: Passer;
  readonly port: number;
  /** Why connections were given back. */
  readonly givenBack: string[];
  /** Streams served by the holder itself. */
  readonly own: Promise<Stream>;
}

/** The holder of the address: passes every connection on to `target`. */
async function holding(target: string, listen: typeof listenTcp = listenTcp, key = KEY): Promise<Holding> {
  const passer = new Passer({ key, node: HOLDER });
  const givenBack: string[] = [];
  const own = deferred<Stream>();
  const listener = await new Promise<ClientListener>((resolve, reject) =>
    listen({
      host: "127.0.0.1",
      port: 0,
      accepted: own.resolve,
      divert: (socket, serve) => {
        passer.pass(
          socket,
          listen === listenTcp ? "mqtt" : "ws",
          { node: SERVER, address: target },
          (reason) => {
            givenBack.push(reason);
            serve(socket);
          },
        );
        return true;
      },
      ready: (result) => (result instanceof Error ? reject(result) : resolve(result)),
    }),
  );
  cleanup.push(() => listener.close());
  return { passer, port: listener.port, givenBack, own: own.promise };
}

/** Unlike `once` of node:events not impatient with errors. */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
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

/** A raw client and what became of it. */
function client(port: number): {
  socket: Socket;
  data: Buffer[];
  ended: Promise<void>;
  closed: Promise<string>;
} {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  cleanup.push(() => socket.destroy());
  const data: Buffer[] = [];
  let error = "";
  socket.on("data", (bytes) => data.push(bytes));
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code ?? cause.message;
  });
  const ended = new Promise<void>((resolve) => socket.once("end", resolve));
  const closed = closing(socket).then(() => error);
  return { socket, data, ended, closed };
}

/** Both ends of one passed connection, as plain sockets. */
async function passed(): Promise<{
  client: ReturnType<typeof client>;
  server: Socket;
  holding: Holding;
  serving: Serving;
}> {
  const arrived = deferred<Socket>();
  const at = await serving((socket) => {
    socket.allowHalfOpen = true;
    arrived.resolve(socket);
  });
  const holder = await holding(at.address);
  const dialled = client(holder.port);
  const server = await arrived.promise;
  server.on("error", () => {});
  cleanup.push(() => server.destroy());
  await until(() => holder.passer.count() === 1, "the holder knows that it was taken");
  return { client: dialled, server, holding: holder, serving: at };
}

function gather(socket: Socket): () => string {
  const chunks: Buffer[] = [];
  socket.on("data", (bytes) => chunks.push(bytes));
  return () => Buffer.concat(chunks).toString();
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A serving node whose clients come in through a listener; `arrived`: the first of them. */
async function servingBehind(listen: typeof listenTcp | typeof listenWebSocket) {
  const arrived = deferred<Stream>();
  const doors = deferred<ClientListener>();
  listen({
    host: "127.0.0.1",
    port: 0,
    accepted: arrived.resolve,
    ready: (result) => result instanceof Error || doors.resolve(result),
  });
  const door = await doors.promise;
  cleanup.push(() => door.close());
  return { at: await serving((socket) => door.serve(socket)), arrived: arrived.promise };
}

test("the serving node sees the client where it is, and the address it connected to", async () => {
  const { at, arrived } = await servingBehind(listenTcp);
  const holder = await holding(at.address);
  const dialled = client(holder.port);
  const stream = await arrived;
  expect(stream.remoteAddress).toBe(`127.0.0.1:${dialled.socket.localPort}`);
  expect(stream.localAddress).toBe("127.0.0.1");
  expect(at.claims).toEqual([
    {
      source: { address: "127.0.0.1", port: dialled.socket.localPort },
      destination: { address: "127.0.0.1", port: holder.port },
      protocol: "mqtt",
      holder: HOLDER,
    },
  ]);
  await until(() => holder.passer.count() === 1, "the holder knows that it was taken");
  expect([...holder.passer.connections()]).toEqual([
    { remoteAddress: `127.0.0.1:${dialled.socket.localPort}`, serverPort: holder.port },
  ]);
  expect(holder.passer.count(SERVER)).toBe(1);
  start(stream);
  dialled.socket.destroy();
  await until(() => holder.passer.count() === 0, "the passed connection is forgotten");
});

test("bytes pass unchanged in both directions, also those sent before the other node had taken the connection", async () => {
  const arrived = deferred<Socket>();
  const at = await serving(arrived.resolve);
  const holder = await holding(at.address);
  const dialled = client(holder.port);
  dialled.socket.write("early ");
  const server = await arrived.promise;
  const received = gather(server);
  const block = Buffer.alloc(3_000_000, "0123456789");
  dialled.socket.write(block);
  server.write(block);
  await until(() => received().length === block.length + 6, "all at the server");
  await until(() => Buffer.concat(dialled.data).length === block.length, "all at the client");
  expect(received() === `early ${block}`).toBe(true);
  expect(Buffer.concat(dialled.data).equals(block)).toBe(true);
});

test("each direction ends by itself: after the end of one the other goes on", async () => {
  const { client: dialled, server } = await passed();
  const received = gather(server);
  dialled.socket.end("last words");
  await once(server, "end");
  expect(received()).toBe("last words");
  server.write("an answer after that");
  await until(() => Buffer.concat(dialled.data).toString() === "an answer after that", "the answer");
  server.end();
  expect(await dialled.closed).toBe("");
});

test("a reset by the client is a reset for the serving node", async () => {
  const { client: dialled, server } = await passed();
  const failed = closing(server);
  const error = once(server, "error");
  server.resume();
  dialled.socket.resetAndDestroy();
  expect((await error)[0]).toMatchObject({ code: "ECONNRESET" });
  await failed;
});

test("a reset by the serving node is a reset for the client", async () => {
  const { client: dialled, server } = await passed();
  server.resetAndDestroy();
  expect(await dialled.closed).toBe("ECONNRESET");
});

test("a client that does not read stops the serving node's writing, and with it nothing is lost", async () => {
  const { client: dialled, server } = await passed();
  dialled.socket.pause();
  const block = Buffer.alloc(1_000_000, 1);
  let written = 0;
  while (written < 200 && server.write(block)) written++;
  for (let turn = 0; turn < 200 && written < 200; turn++) {
    // Let what can flow flow; the kernel's buffers are a few megabytes.
    await new Promise((resolve) => setImmediate(resolve));
    if (!server.writableNeedDrain && server.write(block)) written++;
  }
  expect(server.writableNeedDrain).toBe(true);
  expect(written).toBeLessThan(100);
  server.end();
  dialled.socket.resume();
  await dialled.ended;
  expect(Buffer.concat(dialled.data).length).toBe(server.bytesWritten - headerBytes(server));
});

/** The socket counts the two headers of the entry as well. */
function headerBytes(_socket: Socket): number {
  return (
    encodeNonce(newNonce()).length +
    new PassProofs(KEY).encodeAcceptance(new Uint8Array(1), {
      hello: newNonce(),
      challenge: newNonce(),
    }).length
  );
}

test("when the address goes, all passed clients are reset and the serving node sees them gone", async () => {
  const { client: dialled, server, holding: holder } = await passed();
  server.resume();
  const gone = closing(server);
  holder.passer.resetAll();
  expect(await dialled.closed).toBe("ECONNRESET");
  await gone;
});

test("when the serving node or the holder is found dead, what went through them is reset", async () => {
  const first = await passed();
  first.holding.passer.resetTo("00000000000000cc");
  first.serving.entry.resetFrom("00000000000000cc");
  expect(first.holding.passer.count(SERVER)).toBe(1);
  first.holding.passer.resetTo(SERVER);
  expect(await first.client.closed).toBe("ECONNRESET");
  const second = await passed();
  second.serving.entry.resetFrom(HOLDER);
  expect(await second.client.closed).toBe("ECONNRESET");
});

test("WebSocket: the request is passed on unread, and served where it lands", async () => {
  const { at, arrived } = await servingBehind(listenWebSocket);
  const holder = await holding(at.address, listenWebSocket);
  const socket = new WebSocket(`ws://127.0.0.1:${holder.port}/mqtt`, ["mqtt"]);
  cleanup.push(() => socket.terminate());
  await once(socket, "open");
  const stream = await arrived;
  const handler = start(stream);
  expect(stream.remoteAddress).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(at.claims[0]?.protocol).toBe("ws");
  expect(stream.remoteAddress).toBe(`127.0.0.1:${at.claims[0]?.source.port}`);
  socket.send("hello", { binary: true });
  await handler.whenReceived(5);
  stream.write(Buffer.from("there"));
  expect(String((await once(socket, "message"))[0])).toBe("there");
});

const silent = (): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer(() => {});
    server.listen(0, "127.0.0.1", () => resolve(server));
  });

test.each<[string, () => Promise<string>, RegExp]>([
  ["cannot be reached", async () => "127.0.0.1:1", /closed/],
  [
    "does not answer",
    async () => {
      const server = await silent();
      cleanup.push(() => server.close());
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    },
    /in time/,
  ],
  [
    "has another mesh key",
    async () => (await serving(() => {}, new Uint8Array(32).fill(8))).address,
    /closed/,
  ],
  ["does not want the client", async () => (await serving(undefined)).address, /closed/],
  [
    "knows nothing of passing",
    async () => {
      const transport = tlsPskTransport({ key: KEY, identity: SERVER });
      return new Promise<string>((resolve) =>
        transport.listen(
          "127.0.0.1:0",
          () => {},
          () => {},
          (result) => {
            if (result instanceof Error) return;
            cleanup.push(() => result.close());
            resolve(`127.0.0.1:${result.port}`);
          },
        ),
      );
    },
    /closed|language|in time/,
  ],
])(
  "P11: a client whose chosen node %s is served by the holder and loses nothing it said",
  async (_, target, reason) => {
    const holder = await holding(await target());
    const dialled = client(holder.port);
    dialled.socket.write("CONNECT");
    const stream = await holder.own;
    const handler = start(stream);
    await handler.whenReceived(7);
    expect(Buffer.from(handler.bytes).toString()).toBe("CONNECT");
    expect(holder.givenBack).toEqual([expect.stringMatching(reason)]);
    expect(holder.passer.count()).toBe(0);
    stream.write(Buffer.from("CONNACK"));
    await until(() => Buffer.concat(dialled.data).toString() === "CONNACK", "the answer");
    // As without balancing: the end of the client is the end of the stream.
    dialled.socket.end();
    await handler.closed;
  },
);

test("P11: a WebSocket whose chosen node cannot be reached is served by the holder", async () => {
  const holder = await holding("127.0.0.1:1", listenWebSocket);
  const socket = new WebSocket(`ws://127.0.0.1:${holder.port}/mqtt`, ["mqtt"]);
  cleanup.push(() => socket.terminate());
  await once(socket, "open");
  const handler = start(await holder.own);
  socket.send("hello", { binary: true });
  await handler.whenReceived(5);
});

test("when one connection finds no answer, those that wait behind it are given back at once", async () => {
  const server = await silent();
  cleanup.push(() => server.close());
  const holder = await holding(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const began = performance.now();
  const clients = Array.from({ length: 60 }, () => client(holder.port));
  await until(() => holder.givenBack.length === clients.length, "all given back");
  expect(performance.now() - began).toBeLessThan(2500);
});

test("a burst of 500 connections is passed on completely", async () => {
  let served = 0;
  const at = await serving((socket) => {
    served++;
    socket.resume();
  });
  const holder = await holding(at.address);
  const clients = Array.from({ length: 500 }, () => client(holder.port));
  await until(() => served + holder.givenBack.length === clients.length, "all somewhere");
  expect(holder.givenBack).toEqual([]);
  await until(() => holder.passer.count(SERVER) === 500, "the holder knows that all were taken");
});

test("links are accepted on the same port as passed clients", async () => {
  const at = await serving(() => {});
  const dialled = deferred<Stream | Error>();
  at.transport.dial(at.address, 5000, dialled.resolve);
  const stream = await dialled.promise;
  expect(stream).not.toBeInstanceOf(Error);
  const handler = start(await at.link);
  start(stream as Stream);
  (stream as Stream).write(Buffer.from("frame"));
  await handler.whenReceived(5);
  (stream as Stream).end();
});

const FORGED = {
  command: "proxy",
  source: { address: "192.0.2.66", port: 6666 },
  destination: { address: "192.0.2.1", port: 1883 },
} as const;

/** What a stranger sends, given what the entry said first. */
type Attack = (socket: Socket, challenge: () => Promise<Uint8Array>) => Promise<void>;

const attacks: readonly [string, Attack][] = [
  ["a bare PROXY header", async (socket) => void socket.write(encodeProxyHeader({ ...FORGED, fields: [] }))],
  [
    "a claim without proof",
    async (socket, challenge) => {
      await challenge();
      socket.write(encodeProxyHeader({ ...FORGED, fields: [] }));
    },
  ],
  [
    "a claim proved with another key",
    async (socket, challenge) => {
      const hello = newNonce();
      const nonces = { hello, challenge: await challenge() };
      const claim = { ...FORGED, protocol: "mqtt" as const, holder: HOLDER };
      socket.write(new PassProofs(new Uint8Array(32).fill(9)).encodeClaim(claim, nonces, SERVER));
    },
  ],
  [
    "a claim recorded in another conversation",
    async (socket, challenge) => {
      await challenge();
      const old = { hello: newNonce(), challenge: newNonce() };
      const claim = { ...FORGED, protocol: "mqtt" as const, holder: HOLDER };
      socket.write(new PassProofs(KEY).encodeClaim(claim, old, SERVER));
    },
  ],
  [
    "a header that goes wrong in the middle",
    async (socket) => void socket.write(Buffer.from([0x0d, 0x0a, 0x0d, 0x0b])),
  ],
  ["a header that does not end", async (socket) => void socket.write(Buffer.from([0x0d, 0x0a]))],
  ["nothing", async () => {}],
];

test.each(attacks)(
  "P10: a stranger's connection to the entry with %s is reset and told, and nobody is served",
  async (_, attack) => {
    let served = 0;
    const at = await serving(() => {
      served++;
    });
    const socket = connect(at.port, "127.0.0.1");
    cleanup.push(() => socket.destroy());
    socket.on("error", () => {});
    const closed = closing(socket);
    const challenge = async (): Promise<Uint8Array> => {
      socket.write(encodeNonce(newNonce()));
      const header = await new Promise<Uint8Array | undefined>((resolve) =>
        readHeader(
          socket,
          (answer) => resolve(nonceOf(answer)),
          () => resolve(undefined),
        ),
      );
      if (header === undefined) throw new Error("no challenge");
      return header;
    };
    await attack(socket, challenge);
    socket.resume();
    await closed;
    await until(() => at.refusals.length > 0, "the refusal is told");
    expect(at.refusals).toHaveLength(1);
    expect(served).toBe(0);
  },
);

test("P10: a claim that was made for one node is of no use at another, and one changed byte spoils it", () => {
  const proofs = new PassProofs(KEY);
  const nonces = { hello: newNonce(), challenge: newNonce() };
  const claim: Claim = { ...FORGED, protocol: "ws", holder: HOLDER };
  const bytes = proofs.encodeClaim(claim, nonces, SERVER);
  const check = (changed: Uint8Array, target: string): Claim | undefined => {
    const reader = new ProxyHeaderReader();
    reader.feed(changed);
    return reader.header && proofs.checkClaim(reader.header, reader.bytes, nonces, target);
  };
  const { command: _, ...claimed } = claim as Claim & { command: string };
  expect(check(bytes, SERVER)).toEqual(claimed);
  expect(check(bytes, HOLDER)).toBeUndefined();
  for (let at = 16; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    try {
      expect(check(changed, SERVER)).toBeUndefined();
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_SKEIN_MALFORMED" });
    }
  }
});
