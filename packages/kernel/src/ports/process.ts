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

/** How a job of a {@link Shell} ended. */
export interface JobResult {
  /** As shells have it (126: a program may not be started, 127: it is not there, as if the shell is not); null: it was killed. */
  readonly exitCode: number | null;
  /** What it wrote to standard output and standard error. */
  readonly output: string;
}

/** A shell that stays open and starts programs in place of this process, which is big and stands still while it is copied for one. */
export interface Shell {
  /**
   * Runs `script` beside the other jobs, with `args` as `$1` and so on and nothing to read, and calls `done` exactly once. What is not done `limitMs`
   * after it was begun is killed: the process that runs the script, or what that has become by `exec`.
   */
  run(script: string, args: readonly string[], limitMs: number, done: (result: JobResult) => void): void;
  /** Ends the shell. From now on nothing is run and no job is answered; what runs ends by itself. */
  end(): void;
}

export interface ProcessPort {
  /** Runs to the end, at most `timeoutMs`. Calls `done` exactly once. */
  run(
    command: string,
    args: readonly string[],
    timeoutMs: number,
    done: (result: ProcessResult) => void,
  ): void;
  /** Starts a program. `errorLine` gets each line it writes to standard error; `exited` is called once. */
  start(
    command: string,
    args: readonly string[],
    errorLine: (line: string) => void,
    exited: (result: ProcessResult) => void,
  ): LongProcess;
  /** A shell, which is started when it has something to run, and again when it has died. */
  openShell(): Shell;
}
