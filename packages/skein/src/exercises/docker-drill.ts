/**
 * Drills on containers: docker does to the node from outside what happens to a box.
 *
 * NODE is the container's name, or the value of its label `skein.node`. What was done is undone after the time, whatever
 * happens to the watch. A network is left and joined again with the same addresses and aliases.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SkeinError } from "@skein/kernel";
import type { Drill } from "./node-requests.ts";

const run = promisify(execFile);

interface Attachment {
  readonly Aliases: readonly string[] | null;
  readonly IPAMConfig: { readonly IPv4Address?: string; readonly IPv6Address?: string } | null;
}

/** Lets the container fail, and returns what undoes that. @throws {SkeinError} ERR_SKEIN_REFUSED */
export async function failContainer(node: string, drill: Drill): Promise<() => Promise<void>> {
  const container = await findContainer(node);
  if (drill === "kill") {
    await docker("kill", container);
    return () => docker("start", container).then(() => undefined);
  }
  if (drill === "pause") {
    await docker("pause", container);
    return () => docker("unpause", container).then(() => undefined);
  }
  const text = await docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", container);
  const networks = Object.entries(JSON.parse(text) as Record<string, Attachment>);
  for (const [network] of networks) await docker("network", "disconnect", network, container);
  return async () => {
    for (const [network, { Aliases, IPAMConfig }] of networks) {
      const { IPv4Address, IPv6Address } = IPAMConfig ?? {};
      await docker(
        "network",
        "connect",
        ...(Aliases ?? []).flatMap((alias) => ["--alias", alias]),
        ...(IPv4Address === undefined ? [] : ["--ip", IPv4Address]),
        ...(IPv6Address === undefined ? [] : ["--ip6", IPv6Address]),
        network,
        container,
      );
    }
  };
}

/** The name that the node in container `name` has in the mesh: it is told, or the host name. @throws {SkeinError} ERR_SKEIN_REFUSED */
export async function nodeInContainer(name: string): Promise<string> {
  const text = await docker("inspect", "--format", "{{json .Config}}", await findContainer(name));
  const { Hostname, Env } = JSON.parse(text) as {
    readonly Hostname: string;
    readonly Env: readonly string[] | null;
  };
  const told = Env?.find((variable) => variable.startsWith("SKEIN_NAME="));
  return told?.slice("SKEIN_NAME=".length) ?? Hostname.split(".")[0] ?? Hostname;
}

async function findContainer(node: string): Promise<string> {
  for (const filter of [`name=^/?${escaped(node)}$`, `label=skein.node=${node}`]) {
    const ids = (await docker("ps", "--quiet", "--no-trunc", "--filter", filter)).split("\n").filter(Boolean);
    if (ids.length > 1) throw refused(`There are ${ids.length} containers for ${node}. Name one: docker ps`);
    if (ids[0] !== undefined) return ids[0];
  }
  throw refused(
    `There is no running container named ${node} or with the label skein.node=${node}. See: docker ps`,
  );
}

async function docker(...args: readonly string[]): Promise<string> {
  try {
    return (await run("docker", [...args])).stdout.trim();
  } catch (error) {
    const { code, stderr = "" } = error as { readonly code?: unknown; readonly stderr?: string };
    if (code === "ENOENT")
      throw refused("There is no docker on this machine. Leave --docker out for a real box");
    const reason = stderr.trim().split("\n")[0] ?? "";
    throw refused(`Docker could not do it: ${reason.replace(/^Error response from daemon: /, "")}`);
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function refused(sentence: string): SkeinError {
  return new SkeinError("ERR_SKEIN_REFUSED", sentence);
}
