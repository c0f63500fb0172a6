/**
 * The entry of the `skein` program: runs the command line, turns expected errors into one sentence and an exit code.
 *
 * What nobody expected is a bug: it is logged with its stack and ends the process with exit code 1, so that the
 * supervisor starts a fresh one. This is the only place that handles such errors.
 */

import { SkeinError } from "@skein/kernel";
import { EXIT_FAILURE, exitCodeOf } from "./cli/exit-codes.ts";
import { runProgram } from "./cli/program.ts";

function dieOfBug(error: unknown): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `${JSON.stringify({ level: "fatal", time: new Date().toISOString(), stack, msg: "unexpected error" })}\n`,
  );
  process.exit(EXIT_FAILURE);
}

process.on("uncaughtException", dieOfBug);
process.on("unhandledRejection", dieOfBug);
// A reader that goes away (`skein sub | head -1`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  dieOfBug(error);
});

function explain(error: unknown): void {
  if (error instanceof SkeinError) {
    process.stderr.write(`skein: ${error.message}\n`);
    process.exitCode = exitCodeOf(error);
  } else dieOfBug(error);
}

// Not awaited: the bundle is a CommonJS module (tools/bundle.ts), which cannot.
runProgram(process.argv.slice(2)).then((exitCode) => {
  process.exitCode = exitCode;
}, explain);
