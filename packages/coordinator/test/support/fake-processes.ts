/** `ip`, `arping` and `socat` as the floating address sees them, and what it did, in order, with what else it called. */

import type { JobResult, LongProcess, ProcessPort, ProcessResult, Shell } from "@skein/kernel";

export class FakeProcesses implements ProcessPort {
  /** Everything in order: lines for the batch `ip`, other programs with their arguments, and what the test adds. */
  readonly calls: string[] = [];
  /** Answer of every job that nothing below is about. */
  result: JobResult = { exitCode: 0, output: "" };
  /** Who answers probes (`arping -D`, `socat -x`), by Ethernet address. */
  answering: string[] = [];
  /** These programs cannot be run: no such program. */
  readonly missing = new Set<string>();
  /** Nor these: no right to. */
  readonly forbidden = new Set<string>();
  /** What `printf` wrote for programs to read. */
  readonly inputs: Uint8Array[] = [];
  /** The batch `ip` cannot be started at all (no such program). */
  isMissing = false;
  /** The batch `ip` answers every line with this complaint. */
  complaint: string | undefined;
  /** Programs that stay open, shells among them. */
  running = 0;
  /** Programs that the node itself has started and not the shell. */
  started = 0;
  #errorLine: (line: string) => void = () => {};
  #exited: (result: ProcessResult) => void = () => {};

  run(
    command: string,
    args: readonly string[],
    _timeoutMs: number,
    done: (result: ProcessResult) => void,
  ): void {
    this.started++;
    this.calls.push([command, ...args].join(" "));
    done({ exitCode: 0, stdout: "", stderr: "" });
  }

  openShell(): Shell {
    this.running++;
    return {
      run: (script, args, _limitMs, done) => done(this.#shell(script, args)),
      end: () => {
        this.calls.push("end");
        this.running--;
      },
    };
  }

  start(
    command: string,
    args: readonly string[],
    errorLine: (line: string) => void,
    exited: (result: ProcessResult) => void,
  ): LongProcess {
    this.started++;
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

  /** What the scripts of network-tools.ts start: in turn for two arguments each (`while`), or each program that they name. */
  #shell(script: string, args: readonly string[]): JobResult {
    const turns = script.startsWith("while")
      ? Array.from({ length: args.length / 2 }, (_, at) => args.slice(2 * at, 2 * at + 2))
      : [args];
    return turns.map((turn) => this.#turn(script, turn)).at(-1) ?? this.result;
  }

  #turn(script: string, args: readonly string[]): JobResult {
    const input = script.includes("printf") ? unescaped(args[0] ?? "") : undefined;
    if (input !== undefined) this.inputs.push(input);
    const commands = [...script.matchAll(/\b(?:arping|socat) [^|&;]+/g)].map(([command]) =>
      command.trim().replaceAll(/"\$(\d)"/g, (_, at) => args[at - 1] ?? ""),
    );
    this.calls.push(...commands);
    const [command = ""] = commands;
    const program = command.split(" ", 1)[0] as string;
    if (this.missing.has(program)) return { exitCode: 127, output: `sh: 1: ${program}: not found\n` };
    if (this.forbidden.has(program))
      return { exitCode: 126, output: `sh: 1: ${program}: Permission denied\n` };
    if (command.startsWith("arping -D")) return this.#probed();
    if (command.startsWith("socat -x") && input !== undefined && this.answering.length > 0)
      return { exitCode: 0, output: this.answering.map((mac) => solicited(input, mac)).join("") };
    return this.result;
  }

  #probed(): JobResult {
    const output = this.answering.map((mac) => `Unicast reply from 10.0.0.9 [${mac}]  0.5ms\n`).join("");
    // A probe without an answer is killed.
    return { exitCode: output === "" ? null : 1, output };
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

/** What `printf %b` makes of bytes in octal. */
function unescaped(text: string): Uint8Array {
  return Uint8Array.from(text.split("\\").slice(1), (digits) => Number.parseInt(digits, 8));
}

/** What `socat -x` writes of the answer to the neighbour solicitation `question`. */
function solicited(question: Uint8Array, mac: string): string {
  const target = Array.from(question.subarray(8, 24), (byte) => byte.toString(16).padStart(2, "0"));
  const bytes = ["88", "00", "00", "00", "60", "00", "00", "00", ...target, "02", "01", ...mac.split(":")];
  return `< 2026/11/28 19:05:20.000989516  length=32 from=0 to=31\n ${bytes.join(" ")}\n`;
}
