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
