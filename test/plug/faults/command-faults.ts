/** Leaves the faults to a command of the user's, so that brokers of any kind can be struck. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { FaultKind } from "../settings.ts";
import type { FaultHook } from "./fault-schedule.ts";

const run = promisify(execFile);
const COMMAND_MAX_MS = 60_000;

const UNDO = { kill: "start", pause: "unpause", disconnect: "connect" } as const;

export class CommandFaults implements FaultHook {
  readonly #command: string;

  constructor(command: string) {
    this.#command = command;
  }

  async strike(kind: FaultKind, broker: number): Promise<void> {
    await this.#run(kind, broker);
  }

  async undo(kind: FaultKind, broker: number): Promise<void> {
    await this.#run(UNDO[kind], broker);
  }

  /** The command that undoes a fault returns when it has. */
  async whole(): Promise<void> {}

  async #run(action: string, broker: number): Promise<void> {
    await run("sh", ["-c", `${this.#command} "$@"`, "sh", action, String(broker)], {
      timeout: COMMAND_MAX_MS,
    });
  }
}
