/** Runs a program of this machine to its end. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** @throws {Error} with what the program said, if it fails. */
export async function command(program: string, ...args: readonly string[]): Promise<string> {
  const { PATH = "" } = process.env;
  const { stdout } = await execute(program, [...args], {
    env: { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin`, LC_ALL: "C" },
  });
  return stdout;
}
