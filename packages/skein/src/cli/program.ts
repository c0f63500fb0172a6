/**
 * The command line: gathers the groups of commands, and explains wrong usage in one sentence with exit code 2.
 *
 * Each group registers itself from a file of its own (commands/).
 */

import { Command, CommanderError } from "commander";
import { type CommandGroup, EXIT_CODES_HELP, type SetExitCode } from "./commands/command-group.ts";
import { addEventCommands } from "./commands/event-commands.ts";
import { addExerciseCommands } from "./commands/exercise-commands.ts";
import { addInviteCommand } from "./commands/invite-command.ts";
import { addMembershipCommands } from "./commands/membership-commands.ts";
import { addMergeCommands } from "./commands/merge-commands.ts";
import { addMqttCommands } from "./commands/mqtt-commands.ts";
import { addQueryCommands } from "./commands/query-commands.ts";
import { addRunCommands } from "./commands/run-commands.ts";
import { addUserCommands } from "./commands/user-commands.ts";
import { EXIT_OK, EXIT_USAGE } from "./exit-codes.ts";
import { VERSION } from "./version.ts";

/** In the order of the help. */
const GROUPS: readonly CommandGroup[] = [
  addRunCommands,
  addInviteCommand,
  addQueryCommands,
  addMembershipCommands,
  addEventCommands,
  addMergeCommands,
  addExerciseCommands,
  addMqttCommands,
  addUserCommands,
];

/** Runs one command line (without program and script name). Returns the exit code. @throws {SkeinError} what the command throws */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode = EXIT_OK;
  const program = buildProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is no mistake; help shown because the command was missing is one.
    return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  }
  return exitCode;
}

function buildProgram(setExitCode: SetExitCode): Command {
  const program = new Command("skein");
  program
    .description(
      "A self-organizing mesh of MQTT brokers: several small computers, one address, nothing lost.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageSentence(text)) })
    .addHelpText(
      "after",
      `\nExamples:\n  skein demo\n  skein up --allow-anonymous\n  skein status${"\n"}${EXIT_CODES_HELP}`,
    );
  for (const addCommands of GROUPS) addCommands(program, setExitCode);
  program
    .command("version")
    .description("print the version")
    .action(() => {
      process.stdout.write(`${VERSION}\n`);
    });
  return program;
}

/** `error: unknown option '--lisen'\n(Did you mean --listen?)` -> one sentence. */
function usageSentence(text: string): string {
  const [problem = "", ...hints] = text.trim().split("\n");
  const sentence = problem.replace(/^error: /, "").replace(/\.$/, "");
  const hint = hints.join(" ").replace(/^\((.*)\)$/, "$1");
  return `skein: ${sentence[0]?.toUpperCase() ?? ""}${sentence.slice(1)}. ${hint === "" ? "See: skein --help" : hint}\n`;
}
