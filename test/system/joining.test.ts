/** Joining with real processes: the first node makes a mesh, a code, one command on the next device, and messages flow. */

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { connect } from "../support/mqtt-clients.ts";
import { makeNode, type NodeProcess, type NodeSettings, runSkein } from "../support/node-process.ts";

const nodes: NodeProcess[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.remove()));
});

/** A node without key; `peers` are where it may ask. */
async function keyless(name: string, peers: readonly NodeProcess[], settings: Partial<NodeSettings> = {}) {
  const addresses = peers.map(({ ports }) => `127.0.0.1:${ports.link}`);
  const node = await makeNode({ name, meshKey: undefined, peers: addresses, ...settings });
  nodes.push(node);
  return node;
}

async function founder(): Promise<NodeProcess> {
  const first = await keyless("pi1", [], { args: ["--mesh", "casa"] });
  await first.start();
  await first.waitForStatus("has a mesh", ({ cluster }) => cluster !== null);
  return first;
}

interface Made {
  readonly code: string;
  readonly id: string;
}

async function invite(node: NodeProcess): Promise<Made> {
  const { code, out, err } = await runSkein(["invite", "--json", "--http", `127.0.0.1:${node.ports.http}`]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return JSON.parse(out) as Made;
}

/** A newcomer that is expected to fail: what it says. */
async function refusal(
  code: string,
  asked: NodeProcess,
): Promise<{ readonly code: number | null; readonly text: string }> {
  const newcomer = await keyless("pi9", [asked], { args: ["--join", code] });
  newcomer.launch();
  const exit = await newcomer.exited();
  return { code: exit.code, text: newcomer.errorText.trim().split("\n").at(-1) ?? "" };
}

test("R9: a second device joins with one command and one code: same mesh, key and settings, retained messages are there, messages flow", async () => {
  const first = await founder();
  const hint = first.log.find(({ msg }) => msg.startsWith("made a new mesh key"));
  expect(hint?.msg).toContain("skein invite");
  const publisher = await connect(first);
  await publisher.publishAsync("home/lamp", "on", { qos: 1, retain: true });
  const { code } = await invite(first);
  const startedAt = performance.now();
  const second = await keyless("pi2", [first], { args: ["--join", code.toUpperCase().replaceAll("-", " ")] });
  await second.start();
  await second.waitForStatus(
    "is one of two",
    ({ members }) => members.filter(({ state }) => state === "alive").length === 2,
  );
  expect(performance.now() - startedAt).toBeLessThan(5000);
  const [key1, key2] = [first, second].map((node) =>
    readFileSync(join(node.dataDirectory, "mesh.key"), "utf8"),
  );
  expect(key2).toBe(key1);
  expect(statSync(join(second.dataDirectory, "mesh.key")).mode & 0o777).toBe(0o600);
  expect(second.errorText).toContain('Found mesh "casa" (pi1).');
  await second.waitForStatus("has what is retained", ({ retained }) => retained === 1);
  const [status1, status2] = [await first.status(), await second.status()];
  expect(status2).toMatchObject({ mesh: "casa", cluster: status1.cluster });

  const subscriber = await connect(second);
  const got: string[] = [];
  const both = new Promise<void>((resolve) => {
    subscriber.on("message", (topic, payload) => {
      if (got.push(`${topic} ${payload}`) === 2) resolve();
    });
  });
  await subscriber.subscribeAsync("home/#", { qos: 1 });
  await publisher.publishAsync("home/door", "open", { qos: 1 });
  await both;
  expect(got.sort()).toEqual(["home/door open", "home/lamp on"]);

  // The joined node keeps what it was given, without the code.
  await second.stop();
  const { out } = await runSkein(["members", "--json", "--http", `127.0.0.1:${first.ports.http}`]);
  expect(out).toContain("pi2");
});

test("a node that has joined starts again without code and flags, from what it was given", async () => {
  const first = await founder();
  const { code } = await invite(first);
  const second = await keyless("pi2", [first], { args: ["--join", code] });
  await second.start();
  await second.stop();
  const again = await keyless("pi2", [], { args: ["--data-dir", second.dataDirectory] });
  await again.start();
  await again.waitForStatus("is back", ({ mesh, members }) => mesh === "casa" && members.length === 2);
});

test("R30: wrong, used, revoked and too many codes: one sentence each, with the next command; the code stays good until it is used", async () => {
  const first = await founder();
  const { code } = await invite(first);
  expect(await refusal("abandon-ability-able-about-above", first)).toEqual({
    code: 1,
    text: `skein: The code is not the one that 127.0.0.1:${first.ports.link} expects. Type it again as skein invite shows it, or make a new one there: skein invite`,
  });
  expect(await refusal("maple-ocaen-river-table-dove", first)).toEqual({
    code: 2,
    text: 'skein: Cannot use this join code: "ocaen" is not a word of any code (did you mean "ocean"?).',
  });
  const second = await keyless("pi2", [first], { args: ["--join", code] });
  await second.start();
  const used =
    "skein: This code has been used already; each lets one device in. Make a new one on a node of the mesh: skein invite";
  expect(await refusal(code, first)).toEqual({ code: 1, text: used });
  // Any member knows.
  expect(await refusal(code, second)).toEqual({ code: 1, text: used });

  const { code: other, id } = await invite(second);
  const http = `127.0.0.1:${first.ports.http}`;
  expect((await runSkein(["invite", "--list", "--http", http])).out).toMatch(
    new RegExp(`^${id} +open +by pi2`),
  );
  expect((await runSkein(["invite", "--revoke", id, "--http", http])).out).toBe(
    `Invitation ${id} is closed.\n`,
  );
  expect((await refusal(other, second)).text).toContain("This code has been revoked.");

  for (let tries = 0; tries < 5; tries++) await refusal("abandon-ability-able-about-above", first);
  expect((await refusal("abandon-ability-able-about-above", first)).text).toMatch(
    /takes no code from this machine for another \d+ s, after too many wrong ones\. Wait, then try again: skein up --join CODE$/,
  );
});

test("R30: a node that has a mesh, a search without mDNS and peers, and a closed door each say what to do", async () => {
  const first = await founder();
  expect((await refusal("maple-ocean-river-table-dove", first)).text).toBe(
    `skein: 127.0.0.1:${first.ports.link} has no invitation. Make one there first: skein invite`,
  );
  const alone = await keyless("pi3", [], { args: ["--join", "maple-ocean-river-table-dove"] });
  alone.launch();
  expect((await alone.exited()).code).toBe(3);
  expect(alone.errorText).toContain("With --no-mdns this node cannot search for the mesh.");
  await first.stop();
  const again = await keyless("pi1", [], {
    args: ["--data-dir", first.dataDirectory, "--join", "maple-ocean-river-table-dove"],
  });
  again.launch();
  expect((await again.exited()).code).toBe(2);
  expect(again.errorText).toContain("This node belongs to a mesh already");
});
