/** What docker is told, with a script in docker's place that writes it down. The drill with an engine is in test/containers. */

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { failContainer } from "../src/exercises/docker-drill.ts";
import type { Drill } from "../src/exercises/node-requests.ts";

const NETWORKS = JSON.stringify({
  home: { Aliases: ["kitchen"], IPAddress: "10.1.0.3", GlobalIPv6Address: "fd00::3" },
});
/** `ip` inside says eth0 before the network is left, and eth1 when it was joined again. */
const DOCKER = `#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >>calls
case "$*" in
  ps*) echo c0ffee ;;
  inspect*) echo '${NETWORKS}' ;;
  *--ip*) [ ! -e chosen-by-docker ] || { echo "user specified IP address is not supported" >&2; exit 1; } ;;
  *disconnect*) touch left ;;
  *"ip -oneline address")
    [ ! -e no-ip ] || exit 126
    name=eth0; [ ! -e left ] || name=eth1
    echo "1: lo    inet 127.0.0.1/8 scope host lo"
    echo "7: $name    inet 10.1.0.3/24 brd 10.1.0.255 scope global $name"
    echo "7: $name    inet6 fd00::3/64 scope global nodad" ;;
  *"route show default") echo "default via 10.1.0.1 dev eth1" ;;
esac
`;

let folder: string;
const { PATH } = process.env;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-docker-"));
  writeFileSync(join(folder, "docker"), DOCKER);
  chmodSync(join(folder, "docker"), 0o755);
  vi.stubEnv("PATH", `${folder}:${PATH}`);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** What docker is told while a drill begins, and when it is undone. */
async function told(drill: Drill): Promise<{
  readonly begun: readonly string[];
  readonly undone: readonly string[];
}> {
  const calls = (): string[] => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
  const undo = await failContainer("kitchen", drill);
  const begun = calls();
  await undo();
  return { begun, undone: calls().slice(begun.length) };
}

const RENAMING = [
  "exec c0ffee ip -oneline address",
  "exec c0ffee ip route show default",
  "exec c0ffee ip link set dev eth1 down",
  "exec c0ffee ip link set dev eth1 name eth0",
  "exec c0ffee ip link set dev eth0 up",
  "exec c0ffee ip route replace default via 10.1.0.1 dev eth0",
];

test.each([
  ["kill", "kill c0ffee", "start c0ffee"],
  ["pause", "pause c0ffee", "unpause c0ffee"],
] as const)(
  "%s: the container is told what happens to it, and afterwards what undoes that",
  async (drill, begins, undoes) => {
    const { begun, undone } = await told(drill);
    expect(begun.at(-1)).toBe(begins);
    expect(undone).toEqual([undoes]);
  },
);

test("a container that was cut off joins its network again with its addresses, and its interface has its name and route", async () => {
  const { begun, undone } = await told("partition");
  expect(begun.at(-1)).toBe("network disconnect home c0ffee");
  expect(undone).toEqual([
    "network connect --alias kitchen --ip 10.1.0.3 --ip6 fd00::3 home c0ffee",
    ...RENAMING,
  ]);
});

test("where docker has chosen the network's range itself it is joined without asking for an address", async () => {
  writeFileSync(join(folder, "chosen-by-docker"), "");
  const { undone } = await told("partition");
  expect(undone.slice(1)).toEqual(["network connect --alias kitchen home c0ffee", ...RENAMING]);
});

test("a container without the program ip is only joined again", async () => {
  writeFileSync(join(folder, "no-ip"), "");
  const { undone } = await told("partition");
  expect(undone).toEqual([
    "network connect --alias kitchen --ip 10.1.0.3 --ip6 fd00::3 home c0ffee",
    "exec c0ffee ip -oneline address",
  ]);
});
