import { once } from "node:events";
import { connect } from "node:net";
import type { ApplicationMessage } from "@skein/kernel";
import { SkeinError } from "@skein/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ShownEvent } from "../src/admin/event-routes.ts";
import type { NodeActions } from "../src/admin/node-actions.ts";
import { type Route, requiredText } from "../src/admin/route.ts";
import { openAdminApi } from "../src/admin/server.ts";
import { tellNode } from "../src/cli/admin-client.ts";
import { type MeshEvent, parseEvent } from "../src/events/mesh-event.ts";
import type { NodeStatus } from "../src/node-status.ts";

const NODE = { status: () => STATUS, isServing: () => true, isStopping: () => false } as NodeActions;
const STATUS = { mesh: "home", members: [{ id: "a", name: "pi1" }] } as unknown as NodeStatus;

function message(topic: string, payload: Uint8Array): ApplicationMessage {
  return { topic, payload, qos: 1, retain: true, properties: undefined };
}

const EVENTS = ["pi2", "pi3"].map((name) => {
  const startMs = Date.UTC(2026, 10, 26, 19, 2);
  const node = { id: name, name };
  return parseEvent({
    id: name,
    kind: "join",
    cause: "added",
    startMs,
    observer: node,
    nodes: [node],
  }) as MeshEvent;
});

/** Orders that the node got. */
const drills: unknown[] = [];

async function open(isServing = true, isStopping = false): Promise<string> {
  // A payload that is a view into a larger buffer must be cut out of it, and may be binary.
  const large = Uint8Array.from([9, 9, 0xff, 0x00, 9]);
  const node: NodeActions = {
    status: () => STATUS,
    isServing: () => isServing,
    isStopping: () => isStopping,
    events: () => EVENTS,
    invite: () => Promise.reject(new Error("not asked here")),
    invitations: () => [],
    approveMerge: () => undefined,
    conflicts: () => [],
    clearConflicts: (done) => done.settle(0),
    revoke: () => {},
    roster: () => [],
    leave: async () => {},
    forget: async (node) => {
      if (node !== "pi3") throw new SkeinError("ERR_SKEIN_REFUSED", `${node} is alive.`);
    },
    moveAddress: async () => 31,
    addressClients: async () => ({ clients: 31, answered: ["00000000000000a1"] }),
    drill: async (...order) => void drills.push(order),
    retained: {
      count: 1,
      digest: () => "d1ce",
      entries: () => [message("home/lamp", large.subarray(2, 4))],
    },
  };
  const api = await openAdminApi({ address: { host: "127.0.0.1", port: 0 }, httpActions: "local" }, node);
  onTestFinished(() => api.close());
  return `http://127.0.0.1:${api.port}`;
}

test("/healthz answers while the process lives, /readyz only when clients are let in", async () => {
  const starting = await open(false);
  expect((await fetch(`${starting}/healthz`)).status).toBe(200);
  expect((await fetch(`${starting}/readyz`)).status).toBe(503);
  expect((await fetch(`${await open()}/readyz`)).status).toBe(200);
  expect((await fetch(`${await open(false, true)}/healthz`)).status).toBe(503);
});

test("/api/status and /api/members are the status document and its members", async () => {
  const url = await open();
  expect(await (await fetch(`${url}/api/status`)).json()).toEqual(STATUS);
  expect(await (await fetch(`${url}/api/members`)).json()).toEqual(STATUS.members);
});

test("/api/retained gives count and digest; entries with base64 payloads only when asked for", async () => {
  const url = await open();
  expect(await (await fetch(`${url}/api/retained`)).json()).toEqual({ count: 1, digest: "d1ce" });
  expect(await (await fetch(`${url}/api/retained?entries=1`)).json()).toEqual({
    count: 1,
    digest: "d1ce",
    entries: [{ topic: "home/lamp", qos: 1, payload: "/wA=" }],
  });
});

test("/api/events gives the newest events with their start as a date and a sentence", async () => {
  const url = await open();
  const all = (await (await fetch(`${url}/api/events`)).json()) as readonly ShownEvent[];
  expect(all).toHaveLength(2);
  expect(all[1]).toMatchObject({ start: "2026-11-26T19:02:00.000Z", text: "pi3 joined the mesh" });
  expect(await (await fetch(`${url}/api/events?limit=1`)).json()).toEqual([all[1]]);
  expect((await fetch(`${url}/api/events?limit=none`)).status).toBe(400);
});

test("nothing else is served, and what is only for looking at cannot be posted to", async () => {
  const url = await open();
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/api/status`, { method: "POST", body: "{}" })).status).toBe(405);
  expect((await fetch(`${url}/api/status`, { method: "DELETE" })).status).toBe(405);
});

/** An API with one action that can be carried out, and the two ways in which it can fail. */
async function openWithAction(httpActions: "local" | "any", host = "127.0.0.1"): Promise<string> {
  const rename: Route = {
    method: "POST",
    path: "/api/rename",
    handle: async (request) => {
      const name = requiredText(request, "name");
      if (name === "taken") throw new SkeinError("ERR_SKEIN_REFUSED", "Another node has this name.");
      return { renamed: name };
    },
  };
  const api = await openAdminApi({ address: { host, port: 0 }, httpActions }, NODE, [rename]);
  onTestFinished(() => api.close());
  return `${host}:${api.port}`;
}

const post = (address: string, headers: Record<string, string>, body = '{"name":"pi9"}'): Promise<Response> =>
  fetch(`http://${address}/api/rename`, { method: "POST", headers, body });

test("an action is carried out when it is asked for properly, and its answer comes back", async () => {
  const address = await openWithAction("local");
  expect(await tellNode(address, "/api/rename", { name: "pi9" })).toEqual({ renamed: "pi9" });
  expect((await fetch(`http://${address}/api/rename`)).status).toBe(405);
});

test("what a node refuses or does not understand reaches the command as the node's sentence", async () => {
  const address = await openWithAction("local");
  await expect(tellNode(address, "/api/rename", { name: "taken" })).rejects.toMatchObject({
    code: "ERR_SKEIN_REFUSED",
    message: "Another node has this name.",
  });
  await expect(tellNode(address, "/api/rename", {})).rejects.toMatchObject({
    code: "ERR_SKEIN_CONFIG",
    message: 'The request lacks "name", which must be text.',
  });
  await expect(tellNode(address, "/api/other", {})).rejects.toMatchObject({
    code: "ERR_SKEIN_REFUSED",
    message: expect.stringContaining("does not know this command"),
  });
});

test("a page in a browser cannot change anything: neither across sites nor by a name that was pointed here", async () => {
  const address = await openWithAction("any");
  expect((await post(address, {})).status).toBe(403);
  expect((await post(address, { "x-skein": "1", origin: "http://evil.example" })).status).toBe(403);
  expect((await post(address, { "x-skein": "1", origin: "null" })).status).toBe(403);
  expect((await post(address, { "x-skein": "1", origin: `http://${address}` })).status).toBe(200);
});

test("a body that is no JSON object, or too large, is refused and the connection goes on or ends cleanly", async () => {
  const address = await openWithAction("local");
  const headers = { "x-skein": "1" };
  expect((await post(address, headers, "[1]")).status).toBe(400);
  expect((await post(address, headers, "{")).status).toBe(400);
  expect((await post(address, headers, `{"name":"${"x".repeat(20_000)}"}`)).status).toBe(413);
  expect((await post(address, headers)).status).toBe(200);
});

test("programs on this machine may change something, by whichever of its addresses", async () => {
  for (const host of ["127.0.0.1", "127.0.0.2"])
    expect((await post(await openWithAction("local", host), { "x-skein": "1" })).status).toBe(200);
});

test("connections that say nothing are closed, so that they cannot keep the others out", async () => {
  const url = new URL(await open());
  const silent = Array.from({ length: 64 }, () => connect(Number(url.port), url.hostname).resume());
  await Promise.all(silent.map((socket) => once(socket, "close")));
  expect((await fetch(`${url}healthz`)).status).toBe(200);
});

test("an answer may take as long as it needs; the next request of its connection must come whole within seconds again", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const slow: Route = {
    method: "GET",
    path: "/slow",
    handle: async () => {
      vi.advanceTimersByTime(60_000);
      return { said: "at last" };
    },
  };
  const address = { host: "127.0.0.1", port: 0 };
  const api = await openAdminApi({ address, httpActions: "local" }, NODE, [slow]);
  onTestFinished(() => api.close());
  // The half request that is not read any more resets it.
  const socket = connect(api.port, address.host).on("error", () => undefined);
  socket.write("GET /slow HTTP/1.1\r\nHost: pi1\r\n\r\n");
  const [answer] = await once(socket, "data");
  expect(String(answer)).toContain("at last");
  socket.write("GET /slow HTTP/1.1\r\nHost: ");
  // Sooner than Node closes what is idle.
  vi.advanceTimersByTime(7000);
  await expect.poll(() => socket.destroyed, { timeout: 2000 }).toBe(true);
});

test("a port in use is said with the option that chooses another", async () => {
  const port = Number(new URL(await open()).port);
  const options = { address: { host: "127.0.0.1", port }, httpActions: "local" } as const;
  await expect(openAdminApi(options, NODE)).rejects.toThrow(
    `Port ${port} is already in use. Stop the other program, or choose another port with --http 127.0.0.1:${port + 1}`,
  );
});

test("leaving and forgetting are carried out or refused with the node's sentence; what is to be forgotten must be said", async () => {
  const address = await open();
  const post = (path: string, body: unknown) =>
    fetch(`${address}${path}`, { method: "POST", headers: { "x-skein": "1" }, body: JSON.stringify(body) });
  expect(await (await post("/api/leave", {})).json()).toEqual({ left: true });
  expect(await (await post("/api/forget", { node: "pi3" })).json()).toEqual({ forgotten: "pi3" });
  const refused = await post("/api/forget", { node: "pi2" });
  expect([refused.status, await refused.json()]).toEqual([409, { error: "pi2 is alive." }]);
  expect((await post("/api/forget", {})).status).toBe(400);
  expect((await fetch(`${address}/api/leave`, { method: "POST" })).status).toBe(403);
});

test("exercises: the address is moved, its clients are counted, and a drill must name a node, a kind and a time", async () => {
  const url = await open();
  const post = async (path: string, body: unknown): Promise<readonly [number, unknown]> => {
    const headers = { "x-skein": "1", "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return [response.status, await response.json()];
  };
  expect(await post("/api/move-address", {})).toEqual([200, { connections: 31 }]);
  expect(await (await fetch(`${url}/api/address-clients`)).json()).toEqual({
    clients: 31,
    answered: ["00000000000000a1"],
  });
  expect(await post("/api/drill", { node: "a", drill: "pause", forMs: 5000, force: true })).toEqual([
    200,
    { started: true },
  ]);
  expect(drills).toEqual([["a", "pause", 5000, true]]);
  expect(await post("/api/drill", { node: "a", drill: "explode", forMs: 5000 })).toEqual([
    400,
    { error: 'There is no drill "explode": use kill, pause, partition.' },
  ]);
  expect((await post("/api/drill", { drill: "kill", forMs: 5000 }))[0]).toBe(400);
  expect((await post("/api/drill", { node: "a", drill: "kill" }))[0]).toBe(400);
  expect(drills).toHaveLength(1);
});
