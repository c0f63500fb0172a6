/** `skein events`: what happened to the mesh. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

export function addEventCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(program, "events", "tell what happened: fail-overs with their times, nodes that came and went")
    .option("--limit <N>", "only the newest N", "20")
    .option("--follow", "go on printing what happens, until Ctrl-C")
    .addHelpText(
      "after",
      "\nTimes of day are this machine's. A ? behind one: the clock of the node was not set then." +
        "\n\nExamples:\n  skein events\n  skein events --follow\n  skein events --json --limit 1 --http 192.168.1.22:7880",
    )
    .action(async (options) => {
      const { events } = await import("../events.ts");
      setExitCode(await events(options));
    });
}
