/** `--redirect`: who must go hears from MQTT 5 where to; who did not ask for it sends its clients away without a word about others. */

import type { IDisconnectPacket } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { connect } from "../support/mqtt-clients.ts";
import { type NodeProcess, startMesh } from "../support/node-process.ts";

/** What a client of `node` is told when that stops. */
async function farewell(node: NodeProcess): Promise<IDisconnectPacket> {
  const client = await connect(node);
  const told = new Promise<IDisconnectPacket>((resolve) => client.once("disconnect", resolve));
  await node.stop();
  return told;
}

test("MQTT-4.11: clients of a node that stops are told the address of another one, if it was started with --redirect", async () => {
  // Only who listens for other machines can be named to clients.
  const mesh = await startMesh(2, (at) => ({
    host: "127.0.0.1",
    args: ["--allow-anonymous", ...(at === 0 ? ["--redirect"] : [])],
  }));
  onTestFinished(() => mesh.remove());
  const [redirecting, other] = mesh.nodes as [NodeProcess, NodeProcess];
  const { reasonCode, properties } = await farewell(redirecting);
  expect(reasonCode).toBe(0x9c);
  expect(properties?.serverReference).toBe(`127.0.0.1:${other.ports.mqtt}`);
  await redirecting.start();
  expect((await farewell(other)).properties?.serverReference).toBeUndefined();
});
