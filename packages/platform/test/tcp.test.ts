import { connect } from "node:net";
import { SkeinError, type Stream, type StreamListener } from "@skein/kernel";
import { expect, test } from "vitest";
import { listenTcp } from "../src/sockets/tcp.ts";
import { socketPeer } from "./support/peers.ts";
import { type Pair, streamContract } from "./support/stream-contract.ts";

function listen(accepted: (stream: Stream) => void, port = 0): Promise<StreamListener | SkeinError> {
  return new Promise((resolve) => listenTcp({ host: "127.0.0.1", port, accepted, ready: resolve }));
}

async function listening(accepted: (stream: Stream) => void): Promise<StreamListener> {
  const listener = await listen(accepted);
  if (listener instanceof SkeinError) throw listener;
  return listener;
}

streamContract("tcp", async (): Promise<Pair> => {
  let accept: (stream: Stream) => void = () => {};
  const accepted = new Promise<Stream>((resolve) => {
    accept = resolve;
  });
  const listener = await listening(accept);
  const socket = connect(listener.port, "127.0.0.1");
  const peer = socketPeer(socket);
  return { stream: await accepted, peer, close: () => listener.close() };
});

test("a port that is in use: one sentence with the port and another one to choose", async () => {
  const listener = await listening(() => {});
  const result = await listen(() => {}, listener.port);
  listener.close();
  expect(result).toMatchObject({
    code: "ERR_SKEIN_PORT_IN_USE",
    message: `Port ${listener.port} is already in use. Stop the other program, or choose another port with --listen mqtt://:${listener.port + 1}`,
  });
});

test("an address that is not this machine's: one sentence that says so", async () => {
  const result = await new Promise((resolve) =>
    listenTcp({ host: "203.0.113.7", port: 0, accepted: () => {}, ready: resolve }),
  );
  expect(result).toMatchObject({
    code: "ERR_SKEIN_LISTEN",
    message:
      "Cannot listen on 203.0.113.7: this machine has no such address. Use one of its own, or 0.0.0.0 for all",
  });
});

test("closing a listener stops accepting; accepted streams live on", async () => {
  let accept: (stream: Stream) => void = () => {};
  const accepted = new Promise<Stream>((resolve) => {
    accept = resolve;
  });
  const listener = await listening(accept);
  const socket = connect(listener.port, "127.0.0.1");
  const peer = socketPeer(socket);
  const stream = await accepted;
  listener.close();
  const late = connect(listener.port, "127.0.0.1");
  expect(await socketPeer(late).closed).toMatchObject({ code: "ECONNREFUSED" });
  stream.write(new Uint8Array([1, 2, 3]));
  await peer.whenReceived(3);
  stream.reset();
});
