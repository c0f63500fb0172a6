/** Commands that look at a running node: `status`, `retained`. */

import type { Command } from "commander";
import { EXIT_CODES_HELP, nodeCommand, type SetExitCode } from "./command-group.ts";

export function addQueryCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "status", "say how the mesh is")
    .addHelpText(
      "after",
      `\nExamples:\n  skein status\n  skein status --json --http 192.168.1.21:7880\n${EXIT_CODES_HELP}`,
    )
    .action(async (options) => {
      const { status } = await import("../status.ts");
      setExitCode(await status(options));
    });
  nodeCommand(program, "retained", "count the retained messages of the mesh, with a digest to compare nodes")
    .option("--entries", "list topics and payloads too")
    .addHelpText("after", "\nExamples:\n  skein retained\n  skein retained --entries")
    .action(async (options) => {
      const { retained } = await import("../status.ts");
      setExitCode(await retained(options));
    });
}
