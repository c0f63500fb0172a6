/** `ip` and `arping` as the floating address sees them, and what it did, in order, with what else it called. */

import type { LongProcess, ProcessPort, ProcessResult } from "@skein/kernel";

export class FakeProcesses implements ProcessPort {
  /** Everything in order: lines for the batch `ip`, other programs with their arguments, and what the test adds. */
  readonly calls: string[] = [];
  /** Answer of every program that is run to its end. */
  result: ProcessResult = { exitCode: 0, stdout: "", stderr: "" };
  /** The batch `ip` cannot be started at all (no such program). */
  isMissing = false;
  /** The batch `ip` answers every line with this complaint. */
  complaint: string | undefined;
  running = 0;
  #errorLine: (line: string) => void = () => {};
  #exited: (result: ProcessResult) => void = () => {};

  run(
    command: string,
    args: readonly string[],
    _timeoutMs: number,
    done: (result: ProcessResult) => void,
  ): void {
    this.calls.push([command, ...args].join(" "));
    done(this.result);
  }

  start(
    command: string,
    args: readonly string[],
    errorLine: (line: string) => void,
    exited: (result: ProcessResult) => void,
  ): LongProcess {
    this.calls.push(`start ${[command, ...args].join(" ")}`);
    this.#errorLine = errorLine;
    this.#exited = exited;
    if (this.isMissing) exited({ exitCode: null, stdout: "", stderr: "spawn ip ENOENT" });
    else this.running++;
    return {
      writeLine: (line) => {
        this.calls.push(line);
        if (this.complaint !== undefined) this.#errorLine(this.complaint);
      },
      kill: () => {
        this.calls.push("kill");
        this.running--;
      },
    };
  }

  /** The batch `ip` writes `line` to standard error. */
  complain(line: string): void {
    this.#errorLine(line);
  }

  /** The batch `ip` ends by itself. */
  exit(): void {
    this.running--;
    this.#exited({ exitCode: 1, stdout: "", stderr: "" });
  }

  /** The calls since the last `take`. */
  take(): string[] {
    return this.calls.splice(0);
  }
}
