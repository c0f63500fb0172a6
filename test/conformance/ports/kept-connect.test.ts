/** CONNECT, takeover and the end of connections whose session the mesh keeps (P7, P9). */

import { expect, test } from "vitest";
import { connectPacket } from "../support/client.ts";
import { KEPT, KeptWorld } from "../support/kept-world.ts";

const WILL = { will: { topic: "will", payload: Buffer.from("gone"), qos: 1, retain: false } } as const;

test("CONNACK waits for the claim, and what the client sent meanwhile is handled after it, in order", () => {
  const world = new KeptWorld();
  const client = world.open();
  client.sendTogether(
    connectPacket(5, "a", KEPT),
    { cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "t", qos: 0 }] },
    { cmd: "publish", topic: "t", payload: "1", qos: 0 },
  );
  // The second of two chunks, cut in the middle of a packet.
  const last = client.encode({ cmd: "publish", topic: "t", payload: "2", qos: 0 });
  client.sendBytes(last.subarray(0, 3)).sendBytes(last.subarray(3));
  expect(client.packets).toEqual([]);
  expect(client.stream.isPaused).toBe(true);
  expect(world.clientCount).toBe(0);
  world.commit();
  expect(client.take("connack").sessionPresent).toBe(false);
  expect(client.stream.isPaused).toBe(false);
  expect(client.takePayloads()).toEqual(["1", "2"]);
  expect(world.clientCount).toBe(1);
  world.commit();
  client.take("suback");
});

test("a client that waits may be silent for longer than its keep-alive and the connect timeout", () => {
  const world = new KeptWorld({ connectTimeoutMs: 5000 });
  const client = world.attempt("a", { ...KEPT, keepalive: 1 });
  world.pass(20_000);
  expect(client.stream.ended).toBeUndefined();
  world.commit();
  client.take("connack");
  world.pass(1000);
  expect(client.stream.ended).toBeUndefined();
  world.pass(1000);
  expect(client.stream.ended).toBe("end");
});

test("a client whose claim is not answered in time is reset, and the claim closed", () => {
  const world = new KeptWorld({ claimTimeoutMs: 30_000 });
  const client = world.attempt("a", KEPT);
  world.pass(29_000);
  expect(client.stream.ended).toBeUndefined();
  world.pass(2000);
  expect(client.stream.ended).toBe("reset");
  expect(world.sessions.closings).toEqual([
    { clientId: "a", fate: "publish", expirySeconds: 100, sentThrough: -1 },
  ]);
  world.commit();
  expect(client.packets).toEqual([]);
  expect(world.clientCount).toBe(0);
});

test("a connection that is lost while it waits closes its claim, and an answer that comes later is for nobody", () => {
  const world = new KeptWorld();
  const client = world.attempt("a", KEPT);
  client.sever();
  expect(world.sessions.closings.map(({ fate }) => fate)).toEqual(["publish"]);
  world.commit();
  expect(world.clientCount).toBe(0);
  expect(world.enter("a").stream.ended).toBeUndefined();
});

test("a CONNECT without Clean Start opens its session behind the outboxes of other nodes; one with Clean Start does not wait for them", () => {
  const world = new KeptWorld();
  world.sessions.outboxes = "open";
  const client = world.attempt("a", KEPT);
  world.attempt("fresh", { ...KEPT, clean: true });
  expect(world.sessions.openings.map(({ clientId }) => clientId)).toEqual(["fresh"]);
  world.commit();
  expect(client.packets).toEqual([]);
  world.sessions.writeOutboxes();
  world.commit();
  expect(client.take("connack").sessionPresent).toBe(false);
});

test("who goes, or comes anew, while it waits for the outboxes of other nodes opens nothing", () => {
  const world = new KeptWorld();
  world.sessions.outboxes = "open";
  world.attempt("a", KEPT).sever();
  const older = world.attempt("b", KEPT);
  const newer = world.attempt("b", KEPT);
  world.sessions.writeOutboxes();
  world.commit();
  expect(older.stream.ended).toBe("end");
  newer.take("connack");
  expect(world.sessions.openings.map(({ clientId }) => clientId)).toEqual(["b"]);
  expect(world.sessions.closings).toEqual([]);
});

test("a second CONNECT of a client supersedes one that still waits", () => {
  const world = new KeptWorld();
  const first = world.attempt("a", KEPT);
  const second = world.attempt("a", KEPT);
  expect(first.stream.ended).toBe("end");
  expect(first.packets).toEqual([]);
  world.commit();
  second.take("connack");
  expect(world.clientCount).toBe(1);
});

test("a newer connection on the same node closes the older claim before it opens its own, and the will is due", () => {
  const world = new KeptWorld();
  const older = world.enter("a", WILL);
  const newer = world.attempt("a", KEPT);
  expect(older.take("disconnect").reasonCode).toBe(0x8e);
  expect(world.sessions.closings.map(({ fate }) => fate)).toEqual(["publish"]);
  world.commit();
  expect(newer.take("connack").sessionPresent).toBe(true);
  expect(world.count("sessionsTakenOver")).toBe(1);
});

test("a session that comes back is present, and hears QoS 0 at once", () => {
  const world = new KeptWorld();
  world.subscriber("a", "t/+", 1).sever();
  world.commit();
  expect(world.mesh.wanted.size).toBe(0);
  const back = world.attempt("a", KEPT);
  world.commit();
  expect(world.mesh.wanted.get("t/+")).toBe(1);
  expect(back.take("connack").sessionPresent).toBe(true);
  world.connect("p").publish("t/x", "live");
  expect(back.takePayloads()).toEqual(["live"]);
  back.sever();
  expect(world.mesh.wanted.size).toBe(0);
});

test("Clean Start ends a kept session, also of a client that keeps none now", () => {
  const world = new KeptWorld();
  world.subscriber("a", "t", 1).sever();
  world.commit();
  const client = world.connect("a");
  world.commit();
  expect(world.sessions.has("a")).toBe(false);
  world.connect("p").publish("t", "x");
  expect(client.packets).toEqual([]);
});

test("a session is resumed without Clean Start though it will end with this connection", () => {
  const world = new KeptWorld();
  world.subscriber("a", "t", 1).sever();
  world.commit();
  world.publish("t", "waits");
  const back = world.attempt("a", { clean: false });
  world.commit();
  expect(back.take("connack").sessionPresent).toBe(true);
  expect(back.takePayloads()).toEqual(["waits"]);
  back.sever();
  world.commit();
  expect(world.sessions.has("a")).toBe(false);
});

test("without Clean Start and without a session there is nothing to wait for on a node of its own", () => {
  const world = new KeptWorld();
  expect(world.connect("a", { clean: false }).stream.ended).toBeUndefined();
  expect(world.sessions.openings).toEqual([]);
});

test("a client that may have had a session waits to hear that it has none, and is served as one that keeps nothing", () => {
  const world = new KeptWorld();
  world.sessions.claimsEveryClient = true;
  const client = world.attempt("a", { clean: false });
  expect(client.packets).toEqual([]);
  world.commit();
  expect(client.take("connack").sessionPresent).toBe(false);
  client.subscribe("t", 1);
  world.connect("p").publish("t", "live", { qos: 1, messageId: 1 });
  expect(client.takePayloads()).toEqual(["live"]);
});

test("a client that keeps nothing claims only if it has a will, or in a mesh of several nodes, and does not wait", () => {
  const world = new KeptWorld();
  world.connect("none");
  world.connect("will", WILL);
  world.sessions.claimsEveryClient = true;
  world.connect("all");
  expect(world.sessions.openings.map(({ clientId }) => clientId)).toEqual(["will", "all"]);
  expect(world.sessions.openings[0]?.will?.message.topic).toBe("will");
});

test("who has not claimed anything does so when the mesh gets a second node", () => {
  const world = new KeptWorld();
  const client = world.connect("a");
  world.connect("gone").sever();
  world.pass(1000);
  expect(world.sessions.openings).toEqual([]);
  world.sessions.claimsEveryClient = true;
  world.pass(1000);
  world.commit();
  expect(world.sessions.openings.map(({ clientId }) => clientId)).toEqual(["a"]);
  world.sessions.steal("a");
  world.settle();
  expect(client.take("disconnect").reasonCode).toBe(0x8e);
});

test("a claim that is lost before it was answered ends the connection", () => {
  const world = new KeptWorld();
  const client = world.attempt("a", KEPT);
  world.sessions.overtake("a");
  world.settle();
  expect(client.stream.ended).toBe("end");
  expect(client.packets).toEqual([]);
  expect(world.sessions.closings).toEqual([]);
  expect(world.count("clientsConnected")).toBe(0);
});

test("a session that is claimed elsewhere is gone from this node: 0x8E, and its will is not this node's business", () => {
  const world = new KeptWorld();
  const kept = world.subscriber("a", "t", 1, WILL);
  const live = world.connect("b", WILL);
  world.commit();
  const watcher = world.connect("w");
  watcher.subscribe("#", 0);
  world.sessions.steal("a");
  world.sessions.steal("b");
  world.settle();
  for (const client of [kept, live]) {
    expect(client.take("disconnect").reasonCode).toBe(0x8e);
    expect(client.stream.ended).toBe("end");
  }
  expect(world.clientCount).toBe(1);
  expect(world.mesh.wanted.has("t")).toBe(false);
  expect(world.sessions.closings).toEqual([]);
  world.pass(1000);
  expect(watcher.packets).toEqual([]);
});

test("how a connection ends decides on the will of its session, which the broker itself never publishes", () => {
  const world = new KeptWorld();
  const watcher = world.connect("w");
  watcher.subscribe("#", 0);
  for (const [clientId, options] of [
    ["kept", KEPT],
    ["live", {}],
  ] as const) {
    world.sessions.closings.length = 0;
    const connect = () => {
      const client = world.attempt(clientId, { ...options, ...WILL });
      world.commit();
      return client;
    };
    connect().disconnect();
    connect().disconnect({ reasonCode: 4 });
    connect().sever();
    connect();
    world.onEveryBroker((broker) => broker.resetClientsOn("192.0.2.1", undefined));
    const fates = world.sessions.closings.filter((closing) => closing.clientId === clientId);
    expect(fates.map(({ fate }) => fate)).toEqual(["discard", "publish", "publish", "defer"]);
    world.commit();
  }
  connectAndStop("shutdown");
  connectAndStop("sendAway");
  expect(watcher.takePayloads()).toEqual([]);

  function connectAndStop(how: "shutdown" | "sendAway"): void {
    const other = new KeptWorld();
    other.enter("a", WILL);
    other.onEveryBroker((broker) => broker[how](undefined));
    expect(other.sessions.closings.map(({ fate }) => fate)).toEqual(["defer"]);
  }
});

test("a will below $SYS is not put into the session", () => {
  const world = new KeptWorld();
  world.enter("a", { will: { topic: "$SYS/x", payload: Buffer.from(""), qos: 0, retain: false } });
  expect(world.sessions.openings[0]?.will).toBeUndefined();
});

test("DISCONNECT may shorten the life of a session, to nothing as well", () => {
  const world = new KeptWorld();
  world.enter("a").disconnect({ properties: { sessionExpiryInterval: 7 } });
  expect(world.sessions.closings[0]?.expirySeconds).toBe(7);
  world.commit();
  world.enter("a").disconnect({ properties: { sessionExpiryInterval: 0 } });
  world.commit();
  expect(world.sessionCount).toBe(0);
});

test("sessions are those that the mesh keeps, and those that end with their connection to this node", () => {
  const world = new KeptWorld();
  world.subscriber("away", "t", 1).sever();
  world.enter("kept");
  world.connect("live");
  expect(world.sessionCount).toBe(3);
});
