/** Users with passwords on a real node: lines of `skein scram-user`, MQTT.js as the client, a file that changes under way. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type MqttClient } from "mqtt";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { ScramClient } from "../conformance/support/scram.ts";
import { cleanEnvironment, makeNode, type NodeProcess, PROGRAM } from "../support/node-process.ts";

const METHOD = "SCRAM-SHA-256";

const folder = mkdtempSync(join(tmpdir(), "skein-users-"));
const file = join(folder, "users");
let node: NodeProcess;

beforeAll(async () => {
  writeFileSync(file, await lineOf("ann", "pencil"));
  node = await makeNode({ name: "a", args: ["--scram-users", file] });
  await node.start();
});
afterAll(async () => {
  await node?.remove();
  rmSync(folder, { recursive: true });
});

/** What the command prints for a password on its standard input. */
function lineOf(name: string, password: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = [PROGRAM, "scram-user", name, "--iterations", "4096"];
    const child = spawn(process.execPath, args, { env: cleanEnvironment() });
    let out = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
    child.once("close", (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`exit code ${code}`));
    });
    child.stdin.end(`${password}\n`);
  });
}

/** Connects with a password. Resolves when CONNACK has come, rejects with its reason code. */
function connectAs(username: string, password: string): Promise<{ client: MqttClient; scram: ScramClient }> {
  const scram = new ScramClient(username, password);
  const client = connect(node.url, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    properties: { authenticationMethod: METHOD, authenticationData: scram.first },
  });
  onTestFinished(async () => {
    await client.endAsync(true);
  });
  client.handleAuth = (packet, done) => {
    const data = packet.properties?.authenticationData ?? Buffer.alloc(0);
    const authenticationData = scram.final(data);
    done(undefined, {
      cmd: "auth",
      reasonCode: 0x18,
      properties: { authenticationMethod: METHOD, authenticationData },
    });
  };
  return new Promise((resolve, reject) => {
    client.once("error", (error) => reject((error as { code?: unknown }).code));
    client.once("connect", ({ properties }) => {
      expect(String(properties?.authenticationData)).toBe(scram.serverFinal);
      resolve({ client, scram });
    });
  });
}

test("who knows the password comes in and is told that the server knows the user; nobody else does", async () => {
  const { client } = await connectAs("ann", "pencil");
  await client.subscribeAsync("t", { qos: 1 });
  const came = new Promise((resolve) =>
    client.once("message", (_topic, payload) => resolve(String(payload))),
  );
  await client.publishAsync("t", "hello", { qos: 1 });
  expect(await came).toBe("hello");
  await expect(connectAs("ann", "pen")).rejects.toBe(0x86);
  await expect(connectAs("bob", "pencil")).rejects.toBe(0x86);
});

test("without a password nobody comes in, whatever version", async () => {
  for (const [protocolVersion, code] of [
    [5, 0x87],
    [4, 5],
  ] as const) {
    const client = connect(node.url, {
      protocolVersion,
      reconnectPeriod: 0,
      username: "ann",
      password: "pencil",
    });
    onTestFinished(async () => {
      await client.endAsync(true);
    });
    const error = await new Promise((resolve) => client.once("error", resolve));
    expect(error).toMatchObject({ code });
  }
});

test("SIGHUP reads the users again: a new one comes in at once, and who is connected stays", async () => {
  const { client } = await connectAs("ann", "pencil");
  await expect(connectAs("cid", "paper")).rejects.toBe(0x86);
  writeFileSync(file, (await lineOf("ann", "pencil")) + (await lineOf("cid", "paper")));
  process.kill(node.pid ?? 0, "SIGHUP");
  await node.waitForLog("that it read the users", ({ msg }) => msg === "users read again");
  await connectAs("cid", "paper");
  expect(client.connected).toBe(true);
});
