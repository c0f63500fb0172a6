/** SIGHUP asks a node to read its certificates again; when it comes because a terminal was closed, it ends the node. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { freePorts } from "../support/free-ports.ts";
import { cleanEnvironment, PROGRAM } from "../support/node-process.ts";

/** Runs a program in a terminal of its own, which is closed as soon as standard input ends. Tells its process id and its end. */
const TERMINAL = `
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
print("pid", pid, flush=True)
while 0 not in select.select([terminal, 0], [], [])[0]:
    sys.stdout.write(os.read(terminal, 4096).decode(errors="replace"))
    sys.stdout.flush()
os.close(terminal)
os.waitpid(pid, 0)
print("it has ended", flush=True)
`;

test("SIGHUP leaves a node in a terminal running, and ends it when the terminal has been closed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "skein-terminal-"));
  const [mqtt, link, http] = await freePorts(3);
  const args = [
    "up",
    "--no-mdns",
    "--data-dir",
    join(folder, "data"),
    "--listen",
    `mqtt://127.0.0.1:${mqtt}`,
  ];
  args.push("--link", `127.0.0.1:${link}`, "--http", `127.0.0.1:${http}`);
  const terminal = spawn("python3", ["-c", TERMINAL, process.execPath, PROGRAM, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
    env: cleanEnvironment(),
  });
  let text = "";
  terminal.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  const says = (what: RegExp): Promise<unknown> =>
    eventually(`the terminal shows ${what}`, { withinMs: 20_000 }, async () => expect(text).toMatch(what));
  onTestFinished(() => {
    terminal.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  await says(/node started/);
  const pid = Number(/pid (\d+)/.exec(text)?.[1]);
  let hasEnded = false;
  onTestFinished(() => {
    if (!hasEnded) process.kill(pid, "SIGKILL");
  });
  process.kill(pid, "SIGHUP");
  await says(/no certificates to read again/);
  const response = await fetch(`http://127.0.0.1:${http}/healthz`);
  expect(response.status).toBe(200);
  await response.body?.cancel();

  terminal.stdin.end();
  await says(/it has ended/);
  hasEnded = true;
  await expect(fetch(`http://127.0.0.1:${http}/healthz`)).rejects.toThrow();
});
