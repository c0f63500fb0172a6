/**
 * The MQTT clients of other projects that the tests talk to, as they come with Debian.
 *
 * Where one is missing the test says so loudly, with the command that installs it. CI must have them all: there it fails.
 */

import { type ChildProcessByStdio, execFile, execFileSync, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

const run = promisify(execFile);
const TIMEOUT_MS = 30_000;

/** Whether mosquitto_pub and mosquitto_sub are here. */
export function hasMosquitto(): boolean {
  return isThere("mosquitto_pub", ["--help"], "mosquitto-clients");
}

/** The Python that has Paho, if any. Debian's packages are seen by /usr/bin/python3 only. */
export function pythonWithPaho(): string | undefined {
  return ["/usr/bin/python3", "python3"].find((python) =>
    isThere(python, ["-c", "import paho.mqtt.client"], "python3-paho-mqtt"),
  );
}

/** Runs a program to its end. @throws {Error} if it fails or takes too long; carries what it wrote. */
export async function runProgram(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(command, [...args], { timeout: TIMEOUT_MS });
  return stdout;
}

/** Starts a program whose output is read as it comes. */
export function startProgram(
  command: string,
  args: readonly string[],
): ChildProcessByStdio<null, Readable, null> {
  return spawn(command, [...args], { stdio: ["ignore", "pipe", "inherit"] });
}

const complained = new Set<string>();

function isThere(command: string, args: readonly string[], debianPackage: string): boolean {
  try {
    execFileSync(command, [...args], { stdio: "ignore" });
    return true;
  } catch (error) {
    // mosquitto_pub --help exits with 1.
    if ((error as { status?: number | null }).status === 1 && command.startsWith("mosquitto")) return true;
  }
  const complaint = `${debianPackage} is missing. Install it: apt-get install ${debianPackage}`;
  const { CI = "" } = process.env;
  if (CI !== "" && command !== "/usr/bin/python3") throw new Error(complaint);
  if (!complained.has(debianPackage)) process.stderr.write(`\n*** NOT TESTED: ${complaint}\n\n`);
  complained.add(debianPackage);
  return false;
}
