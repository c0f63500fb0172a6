/** R27 with real processes and clients: the coordinator leaves its mesh; its clients hear of it before it is taken out. */

import type { IDisconnectPacket } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { connect, publishMany } from "../support/mqtt-clients.ts";
import { type NodeProcess, runSkein, startMesh } from "../support/node-process.ts";

const MESSAGES = 300;

test("R27: leave hands leadership over, then sends the clients away, then ends the membership; no acknowledged write is lost", async () => {
  const mesh = await startMesh(3);
  onTestFinished(() => mesh.remove());
  const { coordinator } = await (mesh.nodes[0] as NodeProcess).status();
  const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
  const leaver = mesh.nodes[statuses.findIndex(({ node }) => node === coordinator)] as NodeProcess;
  const rest = mesh.nodes.filter((node) => node !== leaver);

  const five = await connect(leaver);
  const four = await connect(leaver, { protocolVersion: 4 });
  const heard = new Promise<IDisconnectPacket>((resolve) => five.once("disconnect", resolve));
  const closed = new Promise<void>((resolve) => four.once("close", () => resolve()));
  await publishMany(five, MESSAGES, (at) => ({
    topic: `kept/${at}`,
    payload: `${at}`,
    qos: 1,
    retain: true,
  }));

  const leaving = runSkein(["leave", "--yes", "--http", `${leaver.host}:${leaver.ports.http}`]);
  expect((await heard).reasonCode).toBe(0x8b);
  await closed;
  // The others have one of them to coordinate already, and the leaver is still one of them.
  for (const node of rest) {
    const { coordinator: next, quorum } = await node.status();
    expect({ quorum, isNew: next !== coordinator }).toEqual({ quorum: true, isNew: true });
  }
  expect(await leaving).toMatchObject({ code: 0, err: "" });
  expect(await leaver.exited()).toEqual({ code: 0, signal: null });

  const steps = leaver.log.map(({ msg }) => msg);
  const order = ["leaving the mesh", "leadership changed", "sending its clients away", "left the mesh"];
  const at = order.map((step) => steps.findLastIndex((msg) => msg.includes(step)));
  expect(at.every((index) => index !== -1)).toBe(true);
  expect([...at].sort((a, b) => a - b)).toEqual(at);
  for (const node of rest)
    await node.waitForStatus("has all that was acknowledged", ({ retained, members }) => {
      return retained === MESSAGES && members.length === 2;
    });
});

test("a node that cannot leave after all, because the others fall silent at that moment, lets its clients in again", async () => {
  const mesh = await startMesh(3);
  onTestFinished(() => mesh.remove());
  const [first] = mesh.nodes as [NodeProcess];
  const { coordinator } = await first.status();
  const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
  const leaver = mesh.nodes[statuses.findIndex(({ node }) => node !== coordinator)] as NodeProcess;
  const rest = mesh.nodes.filter((node) => node !== leaver);
  const client = await connect(leaver);
  client.once("disconnect", () => {
    for (const { pid } of rest) if (pid !== undefined) process.kill(pid, "SIGSTOP");
  });

  const { code, err } = await runSkein(["leave", "--yes", "--http", `${leaver.host}:${leaver.ports.http}`]);
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("Could not leave within 30 s") });
  await leaver.waitForStatus("serves clients", ({ health }) => health === "degraded");
  expect((await connect(leaver)).connected).toBe(true);

  for (const { pid } of rest) if (pid !== undefined) process.kill(pid, "SIGCONT");
  await leaver.waitForStatus("is a member as before", ({ quorum, members }) => {
    return quorum && members.filter(({ state, hasReplica }) => state === "alive" && hasReplica).length === 3;
  });
});
