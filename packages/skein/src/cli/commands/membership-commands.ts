/** Commands about who belongs to the mesh: `members`, `leave`, `forget`. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

const YES = "do it without being asked";

export function addMembershipCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "members", "list the nodes of the mesh, and what to do about those that are gone")
    .addHelpText("after", "\nExample:\n  skein members")
    .action(async (options) => {
      const { members } = await import("../membership.ts");
      setExitCode(await members(options));
    });
  nodeCommand(
    program,
    "leave",
    "take this node out of its mesh: roles and clients move to the others, and it ends",
  )
    .option("--yes", YES)
    .addHelpText("after", "\nExample:\n  skein leave --yes")
    .action(async (options) => {
      const { leave } = await import("../membership.ts");
      setExitCode(await leave(options));
    });
  nodeCommand(program, "forget", "take a dead node out of the mesh; the last one left founds the mesh anew")
    .argument("<NODE>", "its name or id")
    .option("--yes", YES)
    .addHelpText("after", "\nExamples:\n  skein forget pi3\n  skein forget 5f0c1b2a3d4e5f60 --yes")
    .action(async (node, options) => {
      const { forget } = await import("../membership.ts");
      setExitCode(await forget(node, options));
    });
}
