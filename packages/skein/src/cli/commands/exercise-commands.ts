/** Commands that let something fail on purpose: `test-failover`, `drill`. */

import type { Command } from "commander";
import { nodeCommand, type SetExitCode } from "./command-group.ts";

export function addExerciseCommands(program: Command, setExitCode: SetExitCode): void {
  nodeCommand(
    program,
    "test-failover",
    "move the floating address to another node, and measure what that costs",
  )
    .option("--timeout <SECONDS>", "how long to wait for the clients", "30")
    .addHelpText(
      "after",
      "\nExit code 0: the address and all clients came back. Clients of the address are reset once.\n\nExamples:\n  skein test-failover\n  skein test-failover --json",
    )
    .action(async (options) => {
      const { testFailover } = await import("../test-failover.ts");
      setExitCode(await testFailover(options));
    });
  nodeCommand(program, "drill", "let a node fail in earnest, and watch from this one how the mesh takes it")
    .argument("<KIND>", "kill, pause or partition")
    .argument("<NODE>", "name or id of the node that fails")
    .option("--for <SECONDS>", "how long", "30")
    .option("--yes", "do not ask to type the node's name")
    .option("--force", "even if that stops the mesh")
    .option("--docker", "NODE is a container on this machine (its name, or its label skein.node)")
    .addHelpText(
      "after",
      `
kill       the node ends at once; its supervisor must start it again
pause      the node stands still (SIGSTOP)
partition  the node and the others do not hear each other; its clients still reach it

Examples:
  skein drill pause pi2 --for 30
  skein drill kill pi2 --yes --json
  skein drill partition skein-3 --docker`,
    )
    .action(async (kind, node, options) => {
      const { drill } = await import("../drill.ts");
      setExitCode(await drill(kind, node, options));
    });
}
