/** `skein demo`, as `npm run demo` runs it: forms a mesh, says how to use it, reports what happens, cleans up. */

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connectAsync } from "mqtt";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { freePortRange } from "../support/free-ports.ts";
import { cleanEnvironment, PROGRAM, runSkein } from "../support/node-process.ts";

/** Where links and API are, seen from the first MQTT port (demo-options.ts). */
const OFFSETS = [7900 - 1883, 7880 - 1883];

class Demo {
  readonly #process: ChildProcess;
  readonly ended: Promise<number | null>;
  text = "";

  constructor(args: readonly string[]) {
    this.#process = spawn(process.execPath, [PROGRAM, "demo", ...args], {
      stdio: ["ignore", "pipe", "inherit"],
      env: cleanEnvironment(),
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.text += text;
    });
    this.ended = new Promise((resolve) => this.#process.once("close", resolve));
    onTestFinished(async () => {
      this.#process.kill("SIGTERM");
      await this.ended;
    });
  }

  async printed(what: RegExp): Promise<RegExpExecArray> {
    const seen = await eventually(`the demo prints ${what}`, { withinMs: 60_000 }, async () => {
      const match = what.exec(this.text);
      if (match === null) throw new Error(this.text);
      return match;
    });
    return seen.value;
  }

  interrupt(): void {
    this.#process.kill("SIGINT");
  }
}

test.each([3, 5])(
  "a demo of %i nodes forms one mesh, reports a death, and Ctrl-C stops everything",
  async (count) => {
    const base = await freePortRange(count, OFFSETS);
    const demo = new Demo(["--nodes", String(count), "--port", String(base)]);
    const [, directory = ""] = await demo.printed(/data in (\S+)/);
    const [, coordinator] = await demo.printed(/(goose-\d) coordinates\. Try/);
    expect(demo.text).toContain(`One mesh of ${count} nodes.`);
    expect(demo.text).toContain(`mosquitto_sub -p ${base} -t 'demo/#' -v`);
    expect(demo.text).toContain(`mosquitto_pub -p ${base + count - 1} -t demo/hello -m hi`);
    for (let at = 1; at <= count; at++) expect(demo.text).toContain(`goose-${at} joined`);
    expect(demo.text).toMatch(new RegExp(`${coordinator} coordinates \\(term \\d+\\)`));

    const subscriber = await connectAsync(`mqtt://127.0.0.1:${base}`);
    await subscriber.subscribeAsync("demo/#");
    const hello = new Promise<string>((resolve) => {
      subscriber.once("message", (topic, payload) => resolve(`${topic} ${payload.toString()}`));
    });
    const publish = ["pub", "-p", String(base + count - 1), "-t", "demo/hello", "-m", "hi"];
    expect((await runSkein(publish)).code).toBe(0);
    expect(await hello).toBe("demo/hello hi");
    await subscriber.endAsync(true);

    const [, victim = ""] = await demo.printed(/kill -9 (\d+)/);
    process.kill(Number(victim), "SIGKILL");
    await demo.printed(new RegExp(`goose-${count} stopped`));
    await demo.printed(new RegExp(`goose-${count} is dead`));

    demo.interrupt();
    expect(await demo.ended).toBe(0);
    expect(existsSync(directory)).toBe(false);
    // All nodes are gone: their ports can be had again.
    for (let at = 0; at < count; at++) {
      await expect(fetch(`http://127.0.0.1:${base + at + 7880 - 1883}/healthz`)).rejects.toThrow();
    }
  },
);

test("a demo whose port is taken says which, and how to choose others", async () => {
  const base = await freePortRange(3, OFFSETS);
  const first = new Demo(["--nodes", "1", "--port", String(base)]);
  await first.printed(/coordinates\. Try/);
  const { code, err } = await runSkein(["demo", "--nodes", "1", "--port", String(base)]);
  expect(code).toBe(1);
  expect(err).toContain(`Port ${base} is already in use`);
  expect(err).toContain("skein demo --port");
});
