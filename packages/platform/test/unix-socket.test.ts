import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SkeinError, type Stream } from "@skein/kernel";
import { afterAll, expect, onTestFinished, test } from "vitest";
import type { ClientListener } from "../src/sockets/client-listener.ts";
import { listenUnix, type UnixListenOptions } from "../src/sockets/unix-socket.ts";
import { socketPeer } from "./support/peers.ts";
import { type Pair, streamContract } from "./support/stream-contract.ts";

const folder = mkdtempSync(join(tmpdir(), "skein-unix-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
function freshPath(): string {
  return join(folder, `mqtt-${++count}.sock`);
}

function listen(
  path: string,
  options: Partial<UnixListenOptions> = {},
): Promise<ClientListener | SkeinError> {
  return new Promise((ready) =>
    listenUnix({ path, mode: 0o660, accepted: (stream) => stream.reset(), ready, ...options }),
  );
}

async function listening(path: string, options: Partial<UnixListenOptions> = {}): Promise<ClientListener> {
  const result = await listen(path, options);
  if (result instanceof SkeinError) throw result;
  onTestFinished(() => result.close());
  return result;
}

function dial(path: string): Socket {
  const socket = connect({ path });
  socket.on("error", () => undefined);
  onTestFinished(() => {
    socket.destroy();
  });
  return socket;
}

streamContract(
  "unix",
  async (): Promise<Pair> => {
    let accept: (stream: Stream) => void = () => {};
    const accepted = new Promise<Stream>((resolve) => {
      accept = resolve;
    });
    const path = freshPath();
    const listener = await listen(path, { accepted: accept });
    if (listener instanceof SkeinError) throw listener;
    const peer = socketPeer(connect({ path }));
    return { stream: await accepted, peer, close: () => listener.close() };
  },
  { canReset: false, remoteAddress: /^unix:\/.*\.sock$/, localAddress: "" },
);

test("who may connect is a matter of the file's permissions, and the file goes with the listener", async () => {
  const path = freshPath();
  const listener = await listening(path, { mode: 0o600 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(listener.port).toBe(0);
  listener.close();
  expect(statSync(path, { throwIfNoEntry: false })).toBeUndefined();
});

test("a socket that a dead process left behind is used again", async () => {
  const path = freshPath();
  const die = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  expect(() => execFileSync(process.execPath, ["-e", die], { stdio: "pipe" })).toThrow();
  expect(statSync(path).isSocket()).toBe(true);
  let accept: (stream: Stream) => void = () => {};
  const accepted = new Promise<Stream>((resolve) => {
    accept = resolve;
  });
  await listening(path, { accepted: accept });
  dial(path);
  expect((await accepted).remoteAddress).toBe(`unix:${path}`);
});

test("a socket on which somebody answers is in use: one sentence with what to do, and it stays theirs", async () => {
  const path = freshPath();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen({ path }, resolve));
  onTestFinished(() => {
    other.close();
  });
  expect(await listen(path)).toMatchObject({
    code: "ERR_SKEIN_PORT_IN_USE",
    message: `Cannot listen on unix://${path}: another program listens there. Stop it (see: fuser ${path}), or choose another path with --listen unix://PATH`,
  });
  const client = dial(path);
  await once(client, "connect");
});

test("a file that is no socket is left alone: one sentence with what to do", async () => {
  const path = freshPath();
  writeFileSync(path, "precious");
  expect(await listen(path)).toMatchObject({
    code: "ERR_SKEIN_PORT_IN_USE",
    message: `Cannot listen on unix://${path}: a file is in the way that is no socket. If nobody needs it, remove it: rm ${path}`,
  });
  expect(statSync(path).size).toBe(8);
});

test("a folder that is not there is one sentence with the command that makes it", async () => {
  const path = join(folder, "none", "mqtt.sock");
  expect(await listen(path)).toMatchObject({
    code: "ERR_SKEIN_LISTEN",
    message: `Cannot listen on unix://${path}: there is no folder ${join(folder, "none")}. Make it: mkdir -p ${join(folder, "none")}`,
  });
});

test("beyond its bound the next connection is ended", async () => {
  const path = freshPath();
  const reasons: string[] = [];
  await listening(path, {
    connectionsMax: 1,
    accepted: () => undefined,
    refused: (from, reason) => reasons.push(`${from} ${reason}`),
  });
  await once(dial(path), "connect");
  const second = dial(path);
  await once(second, "close");
  expect(reasons).toEqual([`unix:${path} this listener has as many clients as it may have`]);
});
