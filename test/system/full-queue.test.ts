/**
 * A client that never comes back and fills its queue: messages pass it by, publishers go on, and the status says who it is and what to do.
 */

import { connectAsync } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { makeNode, runSkein } from "../support/node-process.ts";

test("a full queue stops nobody, and is named in status, log and events, with a command that ends it", async () => {
  const node = await makeNode({ name: "a", args: ["--max-queue", "2"] });
  onTestFinished(() => node.remove());
  await node.start();
  await node.serving();
  const orphan = await connectAsync(node.url, { clientId: "orphan", clean: false, reconnectPeriod: 0 });
  await orphan.subscribeAsync("#", { qos: 1 });
  await orphan.endAsync();

  const publisher = await connectAsync(node.url, { protocolVersion: 5, reconnectPeriod: 0 });
  onTestFinished(() => publisher.endAsync(true));
  const publish = (): Promise<number | string> =>
    publisher.publishAsync("home/lamp", "on", { qos: 1 }).then(
      () => "taken",
      ({ code }: { readonly code: number }) => code,
    );
  expect([await publish(), await publish(), await publish()]).toEqual(["taken", "taken", 0x97]);
  // It cannot be told, and is not cut off: without a connection the second message would never be answered.
  const device = await connectAsync(node.url, { protocolVersion: 4, reconnectPeriod: 0 });
  onTestFinished(() => device.endAsync(true));
  for (const qos of [1, 2] as const) await device.publishAsync("home/lamp", "on", { qos });

  const isNote =
    /^The queue of client "orphan" is full: \d+ messages? passed it by within \d+ s; 2 wait, and it is not connected/;
  const { notes, fullQueues } = await node.waitForStatus("counts all three", (status) => {
    return status.fullQueues[0]?.passed === 3;
  });
  expect(fullQueues).toMatchObject([{ clientId: "orphan", queued: 2, isConnected: false }]);
  const [note = ""] = notes;
  expect(note).toMatch(isNote);
  await node.waitForLog("the same", ({ msg }) => isNote.test(msg));
  const events = await runSkein(["events", "--http", `127.0.0.1:${node.ports.http}`]);
  expect(events.out).toContain('The queue of client "orphan" is full');
  const [, command = ""] = /end its session: skein (.*)$/.exec(note) ?? [];
  const args = [...command.split(" "), "-p", String(node.ports.mqtt)];
  expect(await runSkein(args)).toMatchObject({ code: 0, err: "" });
  expect(await publish()).toBe("taken");
});
