import { connect, Socket } from "node:net";
import type { MonotonicMs, NodeId } from "@skein/kernel";
import { factsOfNewcomer, type Member } from "@skein/mesh";
import { type ClientListener, type ClientProtocol, listenTcp } from "@skein/platform";
import { expect, onTestFinished, test } from "vitest";
import { ClientBalancing } from "../src/balancing/client-balancing.ts";

const [SELF, OTHER] = ["00000000000000a1", "00000000000000a2"] as [NodeId, NodeId];

function member(id: NodeId, mqttPort: number): Member {
  return {
    ...factsOfNewcomer(id),
    id,
    cluster: "5f0c7f4e-54a5-4d8d-a8a5-000000000001",
    incarnation: 1,
    state: "alive",
    // Nobody listens there: whoever is passed on comes back.
    address: "127.0.0.1:1",
    isLinked: true,
    isRelayed: false,
    linkedAt: undefined,
    rttMs: 1,
    uptimeMs: 1,
    protocolVersion: 1,
    mqttPort,
  } as unknown as Member;
}

function balancingOf(address: string | undefined, mqttPort: number): ClientBalancing {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const members = (): readonly Member[] => [member(SELF, 1883), member(OTHER, mqttPort)];
  return new ClientBalancing(
    { key: new Uint8Array(32), node: SELF, address },
    { log, now: () => 0 as MonotonicMs, members },
  );
}

/** Lets `count` connections come in on `127.0.0.1` and returns how many were to be passed on. */
async function passedOf(
  count: number,
  address: string | undefined,
  protocol: ClientProtocol,
  mqttPort: number,
) {
  const balancing = balancingOf(address, mqttPort);
  let [seen, passed] = [0, 0];
  let all: () => void = () => {};
  const allSeen = new Promise<void>((resolve) => {
    all = resolve;
  });
  const listener = await new Promise<ClientListener>((resolve) =>
    listenTcp({
      host: "127.0.0.1",
      port: 0,
      accepted: (stream) => stream.reset(),
      divert: (socket, serve) => {
        socket.on("error", () => undefined);
        const isPassed = balancing.divert(protocol, socket, serve);
        if (isPassed) passed++;
        if (++seen === count) all();
        // Neither the broker nor the other node has heard of it yet.
        return true;
      },
      ready: (result) => result instanceof Error || resolve(result),
    }),
  );
  const clients = Array.from({ length: count }, () => connect(listener.port, "127.0.0.1"));
  for (const client of clients) client.on("error", () => undefined);
  onTestFinished(() => {
    listener.close();
    for (const client of clients) client.destroy();
  });
  await allSeen;
  return passed;
}

test("a burst of WebSocket clients is spread before the broker has heard of any of them", async () => {
  const passed = await passedOf(2, "127.0.0.1", "ws", 0);
  expect(passed).toBe(0);
  expect(await passedOf(3, "127.0.0.1", "ws", 0)).toBe(1);
});

test("clients of a node's own address stay, and so do all when the other node lets in nobody from other machines", async () => {
  expect(await passedOf(9, undefined, "mqtt", 1883)).toBe(0);
  expect(await passedOf(9, "192.0.2.9", "mqtt", 1883)).toBe(0);
  expect(await passedOf(9, "127.0.0.1", "mqtt", 0)).toBe(0);
});

test.each([
  [undefined, 0],
  ["127.0.0.1", 1],
])(
  "a connection bears a listener for its end only where an address spreads clients (%s)",
  (address, listeners) => {
    const socket = new Socket();
    const before = socket.listenerCount("close");
    balancingOf(address, 1883).divert("mqtt", socket, () => {});
    expect(socket.listenerCount("close") - before).toBe(listeners);
  },
);
