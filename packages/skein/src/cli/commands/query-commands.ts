/** Commands that look at a running node: `status`, `retained`. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

export function addQueryCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "status", "say how the mesh is, and what one more failure would do")
    .option("--wait <HEALTH>", "ask until the node is healthy")
    .option("--timeout <SECONDS>", "for at most this long, with --wait", "30")
    .option("--watch", "print it anew every second, until Ctrl-C")
    .addHelpText(
      "after",
      "\nExamples:\n  skein status\n  skein status --wait healthy --timeout 30s\n  skein status --json --http 192.168.1.21:7880\n" +
        "\nExit codes: 0 healthy, 4 degraded, 1 down or nobody answers, 2 wrong usage",
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
