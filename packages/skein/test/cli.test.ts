/** The command line from its arguments to exit code and output, without a node. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SkeinError } from "@skein/kernel";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { exitCodeOf } from "../src/cli/exit-codes.ts";
import { runProgram } from "../src/cli/program.ts";
import { SETTING_NAMES } from "../src/config/settings.ts";

// Settings of the machine that runs the tests are none of theirs.
beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("SKEIN_")) vi.stubEnv(name, undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Runs one command line and gathers what it writes. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const outSpy = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const errSpy = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    return { code: await runProgram(args), out, err };
  } catch (error) {
    if (!(error instanceof SkeinError)) throw error;
    return { code: exitCodeOf(error), out, err: error.message };
  } finally {
    outSpy.mockRestore();
    errSpy.mockRestore();
  }
}

/** A stand-in for a node's admin API that answers every request alike, or asks `body` each time. */
async function fakeNode(body: unknown): Promise<string> {
  const server = createServer((_, response) =>
    response.end(JSON.stringify(typeof body === "function" ? body() : body)),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const HEALTHY = {
  mesh: "home",
  health: "healthy",
  headline: "Any one node may fail.",
  reasons: [],
  notes: [],
  ifFails: [],
  vip: { address: null, holder: null, heldForMs: null },
  members: [],
  retained: 3,
};

test("--help and version exit with 0; help names every command and the exit codes", async () => {
  const help = await run("--help");
  expect(help.code).toBe(0);
  for (const command of ["up", "demo", "status", "members", "retained", "events", "pub", "sub", "version"])
    expect(help.out).toMatch(new RegExp(`^  ${command} `, "m"));
  expect(help.out).toContain("Exit codes: 0 ok, 1 failure, 2 wrong usage, 3 not reachable, 4 degraded");
  expect(await run("version")).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  expect((await run("--version")).code).toBe(0);
});

test("up --help lists every setting and examples", async () => {
  const { code, out } = await run("up", "--help");
  expect(code).toBe(0);
  for (const setting of SETTING_NAMES) expect(out).toContain(`--${setting}`);
  expect(out).toContain("Examples:");
});

test.each([
  [["up", "--lisen", "mqtt://:1"], "skein: Unknown option '--lisen'. Did you mean --listen?\n"],
  [["stauts"], "skein: Unknown command 'stauts'. Did you mean status?\n"],
  [["status", "--nodes"], "skein: Unknown option '--nodes'. See: skein --help\n"],
  [["pub", "-m", "x"], "skein: Required option '-t, --topic <TOPIC>' not specified. See: skein --help\n"],
])("wrong usage %j is one sentence and exit code 2", async (args, sentence) => {
  expect(await run(...args)).toEqual({ code: 2, out: "", err: sentence });
});

test("no command at all prints the help and exits with 2", async () => {
  const { code, err } = await run();
  expect(code).toBe(2);
  expect(err).toContain("Usage: skein");
});

test.each([
  [["up", "--listen", "nonsense"], /^Cannot use --listen "nonsense": it is not a URL/],
  [["up", "--mesh-key", "abc"], /^Cannot use --mesh-key: it must be 64 hexadecimal digits/],
  [["demo", "--nodes", "99"], /^Cannot use --nodes "99"/],
  [["status", "--http", "here"], /^Cannot use --http "here": it is not HOST:PORT/],
  [["pub", "-t", "a/#", "-m", "x"], /^Cannot use -t "a\/#": a topic to publish to has no \+ and no #/],
  [["pub", "-t", "a"], /^Cannot publish without a message/],
  [["pub", "-t", "a", "-m", "x", "-q", "3"], /^Cannot use -q "3"/],
  [["sub", "-t", "a#"], /^Cannot use -t "a#"/],
  [["sub", "-t", "a", "-V", "mqttv9"], /^Cannot use -V "mqttv9"/],
])("an invalid value %j is one sentence and exit code 2", async (args, sentence) => {
  const { code, err } = await run(...args);
  expect(err).toMatch(sentence);
  expect(err).not.toContain("\n");
  expect(code).toBe(2);
});

test.each([
  [["members", "--http", "127.0.0.1:1"], "No node answers on 127.0.0.1:1. Start one with: skein up"],
  [["pub", "-p", "1", "-t", "a", "-m", "x"], "No broker answers on localhost:1. Start one with: skein up"],
  [["sub", "-p", "1", "-t", "a"], "No broker answers on localhost:1. Start one with: skein up"],
])("nobody there %j is one sentence and exit code 3", async (args, sentence) => {
  const { code, err } = await run(...args);
  expect(err).toContain(sentence);
  expect(code).toBe(3);
});

test("status exits with 0 when healthy, 4 when degraded, 1 when down, and prints the document with --json", async () => {
  const healthy = await fakeNode(HEALTHY);
  expect(await run("status", "--http", healthy)).toMatchObject({ code: 0, err: "" });
  const degraded = { ...HEALTHY, health: "degraded", headline: "DEGRADED: pi3 is unreachable." };
  const answer = await run("status", "--json", "--http", await fakeNode(degraded));
  expect(answer.code).toBe(4);
  expect(JSON.parse(answer.out)).toEqual(degraded);
  expect((await run("status", "--http", await fakeNode({ ...HEALTHY, health: "down" }))).code).toBe(1);
});

test("a node that cannot be asked for its status is down: exit code 1, in one sentence", async () => {
  expect(await run("status", "--http", "127.0.0.1:1")).toEqual({
    code: 1,
    out: "",
    err: "skein: No node answers on 127.0.0.1:1. Start one with: skein up, or name another with --http HOST:PORT\n",
  });
});

test("status --wait healthy asks until the node is, or says how it is when time is up", async () => {
  let asked = 0;
  const node = await fakeNode(() => (++asked < 3 ? { ...HEALTHY, health: "degraded" } : HEALTHY));
  expect((await run("status", "--wait", "healthy", "--timeout", "30s", "--http", node)).code).toBe(0);
  expect(asked).toBe(3);
  const degraded = await fakeNode({ ...HEALTHY, health: "degraded" });
  expect((await run("status", "--wait", "healthy", "--timeout", "1", "--http", degraded)).code).toBe(4);
  expect((await run("status", "--wait", "happy", "--http", node)).code).toBe(2);
});

test("SKEIN_HTTP names the node to ask", async () => {
  vi.stubEnv("SKEIN_HTTP", await fakeNode([]));
  expect(await run("members", "--json")).toMatchObject({ code: 0, out: "[]\n" });
});

test("retained prints count and digest, and with --entries topics and payloads", async () => {
  const entries = [{ topic: "home/lamp", payload: Buffer.from("on").toString("base64") }];
  const node = await fakeNode({ count: 1, digest: "abcd", entries });
  expect((await run("retained", "--entries", "--http", node)).out).toBe("home/lamp on\n");
  const summary = await fakeNode({ count: 1, digest: "abcd" });
  expect((await run("retained", "--http", summary)).out).toBe("1 retained messages, digest abcd\n");
});

test("events are lines with the time of day, a date where it changes, and safe for a terminal", async () => {
  const startMs = new Date(2026, 10, 26, 19, 2, 11).getTime();
  const event = {
    id: "a",
    startMs,
    isClockDoubtful: false,
    text: "pi1 lost power\x1b[2J or network",
    isOver: true,
  };
  const next = {
    ...event,
    id: "b",
    startMs: startMs + 86_400_000,
    isClockDoubtful: true,
    text: "pi1 stopped",
  };
  const node = await fakeNode([event, next]);
  expect((await run("events", "--http", node)).out).toBe(
    "2026-11-26\n19:02:11  pi1 lost power\\x1b[2J or network\n2026-11-27\n19:02:11? pi1 stopped\n",
  );
  expect(JSON.parse((await run("events", "--json", "--http", node)).out)).toEqual([event, next]);
  expect((await run("events", "--http", await fakeNode([]))).out).toBe("Nothing has happened yet.\n");
  expect((await run("events", "--limit", "0")).code).toBe(2);
});

test("something else on the port is not mistaken for a node", async () => {
  const server = createServer((_, response) => response.writeHead(404).end("not here"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(await run("members", "--http", address)).toMatchObject({
    code: 3,
    err: `What answers on ${address} is not a Skein node. Name the right one with --http HOST:PORT`,
  });
});
