/** What keeps a node from starting is said in one sentence with cause and fix, and in the exit code. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { freePorts } from "../support/free-ports.ts";
import { makeNode, runSkein } from "../support/node-process.ts";

function scratch(): string {
  const path = mkdtempSync(join(tmpdir(), "skein-test-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Arguments of a node that would start. */
async function goodArguments(): Promise<string[]> {
  const [mqtt, link, http] = await freePorts(3);
  const args = [
    "up",
    "--no-mdns",
    "--data-dir",
    join(scratch(), "data"),
    "--listen",
    `mqtt://127.0.0.1:${mqtt}`,
  ];
  return [...args, "--link", `127.0.0.1:${link}`, "--http", `127.0.0.1:${http}`];
}

async function takenPort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
  });
  return port;
}

test.each([
  ["--listen", (port: number) => `mqtt://127.0.0.1:${port}`],
  ["--listen", (port: number) => `ws://127.0.0.1:${port}`],
  ["--link", (port: number) => `127.0.0.1:${port}`],
  ["--http", (port: number) => `127.0.0.1:${port}`],
])("a port in use (%s) ends with exit code 1, the port and the option to change", async (option, value) => {
  const port = await takenPort();
  const args = await goodArguments();
  args[args.indexOf(option) + 1] = value(port);
  const { code, err } = await runSkein(args);
  expect(err).toMatch(new RegExp(`^skein: Port ${port} is already in use\\. .*${option} [^\\n]*\\n$`));
  expect(code).toBe(1);
});

test("a file in the way of a Unix socket ends with exit code 1 and its name", async () => {
  const path = join(scratch(), "mqtt.sock");
  writeFileSync(path, "no socket");
  const { code, err } = await runSkein([...(await goodArguments()), "--listen", `unix://${path}`]);
  expect(err).toMatch(
    /^skein: Cannot listen on unix:[^\n]+: a file is in the way that is no socket\. [^\n]+\n$/,
  );
  expect(code).toBe(1);
});

test("a data directory that is a file ends with exit code 1 and its name", async () => {
  const path = join(scratch(), "data");
  writeFileSync(path, "not a directory");
  const args = await goodArguments();
  args[args.indexOf("--data-dir") + 1] = path;
  const { code, err } = await runSkein(args);
  expect(err).toMatch(/^skein: [^\n]+\n$/);
  expect(err).toContain(path);
  expect(code).toBe(1);
});

test.runIf(process.platform === "linux")(
  "a data directory where the kernel makes no folders ends with exit code 1 and its name",
  async () => {
    const path = "/proc/skein/data";
    const args = await goodArguments();
    args[args.indexOf("--data-dir") + 1] = path;
    const { code, err } = await runSkein(args);
    expect(err).toMatch(/^skein: [^\n]+\n$/);
    expect(err).toContain(path);
    expect(code).toBe(1);
  },
);

test("two nodes cannot share a data directory: the second names the first", async () => {
  const node = await makeNode({ name: "a" });
  onTestFinished(() => node.remove());
  await node.start();
  const args = await goodArguments();
  args[args.indexOf("--data-dir") + 1] = node.dataDirectory;
  const { code, err } = await runSkein(args);
  expect(err).toMatch(/^skein: [^\n]+\n$/);
  expect(err).toContain(String(node.pid));
  expect(code).toBe(1);
});

test.each([
  [["--lisen", "mqtt://:1883"], /^skein: Unknown option '--lisen'\. Did you mean --listen\?\n$/],
  [["--listen", "http://localhost"], /^skein: Cannot use --listen "http:\/\/localhost": [^\n]+\n$/],
  [["--mesh-key", "1234"], /^skein: Cannot use --mesh-key: it must be 64 hexadecimal digits[^\n]+\n$/],
  [
    ["--mesh-key", "@/nonexistent"],
    /^skein: Cannot use the mesh key in \/nonexistent: there is no such file\.\n$/,
  ],
  [["--listen", "mqtt://0.0.0.0:1883"], /^skein: [^\n]+--allow-anonymous[^\n]+\n$/],
  [
    ["--listen", "mqtts://127.0.0.1:8883"],
    /^skein: [^\n]+it has no certificate; add --tls-cert FILE [^\n]+\n$/,
  ],
  [
    ["--listen", "mqtts://127.0.0.1:8883?cert=/nonexistent/c.pem"],
    /^skein: Cannot use the certificate \/nonexistent\/c\.pem: there is no such file\. [^\n]+\n$/,
  ],
  [["--listen", "mqtt://127.0.0.1:1883?max-client=3"], /^skein: [^\n]+did you mean max-clients\.\n$/],
])("wrong settings %j end with exit code 2 and one sentence", async (args, sentence) => {
  const { code, err, out } = await runSkein([...(await goodArguments()), ...args]);
  expect(err).toMatch(sentence);
  expect(out).toBe("");
  expect(code).toBe(2);
});

test.each([
  ["members", 3],
  ["status", 1],
])(
  "a node that nobody can reach is one sentence; skein %s ends with exit code %i",
  async (command, expected) => {
    const [port] = await freePorts(1);
    const { code, err } = await runSkein([command, "--http", `127.0.0.1:${port}`]);
    expect(err).toMatch(/^skein: No node answers on 127\.0\.0\.1:\d+\. Start one with: skein up[^\n]+\n$/);
    expect(code).toBe(expected);
  },
);

test("SIGTERM in the middle of starting ends the node cleanly", async () => {
  const node = await makeNode({ name: "a" });
  onTestFinished(() => node.remove());
  node.launch();
  await node.waitForLog("that it started", ({ msg }) => msg === "node started");
  expect(await node.stop()).toEqual({ code: 0, signal: null });
  expect(node.errorText).toBe("");
});
