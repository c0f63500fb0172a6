/** Idle clients on the floating address for as long as a test runs. */

import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import type { Room } from "./cabling.ts";
import { eventually } from "./eventually.ts";
import { back, heard, type IdleClient, idleClients } from "./idle-clients.ts";
import type { ContainerMesh } from "./mesh.ts";

/** Which connections there are is told four times a second, and nobody outside sees it arrive. */
const TOLD_MS = 500;

/**
 * Waits until the mesh is healthy, and until all nodes know of the clients.
 *
 * @param topic of no other idle clients
 * @param room where they are; undefined: on this machine
 */
export async function idleForTest(
  mesh: ContainerMesh,
  topic = "idle",
  room?: Room,
): Promise<readonly IdleClient[]> {
  await mesh.healthy(40_000);
  const launcher = room === undefined ? [] : ["ip", "netns", "exec", room.name];
  const clients = await idleClients(mesh.vip, topic, launcher);
  onTestFinished(() => {
    for (const client of clients) client.stop();
  });
  await eventually("every node counts the clients", { withinMs: 10_000 }, async () => {
    for (const { status } of await mesh.views()) {
      const holder = status.members.find(({ id }) => id === status.vip.holder);
      expect(holder?.clients).toBeGreaterThanOrEqual(clients.length);
    }
  });
  await delay(TOLD_MS);
  return clients;
}

/**
 * Waits until all are connected again, and fails if one was not within `withinMs` after `sinceMs`.
 *
 * @returns when each was, in ms, for the log.
 */
export async function expectBack(
  clients: readonly IdleClient[],
  sinceMs: number,
  withinMs: number,
): Promise<string> {
  return expectAll(await back(clients, sinceMs, withinMs * 2), withinMs);
}

/** The same for a message that reaches them. */
export async function expectHeard(
  clients: readonly IdleClient[],
  sinceMs: number,
  withinMs: number,
): Promise<string> {
  return expectAll(await heard(clients, sinceMs, withinMs * 2), withinMs);
}

function expectAll(times: ReadonlyMap<string, number>, withinMs: number): string {
  const text = JSON.stringify(Object.fromEntries(times));
  expect(Math.max(...times.values()), text).toBeLessThanOrEqual(withinMs);
  return text;
}
