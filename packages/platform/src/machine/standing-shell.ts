/**
 * A shell that stays open and starts programs, so that the node does not.
 *
 * Starting a program copies the page tables of whoever starts it: of a node that takes 2 ms in which its event loop stands still, 50 to 450 ms on a
 * busy machine, and afterwards every page that the node writes to is copied too. A shell is small. It reads what it has to do from its standard
 * input, as any shell does: one line for each job, which it carries out in the background; so jobs run beside each other, and it waits
 * for none. It ends with its input, that is with the node, however that ends.
 *
 * On its standard output, with the number of the job: `7=123` its process, which is what is killed when its time has passed; `7:text` a line that it
 * wrote; `7.` that all is said, and the last line was the exit code.
 *
 * Source: POSIX.1-2017, Shell Command Language; measured: docs/floating-address.md.
 */

import type { ChildProcess } from "node:child_process";
import type { JobResult, ProcessResult, Shell } from "@skein/kernel";

/**
 * `jobs` makes the shell forget those that have ended: dash and BusyBox would keep 100 bytes of each. A line break comes before the exit code,
 * because what was written may end without one. Descriptor 3 is the way past the pipe; what is started does not get it.
 */
const JOB = `exec 3>&1
job() {
  jobs >/dev/null
  n=$1 script=$2
  shift 2
  { eval "$script" 2>&1 3>&- & echo "$n=$!" >&3; wait $!; printf '\\n%s\\n' $?; } |
  { while IFS= read -r line; do printf '%s\\n' "$n:$line"; done; echo "$n."; } 3>&- &
}`;
const HEARD = /^(\d+)([=:.])(.*)$/s;
/** To begin a job takes the shell some starts of processes. One that has not done it by then is stuck. */
const STUCK_MS = 10_000;
/** Kept of what a job writes: a network may answer a question with anything. The exit code, which comes last, is among them. */
const LINES_MAX = 10_000;
/** Of what the shell itself complains of. */
const COMPLAINT_CHARS_MAX = 1000;
/** Exit codes from here on tell of a signal. */
const SIGNALLED = 128;
const NOT_FOUND = 127;

interface Job {
  readonly limitMs: number;
  readonly done: (result: JobResult) => void;
  readonly lines: string[];
  /** Until it has begun: the shell's; then its own. */
  timer: NodeJS.Timeout;
}

/** Starts a shell with pipes, or returns undefined and calls `failed` soon. */
type Launch = (failed: (result: ProcessResult) => void) => ChildProcess | undefined;

export class StandingShell implements Shell {
  readonly #launch: Launch;
  /** The shell that runs; undefined: none yet, or it has died. */
  #child: ChildProcess | undefined;
  /** Not answered yet, by number. */
  readonly #jobs = new Map<number, Job>();
  #count = 0;
  #isEnded = false;

  constructor(launch: Launch) {
    this.#launch = launch;
  }

  run(script: string, args: readonly string[], limitMs: number, done: (result: JobResult) => void): void {
    if (this.#isEnded) return;
    this.#child ??= this.#start();
    const timer = setTimeout(() => this.#child?.kill("SIGKILL"), STUCK_MS);
    this.#jobs.set(++this.#count, { limitMs, done, lines: [], timer });
    this.#write(["job", this.#count, ...[script, ...args].map(quoted)].join(" "));
  }

  end(): void {
    this.#isEnded = true;
    for (const { timer } of this.#jobs.values()) clearTimeout(timer);
    this.#jobs.clear();
    this.#child?.kill("SIGKILL");
    if (this.#child !== undefined) letGo(this.#child);
  }

  #start(): ChildProcess | undefined {
    const child = this.#launch(({ stderr }) => this.#died(NOT_FOUND, stderr));
    if (child === undefined) return undefined;
    // Writing to a shell that has ended fails; `exit` tells of that.
    child.stdin?.on("error", () => {});
    let rest = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#hear(line);
    });
    let complaints = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaints = (complaints + text).slice(-COMPLAINT_CHARS_MAX);
    });
    child.on("error", (error) => {
      // Also comes when a signal could not be sent to one that runs on; only without a pid was it never started.
      if (child.pid === undefined) this.#died(NOT_FOUND, error.message);
    });
    child.on("exit", (exitCode) => {
      letGo(child);
      // Not done, whatever it says itself.
      this.#died(exitCode || 1, complaints);
    });
    this.#child = child;
    this.#write(JOB);
    return child;
  }

  #write(text: string): void {
    if (this.#child?.stdin?.writable === true) this.#child.stdin.write(`${text}\n`);
  }

  #hear(line: string): void {
    const [, number, kind, text = ""] = HEARD.exec(line) ?? [];
    const job = this.#jobs.get(Number(number));
    // One that was killed may have left something behind that still writes.
    if (job === undefined) return;
    if (kind === ":") {
      if (job.lines.length === LINES_MAX) job.lines.pop();
      job.lines.push(text);
    } else if (kind === ".") {
      const exitCode = Number(job.lines.pop());
      this.#answer(Number(number), exitCode > SIGNALLED ? null : exitCode);
    } else {
      clearTimeout(job.timer);
      job.timer = setTimeout(() => {
        this.#write(`kill -9 ${text}`);
        this.#answer(Number(number), null);
      }, job.limitMs);
    }
  }

  #answer(number: number, exitCode: number | null, complaint = ""): void {
    const job = this.#jobs.get(number);
    if (job === undefined) return;
    this.#jobs.delete(number);
    clearTimeout(job.timer);
    job.done({ exitCode, output: job.lines.join("\n") + complaint });
  }

  #died(exitCode: number, complaint: string): void {
    this.#child = undefined;
    for (const number of [...this.#jobs.keys()]) this.#answer(number, exitCode, complaint);
  }
}

/** What it has started holds its pipes open; the node must not wait for that. */
function letGo({ stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
}

/** Nothing in it means anything to a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
