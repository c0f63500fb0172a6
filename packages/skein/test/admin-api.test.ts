import { once } from "node:events";
import { connect } from "node:net";
import type { ApplicationMessage } from "@skein/kernel";
import { expect, onTestFinished, test } from "vitest";
import { type AdminSources, openAdminApi } from "../src/admin-api.ts";
import type { NodeStatus } from "../src/node-status.ts";

const STATUS = { mesh: "home", members: [{ id: "a", name: "pi1" }] } as unknown as NodeStatus;

function message(topic: string, payload: Uint8Array): ApplicationMessage {
  return { topic, payload, qos: 1, retain: true, properties: undefined };
}

async function open(isServing = true): Promise<string> {
  // A payload that is a view into a larger buffer must be cut out of it, and may be binary.
  const large = Uint8Array.from([9, 9, 0xff, 0x00, 9]);
  const sources: AdminSources = {
    status: () => STATUS,
    isServing: () => isServing,
    retained: {
      count: 1,
      digest: () => "d1ce",
      entries: () => [message("home/lamp", large.subarray(2, 4))],
    },
  };
  const api = await openAdminApi({ host: "127.0.0.1", port: 0 }, sources);
  onTestFinished(() => api.close());
  return `http://127.0.0.1:${api.port}`;
}

test("/healthz answers while the process lives, /readyz only when clients are let in", async () => {
  const starting = await open(false);
  expect((await fetch(`${starting}/healthz`)).status).toBe(200);
  expect((await fetch(`${starting}/readyz`)).status).toBe(503);
  expect((await fetch(`${await open()}/readyz`)).status).toBe(200);
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

test("nothing else is served, and nothing can be changed", async () => {
  const url = await open();
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/api/status`, { method: "POST", body: "{}" })).status).toBe(405);
  expect((await fetch(`${url}/api/status`, { method: "DELETE" })).status).toBe(405);
});

test("connections that say nothing are closed, so that they cannot keep the others out", async () => {
  const url = new URL(await open());
  const silent = Array.from({ length: 64 }, () => connect(Number(url.port), url.hostname).resume());
  await Promise.all(silent.map((socket) => once(socket, "close")));
  expect((await fetch(`${url}healthz`)).status).toBe(200);
});

test("a port in use is said with the option that chooses another", async () => {
  const port = Number(new URL(await open()).port);
  const sources = { status: () => STATUS, isServing: () => true } as AdminSources;
  await expect(openAdminApi({ host: "127.0.0.1", port }, sources)).rejects.toThrow(
    `Port ${port} is already in use. Stop the other program, or choose another port with --http 127.0.0.1:${port + 1}`,
  );
});
