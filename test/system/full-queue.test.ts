/** A client that never comes back and fills its queue: who publishes is refused, and the status says why and what to do. */

import { connectAsync } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { makeNode, runSkein } from "../support/node-process.ts";

test("a full queue is named in the status, with a command that ends it", async () => {
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

  const { notes } = await node.waitForStatus("names the client", ({ notes }) => notes.length > 0);
  const [note = ""] = notes;
  expect(note).toMatch(
    /^The queue of client "orphan" had no room for a message.* 2 wait, and it is not connected/,
  );
  await node.waitForLog("the same", ({ msg }) => msg === note);
  const [, command = ""] = /end its session: skein (.*)$/.exec(note) ?? [];
  const args = [...command.split(" "), "-p", String(node.ports.mqtt)];
  expect(await runSkein(args)).toMatchObject({ code: 0, err: "" });
  expect(await publish()).toBe("taken");
});
