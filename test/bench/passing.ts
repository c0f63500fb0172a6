/**
 * What passing a client on costs: `npm run bench:passing`.
 *
 * Three processes on loopback: people, holder, serving node (an echo). Direct: people to the serving node. Passed: through the
 * holder, as with `balance: proxy`. TLS: the same through a link's encryption, which decision 0007 weighs.
 */

import { type ChildProcess, fork } from "node:child_process";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { PassEntry, Passer, tlsPskTransport } from "@skein/platform";

const KEY = new Uint8Array(32).fill(7);
const [HOLDER, SERVER] = ["00000000000000aa", "00000000000000bb"];
const ROUND_TRIPS = 2000;
const CONNECTIONS = 500;
const AT_ONCE = 50;
const MESSAGE = Buffer.alloc(100, 1);
const BULK_BYTES = 32 * 1024 * 1024;

const [, , role = "people", target = ""] = process.argv;
if (role === "serve") serve();
else if (role === "hold") hold(target, false);
else if (role === "hold-tls") hold(target, true);
else await people();

function tell(text: string): void {
  process.send?.(text);
}

/** Answers what comes, on a plain port and as passed connections. */
function serve(): void {
  const echo = (socket: Socket): void => void socket.pipe(socket).on("error", () => undefined);
  const passEntry = new PassEntry({ key: KEY, node: SERVER as string, server: () => echo });
  const plain = createServer({ noDelay: true }, echo).listen(0, "127.0.0.1", () => {
    tlsPskTransport({ key: KEY, identity: "server", passEntry }).listen(
      "127.0.0.1:0",
      (stream) =>
        stream.start({
          received: (bytes) => void stream.write(bytes.slice()),
          drained: () => undefined,
          closed: () => undefined,
        }),
      () => undefined,
      (result) => {
        if (result instanceof Error) throw result;
        tell(`${(plain.address() as AddressInfo).port} ${result.port}`);
      },
    );
  });
  answerCpu();
}

/** Passes all on to `address`. */
function hold(address: string, isTls: boolean): void {
  const passer = new Passer({ key: KEY, node: HOLDER as string });
  const transport = tlsPskTransport({ key: KEY, identity: "holder" });
  const server = createServer({ noDelay: true }, (client) => {
    client.on("error", () => undefined);
    if (!isTls) passer.pass(client, "mqtt", { node: SERVER as string, address }, () => client.destroy());
    else {
      transport.dial(address, 5000, (stream) => {
        if (stream instanceof Error) throw stream;
        stream.start({
          received: (bytes) => {
            if (!client.write(bytes.slice())) stream.pause();
          },
          drained: () => client.resume(),
          closed: () => client.destroy(),
        });
        client.on("drain", () => stream.resume());
        client.on("data", (bytes) => {
          if (!stream.write(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length))) client.pause();
        });
        client.on("close", () => stream.reset());
      });
    }
  }).listen(0, "127.0.0.1", () => tell(String((server.address() as AddressInfo).port)));
  answerCpu();
}

function answerCpu(): void {
  process.on("message", () => tell(JSON.stringify(process.cpuUsage())));
}

async function people(): Promise<void> {
  const server = start("serve");
  const [plain, link] = (await heard(server)).split(" ");
  const ways: [string, ChildProcess | undefined, number][] = [["direct", undefined, Number(plain)]];
  for (const [name, kind] of [
    ["passed", "hold"],
    ["through TLS", "hold-tls"],
  ] as const) {
    const holder = start(kind, `127.0.0.1:${link}`);
    ways.push([name, holder, Number(await heard(holder))]);
  }
  for (const [name, holder, port] of ways) {
    const rtt = await roundTrips(port);
    const before = await cpuMs(holder);
    await roundTrips(port);
    const perMessage = ((await cpuMs(holder)) - before) / (2 * ROUND_TRIPS);
    const perSecond = await connectionsPerSecond(port);
    const afterConnections = await cpuMs(holder);
    const bulk = await bulkRate(port);
    const perMegabyte = ((await cpuMs(holder)) - afterConnections) / (2 * (BULK_BYTES / 1024 / 1024));
    process.stdout.write(
      `${name}: round trip p50 ${rtt.p50.toFixed(0)} us, p99 ${rtt.p99.toFixed(0)} us; holder ${(perMessage * 1000).toFixed(1)} us CPU per message, ${perMegabyte.toFixed(2)} ms per MB; ${perSecond.toFixed(0)} connections/s; ${bulk.toFixed(0)} MB/s each way\n`,
    );
  }
  process.exit(0);
}

function start(...args: readonly string[]): ChildProcess {
  return fork(new URL(import.meta.url).pathname, [...args], { execArgv: process.execArgv });
}

function heard(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => child.once("message", (text) => resolve(String(text))));
}

async function cpuMs(child: ChildProcess | undefined): Promise<number> {
  if (child === undefined) return 0;
  const said = heard(child);
  child.send("cpu");
  const { user, system } = JSON.parse(await said) as NodeJS.CpuUsage;
  return (user + system) / 1000;
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.on("error", (error) => {
    process.stderr.write(`a connection broke (${error.message}): the machine is too busy to measure\n`);
    process.exit(1);
  });
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

/** Sends a message and waits for its answer, again and again. */
async function roundTrips(port: number): Promise<{ readonly p50: number; readonly p99: number }> {
  const socket = await open(port);
  const times: number[] = [];
  await new Promise<void>((resolve) => {
    let [sentAt, missing] = [0, 0];
    const send = (): void => {
      missing = MESSAGE.length;
      sentAt = performance.now();
      socket.write(MESSAGE);
    };
    socket.on("data", (bytes) => {
      missing -= bytes.length;
      if (missing > 0) return;
      times.push((performance.now() - sentAt) * 1000);
      if (times.length === ROUND_TRIPS) resolve();
      else send();
    });
    send();
  });
  socket.destroy();
  times.sort((a, b) => a - b);
  return { p50: times[times.length >> 1] ?? 0, p99: times[Math.floor(times.length * 0.99)] ?? 0 };
}

/** Connects, says something, hears the answer, and leaves. */
async function connectionsPerSecond(port: number): Promise<number> {
  const began = performance.now();
  let left = CONNECTIONS;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const socket = await open(port);
      socket.write(MESSAGE);
      await new Promise((resolve) => socket.once("data", resolve));
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return CONNECTIONS / ((performance.now() - began) / 1000);
}

async function bulkRate(port: number): Promise<number> {
  const socket = await open(port);
  const block = Buffer.alloc(64 * 1024, 1);
  const began = performance.now();
  let [sent, received] = [0, 0];
  await new Promise<void>((resolve) => {
    const fill = (): void => {
      while (sent < BULK_BYTES) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", fill);
    socket.on("data", (bytes) => {
      received += bytes.length;
      if (received >= BULK_BYTES) resolve();
    });
    fill();
  });
  socket.destroy();
  return BULK_BYTES / 1024 / 1024 / ((performance.now() - began) / 1000);
}
