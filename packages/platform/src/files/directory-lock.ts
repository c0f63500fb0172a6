/**
 * Keeps two nodes out of one data directory.
 *
 * A file `lock` names the process that uses the directory and when that process was started; a process id alone is
 * reused, in containers at once (every container's first process is 1). A lock whose process is gone is stale and is
 * taken over, so a node that was killed starts again without help. Processes in different containers cannot see each
 * other; a directory shared by two containers is not noticed.
 */

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../system-error.ts";

/** Attempts before giving up, where others take and give back the lock at the same time. */
const ATTEMPTS_MAX = 5;

/** A lock that is held. */
export interface DirectoryLock {
  release(): void;
}

/** Takes the lock of `directory`, or returns the id of the process that has it. Errors of the file system are thrown. */
export function lockDirectory(directory: string): DirectoryLock | { readonly heldBy: number } {
  const path = join(directory, "lock");
  const own = `${process.pid} ${startTimeOf(process.pid) ?? "unknown"}\n`;
  let holder = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    try {
      writeFileSync(path, own, { flag: "wx", mode: 0o600 });
      return { release: () => release(path, own) };
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const found = readLock(path);
    if (found === undefined) continue;
    const { pid, startTime } = parse(found);
    if (isRunning(pid, startTime)) return { heldBy: pid };
    holder = pid;
    removeStale(path, found);
  }
  return { heldBy: holder };
}

function release(path: string, own: string): void {
  if (readLock(path) === own) rmSync(path, { force: true });
}

/** Removes the lock if it still is the stale one: another process may have replaced it in the meantime. */
function removeStale(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  if (readLock(aside) === stale) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

function readLock(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function parse(text: string): { readonly pid: number; readonly startTime: string | undefined } {
  const [pid = "", startTime] = text.trim().split(" ");
  return { pid: Number.parseInt(pid, 10), startTime };
}

function isRunning(pid: number, startTime: string | undefined): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as another user.
    if (codeOf(error) !== "EPERM") return false;
  }
  const actual = startTimeOf(pid);
  return actual === undefined || startTime === undefined || startTime === "unknown" || actual === startTime;
}

/** When a process started, in clock ticks since the machine did; undefined where there is no `/proc`. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the name in parentheses and may hold anything; the start time is field 22.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    // No /proc (not Linux), or the process has just ended: then the process id has to do.
    return undefined;
  }
}
