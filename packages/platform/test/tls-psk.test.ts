import { type AddressInfo, connect, createServer } from "node:net";
import type { LinkTransport, Stream, StreamListener } from "@skein/kernel";
import { expect, test } from "vitest";
import { isKeyMismatch, tlsPskTransport } from "../src/sockets/tls-psk.ts";
import { socketPeer, streamPeer } from "./support/peers.ts";
import { type Pair, streamContract } from "./support/stream-contract.ts";

const key = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const transport = (fill: number): LinkTransport =>
  tlsPskTransport({ key: key(fill), identity: `node-${fill}` });

interface Refusal {
  readonly remoteAddress: string;
  readonly reason: string;
}

interface Listening {
  readonly listener: StreamListener;
  readonly address: string;
  readonly accepted: Promise<Stream>;
  /** The first refusal. */
  readonly refused: Promise<Refusal>;
  /** Resolves once there have been `count` refusals. */
  whenRefused(count: number): Promise<void>;
}

async function listen(fill: number): Promise<Listening> {
  let accept: (stream: Stream) => void = () => {};
  let refuse: (refusal: Refusal) => void = () => {};
  let refusals = 0;
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  const accepted = new Promise<Stream>((resolve) => {
    accept = resolve;
  });
  const refused = new Promise<Refusal>((resolve) => {
    refuse = resolve;
  });
  const listener = await new Promise<StreamListener | Error>((resolve) =>
    transport(fill).listen(
      "127.0.0.1:0",
      (stream) => accept(stream),
      (remoteAddress, reason) => {
        refuse({ remoteAddress, reason });
        refusals++;
        for (const waiter of waiting) if (refusals >= waiter.count) waiter.resolve();
      },
      resolve,
    ),
  );
  if (listener instanceof Error) throw listener;
  const whenRefused = (count: number): Promise<void> =>
    new Promise((resolve) => {
      if (refusals >= count) resolve();
      else waiting.push({ count, resolve });
    });
  return { listener, address: `127.0.0.1:${listener.port}`, accepted, refused, whenRefused };
}

function dial(fill: number, address: string, timeoutMs = 5000): Promise<Stream | Error> {
  return new Promise((resolve) => transport(fill).dial(address, timeoutMs, resolve));
}

async function connected(fill: number, address: string): Promise<Stream> {
  const result = await dial(fill, address);
  if (result instanceof Error) throw result;
  return result;
}

streamContract(
  "link, accepting end",
  async (): Promise<Pair> => {
    const { listener, address, accepted } = await listen(1);
    const peer = streamPeer(await connected(1, address));
    return { stream: await accepted, peer, close: () => listener.close() };
  },
  { canReset: false },
);

streamContract(
  "link, dialling end",
  async (): Promise<Pair> => {
    const { listener, address, accepted } = await listen(1);
    const stream = await connected(1, address);
    return { stream, peer: streamPeer(await accepted), close: () => listener.close() };
  },
  { canReset: false },
);

test("P10: another mesh key is refused at both ends, which say so, and no stream comes of it", async () => {
  const { listener, address, accepted, refused } = await listen(1);
  let isAccepted = false;
  void accepted.then(() => {
    isAccepted = true;
  });
  const error = await dial(2, address);
  expect(error).toMatchObject({
    code: "ERR_SKEIN_CONNECT",
    message: `Cannot link to ${address}: it has another mesh key`,
  });
  expect(isKeyMismatch(error as Error)).toBe(true);
  expect(await refused).toEqual({
    remoteAddress: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    reason: "it has another mesh key",
  });
  expect(isAccepted).toBe(false);
  listener.close();
});

test("P10: what goes over a link cannot be read on the way", async () => {
  const { listener, accepted } = await listen(1);
  const seen: Buffer[] = [];
  const tap = createServer((from) => {
    const to = connect(listener.port, "127.0.0.1");
    for (const socket of [from, to]) socket.on("data", (bytes) => seen.push(bytes as Buffer));
    from.pipe(to).pipe(from);
  });
  await new Promise<void>((resolve) => tap.listen(0, "127.0.0.1", resolve));
  const stream = await connected(1, `127.0.0.1:${(tap.address() as AddressInfo).port}`);
  const server = streamPeer(await accepted);
  const secret = Buffer.from("this is the retained set of somebody's home");
  stream.write(secret);
  await server.whenReceived(secret.length);
  expect(Buffer.from(server.received)).toEqual(secret);
  const wire = Buffer.concat(seen);
  expect(wire.includes(secret)).toBe(false);
  expect(wire.includes(Buffer.from(key(1)))).toBe(false);
  stream.start({ received: () => {}, drained: () => {}, closed: () => {} });
  stream.end();
  await server.closed;
  tap.close();
  listener.close();
});

test("garbage instead of a handshake is refused and reported, and the listener goes on", async () => {
  const { listener, address, refused, accepted } = await listen(1);
  const stranger = connect(listener.port, "127.0.0.1");
  const peer = socketPeer(stranger);
  peer.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
  await peer.closed;
  expect((await refused).reason).toBe("it does not speak the language of Skein links");
  const stream = await connected(1, address);
  expect((await accepted).localAddress).toBe("127.0.0.1");
  stream.reset();
  (await accepted).reset();
  listener.close();
});

test("a caller that stays silent is hung up on and reported", async () => {
  const impatient = tlsPskTransport({ key: key(1), identity: "a", handshakeTimeoutMs: 20 });
  let refuse: (reason: string) => void = () => {};
  const refused = new Promise<string>((resolve) => {
    refuse = resolve;
  });
  const listener = await new Promise<StreamListener | Error>((resolve) =>
    impatient.listen(
      "127.0.0.1:0",
      () => expect.unreachable("accepted a stranger"),
      (_, reason) => refuse(reason),
      resolve,
    ),
  );
  if (listener instanceof Error) throw listener;
  const stranger = connect(listener.port, "127.0.0.1");
  await socketPeer(stranger).closed;
  expect(await refused).toBe("it did not prove the mesh key in time");
  listener.close();
});

test("a caller that hangs up during the handshake is reported", async () => {
  const { listener, refused } = await listen(1);
  const stranger = connect(listener.port, "127.0.0.1", () => stranger.end());
  expect((await refused).reason).toBe("closed during the handshake");
  listener.close();
});

test("callers beyond the limit of handshakes are turned away, and one that leaves makes room", async () => {
  const { listener, address, refused, whenRefused } = await listen(1);
  const strangers = Array.from({ length: 64 }, () => connect(listener.port, "127.0.0.1"));
  const peers = strangers.map((socket) => socketPeer(socket));
  const beyond = await dial(1, address);
  expect(beyond).toBeInstanceOf(Error);
  expect((await refused).reason).toBe("too many callers at once");
  for (const peer of peers) peer.reset();
  await whenRefused(65);
  const stream = await connected(1, address);
  stream.reset();
  listener.close();
});

test("a dial that nobody answers gives up in time, with the address and the cause", async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  expect(await dial(1, address, 50)).toMatchObject({
    code: "ERR_SKEIN_CONNECT",
    message: `Cannot link to ${address}: no answer within 50 ms`,
  });
  silent.close();
  const refusing = await dial(1, address);
  expect(refusing).toMatchObject({ message: `Cannot link to ${address}: connection refused (ECONNREFUSED)` });
  expect(isKeyMismatch(refusing as Error)).toBe(false);
  expect(await dial(1, "no-port")).toMatchObject({ message: expect.stringContaining("HOST:PORT") });
});

test("a cancelled dial is never reported, and its connection ends", async () => {
  const { listener, address, refused } = await listen(1);
  const cancel = transport(1).dial(address, 5000, () => expect.unreachable("reported after cancel"));
  const stranger = connect(listener.port, "127.0.0.1", () => {
    cancel();
    cancel();
    stranger.end();
  });
  await refused;
  listener.close();
});

test("a link port that is in use: one sentence with the port and another one to choose", async () => {
  const { listener, address } = await listen(1);
  const result = await new Promise((resolve) =>
    transport(1).listen(
      address,
      () => {},
      () => {},
      resolve,
    ),
  );
  expect(result).toMatchObject({
    code: "ERR_SKEIN_PORT_IN_USE",
    message: `Port ${listener.port} is already in use. Stop the other program, or choose another port with --link 127.0.0.1:${listener.port + 1}`,
  });
  listener.close();
});
