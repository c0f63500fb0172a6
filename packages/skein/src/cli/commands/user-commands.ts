/** Commands about users: `scram-user`. */

import type { Command } from "commander";
import type { SetExitCode } from "./command-group.ts";

export function addUserCommands(program: Command, setExitCode: SetExitCode): void {
  program
    .command("scram-user")
    .description(
      "print the line of one user for the file of --scram-users; the password is read from standard input",
    )
    .argument("<NAME>", "user name")
    .option(
      "--iterations <N>",
      "how often the password is hashed, by the client at each connect (default: 15000)",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  skein scram-user ann >> users\n  pass show mqtt/ann | skein scram-user ann >> users",
    )
    .action(async (name, options) => {
      const { scramUser } = await import("../scram-user.ts");
      setExitCode(await scramUser(name, options));
    });
}
