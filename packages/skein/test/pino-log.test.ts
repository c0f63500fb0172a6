import { expect, test } from "vitest";
import { openLog } from "../src/pino-log.ts";

interface Line {
  readonly time?: string;
  readonly error?: unknown;
}

async function logged(write: (log: Awaited<ReturnType<typeof openLog>>) => void): Promise<readonly Line[]> {
  const lines: Line[] = [];
  write(
    await openLog({
      level: "info",
      isTerminal: false,
      isColored: false,
      write: (line) => lines.push(JSON.parse(line)),
    }),
  );
  return lines;
}

test("each line carries level, time, component and fields", async () => {
  const [line] = await logged((log) => log.component("raft").warn({ term: 3 }, "lost leader"));
  expect(line).toMatchObject({ level: "warn", component: "raft", term: 3, msg: "lost leader" });
  expect(Date.parse(String(line?.time))).not.toBeNaN();
});

test("lines below the level are not written", async () => {
  expect(await logged((log) => log.debug({}, "chosen"))).toEqual([]);
});

test.each(["key", "meshKey", "mesh-key", "psk", "password", "payload"])(
  "a field called %s never appears, however deep",
  async (name) => {
    const lines = await logged((log) => {
      log.info({ [name]: "hunter2" }, "top");
      log.info({ options: { [name]: "hunter2" } }, "nested");
      log.info({ node: { options: { [name]: "hunter2" } } }, "deeper");
    });
    expect(lines).toHaveLength(3);
    expect(JSON.stringify(lines)).not.toContain("hunter2");
  },
);

test("an error keeps its message and stack", async () => {
  const [line] = await logged((log) => log.error({ error: new Error("disk full") }, "stopping"));
  expect(line?.error).toMatchObject({
    message: "disk full",
    stack: expect.stringContaining("Error: disk full"),
  });
});
