/**
 * Programs of the operating system, started without a shell, so that no argument is ever interpreted.
 *
 * Output is gathered up to a limit; a program that writes more is still read, so that it does not block.
 */

import { type ChildProcess, spawn } from "node:child_process";
import type { LongProcess, ProcessPort, ProcessResult } from "@skein/kernel";
import { StandingShell } from "./standing-shell.ts";

/** Kept of what a program writes, per stream. The rest is read and dropped. */
const OUTPUT_CHARS_MAX = 1024 * 1024;
/** Longest line handed on; a longer one comes in pieces. */
const LINE_CHARS_MAX = 64 * 1024;
/** Input a program may be behind with. Beyond that it hangs, and is killed. */
const INPUT_BYTES_MAX = 1024 * 1024;

/** The process port on this machine. Programs run with `LC_ALL=C`, so that their messages can be read by us. */
export function systemProcesses(): ProcessPort {
  return { run, start, openShell: () => new StandingShell((failed) => launch("sh", [], "pipe", failed)) };
}

function run(
  command: string,
  args: readonly string[],
  timeoutMs: number,
  done: (result: ProcessResult) => void,
): void {
  const child = launch(command, args, "ignore", done);
  if (child === undefined) return;
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    // A grandchild may hold the pipes open; the result must not wait for it.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, timeoutMs);
  follow(child, undefined, (result) => {
    clearTimeout(timer);
    done(result);
  });
}

function start(
  command: string,
  args: readonly string[],
  errorLine: (line: string) => void,
  exited: (result: ProcessResult) => void,
): LongProcess {
  const child = launch(command, args, "pipe", exited);
  if (child === undefined) return { writeLine: () => {}, kill: () => {} };
  // Writing to a program that has ended fails; `exited` tells of that.
  child.stdin?.on("error", () => {});
  follow(child, errorLine, exited);
  return {
    writeLine: (line) => {
      const { stdin } = child;
      if (stdin?.writable !== true) return;
      stdin.write(`${line}\n`);
      if (stdin.writableLength > INPUT_BYTES_MAX) child.kill("SIGKILL");
    },
    kill: () => {
      child.kill("SIGKILL");
    },
  };
}

/**
 * Undefined: it cannot be started, and `done` is called soon. Node throws for some reasons (EPERM: the file has capabilities that this process
 * may not get) and tells of others by an event.
 */
function launch(
  command: string,
  args: readonly string[],
  stdin: "pipe" | "ignore",
  done: (result: ProcessResult) => void,
): ChildProcess | undefined {
  try {
    return spawn(command, [...args], { stdio: [stdin, "pipe", "pipe"], env: environment() });
  } catch (error) {
    const stderr = error instanceof Error ? error.message : String(error);
    setImmediate(() => done({ exitCode: null, stdout: "", stderr }));
    return undefined;
  }
}

/** Gathers output until the program has ended, and calls `done` once. */
function follow(
  child: ChildProcess,
  errorLine: ((line: string) => void) | undefined,
  done: (result: ProcessResult) => void,
): void {
  let stdout = "";
  let stderr = "";
  let line = "";
  let isDone = false;
  const finish = (exitCode: number | null): void => {
    if (isDone) return;
    isDone = true;
    if (line !== "") errorLine?.(line);
    done({ exitCode, stdout, stderr });
  };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(0, OUTPUT_CHARS_MAX);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(0, OUTPUT_CHARS_MAX);
    if (errorLine === undefined) return;
    const lines = (line + text).split("\n");
    line = lines.pop() ?? "";
    for (const whole of lines) errorLine(whole);
    if (line.length > LINE_CHARS_MAX) {
      errorLine(line);
      line = "";
    }
  });
  child.on("error", (error) => {
    // Also comes when a signal could not be sent to a program that runs on; only without a pid was it never started.
    if (child.pid !== undefined) return;
    stderr = error.message;
    finish(null);
  });
  child.on("close", (exitCode) => finish(exitCode));
}

function environment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: "C" };
}
