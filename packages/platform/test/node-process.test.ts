import type { ProcessResult } from "@skein/kernel";
import { expect, test } from "vitest";
import { systemProcesses } from "../src/machine/node-process.ts";

const processes = systemProcesses();

function run(
  args: readonly string[],
  timeoutMs = 10_000,
  command = process.execPath,
): Promise<ProcessResult> {
  return new Promise((resolve) => processes.run(command, args, timeoutMs, resolve));
}

test("run gives exit code and output; arguments reach the program as they are, without a shell", async () => {
  const script = "console.log(process.argv[1]); console.error('oops'); process.exit(3)";
  expect(await run(["-e", script, "$HOME; `ls` && *"])).toEqual({
    exitCode: 3,
    stdout: "$HOME; `ls` && *\n",
    stderr: "oops\n",
  });
});

test("run kills a program that takes too long: exit code null", async () => {
  const { exitCode, stdout } = await run(["-e", "setInterval(() => {}, 1000)"], 50);
  expect(exitCode).toBeNull();
  expect(stdout).toBe("");
});

test("a program that is not there: exit code null, and the reason", async () => {
  const { exitCode, stderr } = await run([], 1000, "/nonexistent/program");
  expect(exitCode).toBeNull();
  expect(stderr).toContain("ENOENT");
});

test("a program that the system refuses at once, where Node throws: the same, and not before run and start have returned", async () => {
  // E2BIG, as EPERM of a program whose file has capabilities that this process may not get.
  const refused = ["x".repeat(1024 * 1024)];
  let isReturned = false;
  const ends = [
    new Promise<ProcessResult>((resolve) => processes.run(process.execPath, refused, 1000, resolve)),
    new Promise<ProcessResult>((resolve) => {
      const long = processes.start(process.execPath, refused, () => {}, resolve);
      long.writeLine("nobody reads this");
      long.kill();
    }),
  ].map((end) => end.then(({ exitCode, stderr }) => ({ exitCode, stderr, isReturned })));
  isReturned = true;
  for (const end of await Promise.all(ends))
    expect(end).toEqual({ exitCode: null, stderr: expect.stringContaining("E2BIG"), isReturned: true });
});

test("run keeps a bounded part of endless output, and the program can still finish", async () => {
  const { exitCode, stdout } = await run(["-e", "process.stdout.write('x'.repeat(3_000_000))"]);
  expect(exitCode).toBe(0);
  expect(stdout).toHaveLength(1024 * 1024);
});

test("start feeds a program line by line, hands on its error lines, and tells its end once", async () => {
  const script = `
    require("node:readline").createInterface({ input: process.stdin })
      .on("line", (line) => line === "quit" ? process.exit(4) : process.stderr.write("got " + line + "\\nand "));
  `;
  const lines: string[] = [];
  let firstLine: () => void = () => {};
  const hasAnswered = new Promise<void>((resolve) => {
    firstLine = resolve;
  });
  const exits: ProcessResult[] = [];
  await new Promise<void>((resolve) => {
    const program = processes.start(
      process.execPath,
      ["-e", script],
      (line) => {
        lines.push(line);
        firstLine();
      },
      (result) => {
        exits.push(result);
        resolve();
      },
    );
    program.writeLine("addr add");
    void hasAnswered.then(() => {
      program.writeLine("quit");
    });
  });
  expect(lines).toEqual(["got addr add", "and "]);
  expect(exits).toMatchObject([{ exitCode: 4 }]);
});

test("a started program can be killed; writing to it afterwards is harmless", async () => {
  const result = await new Promise<ProcessResult>((resolve) => {
    const program = processes.start(
      process.execPath,
      ["-e", "setInterval(() => {}, 1000)"],
      () => {},
      (end) => {
        program.writeLine("too late");
        resolve(end);
      },
    );
    program.kill();
  });
  expect(result.exitCode).toBeNull();
});
