/** `merge` and `conflicts`: two clusters of one mesh that have met. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

export function addMergeCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "merge", "merge with the other cluster of this mesh that is in sight")
    .option("--approve", "agree to it; without this, say how it stands")
    .addHelpText("after", "\nExamples:\n  skein merge\n  skein merge --approve")
    .action(async (options) => {
      const { merge } = await import("../merge.ts");
      setExitCode(await merge(options));
    });
  nodeCommand(
    program,
    "conflicts",
    "list the retained values that gave way to others, in a merge or after a loss of the quorum",
  )
    .option("--clear", "forget them")
    .addHelpText(
      "after",
      "\nExamples:\n  skein conflicts\n  skein conflicts --json\n  skein conflicts --clear",
    )
    .action(async (options) => {
      const { conflicts } = await import("../merge.ts");
      setExitCode(await conflicts(options));
    });
}
