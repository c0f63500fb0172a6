/**
 * Is there a Docker engine these tests can use, and if not, what should be installed?
 *
 * A developer without Docker must still get a green `npm test`, but never believe that containers were tested: the
 * reason and the command are printed where nobody overlooks them. CI sets SKEIN_TEST_REQUIRE_DOCKER, and there the
 * same reason is a failure.
 */

import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { type ContainerRuntimeClient, getContainerRuntimeClient } from "testcontainers";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../../..");

/** What deploy/docker/make-base.sh copies from this machine, by Debian package. */
const PROGRAMS = new Map([
  ["docker", "docker.io"],
  ["ip", "iproute2"],
  ["arping", "iputils-arping"],
  ["socat", "socat"],
  ["iptables", "iptables"],
]);

/**
 * The engine, or undefined after the reason has been printed.
 *
 * @throws {Error} instead, if SKEIN_TEST_REQUIRE_DOCKER is set.
 */
export async function findEngine(): Promise<ContainerRuntimeClient | undefined> {
  let obstacle = missing();
  if (obstacle === undefined) {
    try {
      // The command line builds the image and the library runs it: they have to reach the same engine.
      await run("docker", ["info"]);
      return await getContainerRuntimeClient();
    } catch (error) {
      obstacle = `No Docker engine answers (${lastLine(error)}). Install and start one: apt-get install docker.io`;
    }
  }
  const { SKEIN_TEST_REQUIRE_DOCKER } = process.env;
  if (SKEIN_TEST_REQUIRE_DOCKER) throw new Error(obstacle);
  const bar = "!".repeat(100);
  process.stderr.write(`\n${bar}\n!! CONTAINER TESTS SKIPPED. ${obstacle}\n${bar}\n\n`);
  return undefined;
}

/** What {@link buildImage} builds. */
export const IMAGE = "skein:test";

/** Builds the base image and the image of the working tree from local files; a few seconds. */
export async function buildImage(): Promise<void> {
  const base = "skein-base:test";
  await run(join(ROOT, "deploy/docker/make-base.sh"), [base]);
  await run(join(ROOT, "deploy/docker/build-image.sh"), [IMAGE, base]);
}

/** What this machine lacks, as a sentence, or undefined. */
function missing(): string | undefined {
  if (process.platform !== "linux")
    return "They reach containers by their bridge addresses, which needs Linux.";
  if (process.getuid?.() !== 0) return "They read other processes and plug cables, which needs root.";
  const absent = [...PROGRAMS.keys()].filter((program) => !isInstalled(program));
  if (absent.length === 0) return undefined;
  const packages = absent.map((program) => PROGRAMS.get(program)).join(" ");
  return `Missing: ${absent.join(", ")}. Install with: apt-get install ${packages}`;
}

/** An engine that does not answer says so in the last of several lines. */
function lastLine(error: unknown): string {
  return String(error).trim().split("\n").at(-1) ?? "";
}

function isInstalled(program: string): boolean {
  // A user's PATH often lacks the sbin folders, where Debian keeps ip and iptables.
  const { PATH = "" } = process.env;
  const folders = [...PATH.split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      // Not in this folder; another one may have it.
      return false;
    }
  });
}
