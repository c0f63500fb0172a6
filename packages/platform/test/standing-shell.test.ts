/** With the real shell of this machine. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JobResult, Shell } from "@skein/kernel";
import { expect, onTestFinished, test, vi } from "vitest";
import { systemProcesses } from "../src/machine/node-process.ts";

const LIMIT_MS = 10_000;

function open() {
  const shell = systemProcesses().openShell();
  onTestFinished(() => shell.end());
  return shell;
}

function run(shell: Shell, script: string, args: readonly string[] = [], limitMs = LIMIT_MS) {
  return new Promise<JobResult>((resolve) => shell.run(script, args, limitMs, resolve));
}

/** Of a shell that runs. */
async function pidOf(shell: Shell): Promise<string> {
  return (await run(shell, "echo $$")).output.trim();
}

/** A named pipe, for jobs that wait for each other. */
async function newFifo(shell: Shell): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "skein-shell-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const fifo = join(folder, "fifo");
  await run(shell, 'mkfifo "$1"', [fifo]);
  return fifo;
}

/** Time passes only when the test says so. */
function holdTimers(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Resolves when process `pid` is gone. */
async function gone(pid: string): Promise<void> {
  expect(await run(open(), 'while kill -0 "$1" 2>/dev/null; do :; done', [pid])).toMatchObject({
    exitCode: 0,
  });
}

test("a job ends with its exit code and with what it has written, to its last character", async () => {
  const shell = open();
  expect(await run(shell, "echo out; echo oops >&2; printf '\\na  b\\\\n'; exit 3")).toEqual({
    exitCode: 3,
    output: "out\noops\n\na  b\\n",
  });
  expect(await run(shell, ":")).toEqual({ exitCode: 0, output: "" });
  expect(await run(shell, "cat")).toEqual({ exitCode: 0, output: "" });
});

test("of a job that writes without end the beginning is kept, and its exit code", async () => {
  const script = "i=0; while [ $i -lt 12000 ]; do echo $i; i=$((i + 1)); done; exit 4";
  const { exitCode, output } = await run(open(), script);
  const lines = output.split("\n");
  expect(exitCode).toBe(4);
  expect(lines).toHaveLength(9_999);
  expect([lines[0], lines.at(-1)]).toEqual(["0", "9998"]);
});

test("nothing in an argument means anything to the shell", async () => {
  const shell = open();
  const args = ["$HOME", "`ls`; exit", "'; exit 1 #'", "* ?\\", "-n", '"', "", "two\nlines", "&"];
  const { output } = await run(shell, `printf '<%s>' "$@"`, args);
  expect(output).toBe(args.map((arg) => `<${arg}>`).join(""));
});

test("a program that is not there is 127, one that may not be started 126, and one that a signal ends null", async () => {
  const shell = open();
  expect(await run(shell, "exec no-such-program")).toMatchObject({ exitCode: 127 });
  expect(await run(shell, "exec /dev/null")).toMatchObject({ exitCode: 126 });
  expect(await run(shell, "exec sh -c 'kill -9 $$'")).toEqual({ exitCode: null, output: "" });
});

test("jobs run beside each other, in one shell", async () => {
  const shell = open();
  const before = await pidOf(shell);
  const fifo = await newFifo(shell);
  const [read, written] = await Promise.all([
    run(shell, 'cat "$1"', [fifo]),
    run(shell, 'echo hello >"$1"; echo $$', [fifo]),
  ]);
  expect([read.output, written.output]).toEqual(["hello\n", `${before}\n`]);
});

test("a job that takes too long is killed: exit code null; the shell goes on", async () => {
  const shell = open();
  const before = await pidOf(shell);
  const fifo = await newFifo(shell);
  holdTimers();
  let late: JobResult | undefined;
  shell.run(`exec sh -c 'echo $$ >"$1"; exec sleep 60' sh "$1"`, [fifo], 400, (result) => {
    late = result;
  });
  const { output: pid } = await run(shell, 'cat "$1"', [fifo]);
  // What it does may be known before that it has begun.
  for (let times = 0; late === undefined && times < 20; times++) {
    vi.advanceTimersByTime(400);
    expect(await pidOf(shell)).toBe(before);
  }
  expect(late).toEqual({ exitCode: null, output: "" });
  await gone(pid.trim());
  expect(await pidOf(shell)).toBe(before);
});

test("the time of a job begins with the job, however long its shell was busy", async () => {
  const shell = open();
  const before = await pidOf(shell);
  holdTimers();
  process.kill(Number(before), "SIGSTOP");
  const answer = run(shell, "echo done", [], 100);
  vi.advanceTimersByTime(5000);
  process.kill(Number(before), "SIGCONT");
  expect(await answer).toEqual({ exitCode: 0, output: "done\n" });
});

test("a shell that dies answers what was under way, as not done, and the next job has a new one", async () => {
  const shell = open();
  const before = await pidOf(shell);
  const answers = await Promise.all([run(shell, "exec sleep 60"), run(shell, "kill -9 $$; exec sleep 60")]);
  expect(answers.map(({ exitCode }) => exitCode)).toEqual([1, 1]);
  expect(await pidOf(shell)).not.toBe(before);
});

test("so does one that stands still for ten seconds", async () => {
  const shell = open();
  process.kill(Number(await pidOf(shell)), "SIGSTOP");
  holdTimers();
  const answer = run(shell, "echo done");
  vi.advanceTimersByTime(LIMIT_MS);
  expect(await answer).toMatchObject({ exitCode: 1 });
});

test("without a shell each job is a program that is not there, with the reason; one that comes is used", async () => {
  const shell = open();
  vi.stubEnv("PATH", "/nonexistent");
  onTestFinished(() => void vi.unstubAllEnvs());
  const answers = await Promise.all([run(shell, "true"), run(shell, "true")]);
  for (const answer of answers)
    expect(answer).toEqual({ exitCode: 127, output: expect.stringContaining("ENOENT") });
  vi.unstubAllEnvs();
  expect(await run(shell, "echo here")).toEqual({ exitCode: 0, output: "here\n" });
});

test("end ends the shell, at once, and nothing is answered any more", async () => {
  const shell = open();
  const pid = await pidOf(shell);
  let answers = 0;
  shell.run("exec sleep 60", [], LIMIT_MS, () => answers++);
  shell.end();
  shell.run("true", [], LIMIT_MS, () => answers++);
  await gone(pid);
  expect(answers).toBe(0);
});

test("a shell ends with its node, also where that is killed", async () => {
  const source = new URL("../src/machine/node-process.ts", import.meta.url).href;
  const script = `import { systemProcesses } from ${JSON.stringify(source)};
    systemProcesses().openShell().run("echo $$", [], ${LIMIT_MS}, ({ output }) => process.stdout.write(output));`;
  const node = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [pid] = await once(node.stdout.setEncoding("utf8"), "data");
  node.kill("SIGKILL");
  await gone(String(pid).trim());
});
