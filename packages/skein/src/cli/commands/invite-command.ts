/** `invite`: lets one more device into the mesh. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

export function addInviteCommand(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "invite", "make a code with which one more device may join the mesh")
    .option("--list", "list the invitations instead")
    .option("--revoke <ID>", "close an invitation instead")
    .addHelpText(
      "after",
      "\nExamples:\n  skein invite\n  skein invite --list\n  skein invite --revoke 7f\n\nOn the other device: skein up --join CODE",
    )
    .action(async (options) => {
      const { invite } = await import("../invite.ts");
      setExitCode(await invite(options));
    });
}
