/** Programs of the operating system (`ip`, `arping`, `socat`), so that code which needs privileges can be tested without them. */

/** How a program ended. `exitCode` is null if it could not be started or was killed. */
export interface ProcessResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that stays open and is fed line by line. */
export interface LongProcess {
  writeLine(line: string): void;
  kill(): void;
}

export interface ProcessPort {
  /** Runs to the end, at most `timeoutMs`, with `input` on its standard input. Calls `done` exactly once. */
  run(
    command: string,
    args: readonly string[],
    timeoutMs: number,
    done: (result: ProcessResult) => void,
    input?: Uint8Array,
  ): void;
  /** Starts a program. `errorLine` gets each line it writes to standard error; `exited` is called once. */
  start(
    command: string,
    args: readonly string[],
    errorLine: (line: string) => void,
    exited: (result: ProcessResult) => void,
  ): LongProcess;
}
