/** `ip`, `arping` and `socat` as the floating address sees them, and what it did, in order, with what else it called. */

import type { LongProcess, ProcessPort, ProcessResult } from "@skein/kernel";

export class FakeProcesses implements ProcessPort {
  /** Everything in order: lines for the batch `ip`, other programs with their arguments, and what the test adds. */
  readonly calls: string[] = [];
  /** Answer of every program that is run to its end. */
  result: ProcessResult = { exitCode: 0, stdout: "", stderr: "" };
  /** Who answers probes (`arping -D`, `socat -x`), by Ethernet address. */
  answering: string[] = [];
  /** These programs cannot be run: no such program. */
  readonly missing = new Set<string>();
  /** Nor these: no right to. */
  readonly forbidden = new Set<string>();
  /** What programs got on their standard input. */
  readonly inputs: Uint8Array[] = [];
  /** The batch `ip` cannot be started at all (no such program). */
  isMissing = false;
  /** The batch `ip` answers every line with this complaint. */
  complaint: string | undefined;
  running = 0;
  /** How many shells were started, for whatever they started. */
  shells = 0;
  #errorLine: (line: string) => void = () => {};
  #exited: (result: ProcessResult) => void = () => {};

  run(
    command: string,
    args: readonly string[],
    _timeoutMs: number,
    done: (result: ProcessResult) => void,
    input?: Uint8Array,
  ): void {
    if (command === "sh") {
      done(this.#shell(args.slice(3)));
      return;
    }
    this.calls.push([command, ...args].join(" "));
    if (input !== undefined) this.inputs.push(input);
    if (this.missing.has(command)) done({ exitCode: null, stdout: "", stderr: `spawn ${command} ENOENT` });
    else if (this.forbidden.has(command))
      done({ exitCode: null, stdout: "", stderr: `spawn ${command} EPERM` });
    else if (command === "arping" && args[0] === "-D") done(this.#probed());
    else if (args[0] === "-x" && input !== undefined && this.answering.length > 0)
      done({ exitCode: 0, stdout: "", stderr: this.answering.map((mac) => solicited(input, mac)).join("") });
    else done(this.result);
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

  /** What the scripts of network-tools.ts start for their arguments: interface and address to announce, or segments and their ways. */
  #shell(args: readonly string[]): ProcessResult {
    this.shells++;
    const isTickle = args[0]?.startsWith("\\") === true;
    if (!isTickle)
      for (const form of ["-U", "-A"]) this.calls.push(`arping ${form} -c 1 -w 1 -I ${args.join(" ")}`);
    for (let at = 0; isTickle && at < args.length; at += 2) {
      this.calls.push(`socat -u - ${args[at + 1]}`);
      const octal = (args[at] as string).split("\\").slice(1);
      this.inputs.push(Uint8Array.from(octal, (digits) => Number.parseInt(digits, 8)));
    }
    const program = isTickle ? "socat" : "arping";
    const stderr = `sh: 1: ${program}: not found`;
    return this.missing.has(program) ? { exitCode: 127, stdout: "", stderr } : this.result;
  }

  #probed(): ProcessResult {
    const stdout = this.answering.map((mac) => `Unicast reply from 10.0.0.9 [${mac}]  0.5ms\n`).join("");
    // A probe without an answer is ended by its timeout.
    return { exitCode: stdout === "" ? null : 1, stdout, stderr: "" };
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

/** What `socat -x` writes of the answer to the neighbour solicitation `question`. */
function solicited(question: Uint8Array, mac: string): string {
  const target = Array.from(question.subarray(8, 24), (byte) => byte.toString(16).padStart(2, "0"));
  const bytes = ["88", "00", "00", "00", "60", "00", "00", "00", ...target, "02", "01", ...mac.split(":")];
  return `< 2026/11/28 19:05:20.000989516  length=32 from=0 to=31\n ${bytes.join(" ")}\n`;
}
