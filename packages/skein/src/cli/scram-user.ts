/** `skein scram-user`: prints the line of one user for the file that `--scram-users` names. The password is read, never shown or kept. */

import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { SCRAM_ITERATIONS } from "@skein/broker";
import { SkeinError } from "@skein/kernel";
import { systemRandom } from "@skein/platform";
import { ITERATIONS_MAX, ITERATIONS_MIN, isUserName, userLine } from "../users/user-line.ts";
import { EXIT_OK } from "./exit-codes.ts";
import { wholeNumber } from "./whole-number.ts";

export async function scramUser(name: string, options: { readonly iterations?: string }): Promise<number> {
  if (!isUserName(name)) {
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Cannot use the name ${JSON.stringify(name)}: it must have 1 to 128 printable characters and no colon.`,
    );
  }
  const iterations = iterationsOf(options.iterations);
  const password = await readPassword();
  if (password === "") throw new SkeinError("ERR_SKEIN_CONFIG", "Cannot use an empty password.");
  process.stdout.write(`${await userLine(name, password, systemRandom.bytes, iterations)}\n`);
  return EXIT_OK;
}

function iterationsOf(text: string | undefined): number {
  if (text === undefined) return SCRAM_ITERATIONS;
  return wholeNumber("--iterations", text, ITERATIONS_MIN, ITERATIONS_MAX);
}

/** The first line of standard input. On a terminal it is asked for, and what is typed is not shown. */
function readPassword(): Promise<string> {
  const isTerminal = process.stdin.isTTY === true;
  if (isTerminal) process.stderr.write("Password: ");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: isTerminal });
  return new Promise((resolve) => {
    let password = "";
    lines.once("line", (line) => {
      password = line;
      lines.close();
    });
    lines.once("close", () => {
      if (isTerminal) process.stderr.write("\n");
      resolve(password);
    });
  });
}
