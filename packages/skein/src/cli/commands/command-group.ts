/**
 * What every group of commands shares. A group lives in a file of its own and is listed in program.ts.
 *
 * A command's code is imported when it runs, so that `skein --help` needs nothing but commander.
 */

import type { Command } from "commander";

export type SetExitCode = (code: number) => void;

/** Registers a group's commands; each tells its exit code when it is done. */
export type CommandGroup = (program: Command, setExitCode: SetExitCode) => void;

export const EXIT_CODES_HELP = `
Exit codes: 0 ok, 1 failure, 2 wrong usage, 3 not reachable, 4 degraded`;

/** A command that asks a running node, or tells it to do something: adds `--http` and `--json`. */
export function nodeCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--http <HOST:PORT>", "node to ask (default: SKEIN_HTTP or 127.0.0.1:7880)")
    .option("--json", "print JSON");
}
