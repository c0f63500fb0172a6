/**
 * Drills on containers: docker does to the node from outside what happens to a box.
 *
 * NODE is the container's name, or the value of its label `skein.node`. What was done is undone after the time, whatever
 * happens to the watch. A network is left and joined again with the same addresses and aliases, and under the same name of the
 * interface: docker counts on (eth0 comes back as eth1), and the floating address stands on an interface with a name.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { SkeinError } from "@skein/kernel";
import type { Drill } from "./node-requests.ts";

const run = promisify(execFile);

interface Attachment {
  readonly Aliases: readonly string[] | null;
  /** Empty: none. */
  readonly IPAddress: string;
  readonly GlobalIPv6Address: string;
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
  const interfaces = await interfacesOf(container);
  for (const [network] of networks) await docker("network", "disconnect", network, container);
  return async () => {
    for (const [network, attachment] of networks) await connect(network, attachment, container);
    await renameInterfaces(container, interfaces);
  };
}

async function connect(network: string, attachment: Attachment, container: string): Promise<void> {
  const { Aliases, IPAddress, GlobalIPv6Address } = attachment;
  const aliases = (Aliases ?? []).flatMap((alias) => ["--alias", alias]);
  const addresses = [
    ...(IPAddress === "" ? [] : ["--ip", IPAddress]),
    ...(GlobalIPv6Address === "" ? [] : ["--ip6", GlobalIPv6Address]),
  ];
  try {
    await docker("network", "connect", ...aliases, ...addresses, network, container);
  } catch {
    // Docker lets nobody choose in a network whose range it has chosen itself.
    await docker("network", "connect", ...aliases, network, container);
  }
}

/** Names of the container's interfaces, by address. Empty where there is no `ip`: then no node sets an address there, either. */
async function interfacesOf(container: string): Promise<ReadonlyMap<string, string>> {
  const lines = await docker("exec", container, "ip", "-oneline", "address").catch(() => "");
  return new Map(
    [...lines.matchAll(/^\d+: (\S+) +inet6? (\S+?)\/.*$/gm)].map(([, name = "", ip = ""]) => [ip, name]),
  );
}

async function renameInterfaces(container: string, before: ReadonlyMap<string, string>): Promise<void> {
  const inside = (...words: readonly string[]): Promise<string> => docker("exec", container, "ip", ...words);
  const renamed = new Map<string, string>();
  for (const [ip, name] of await interfacesOf(container)) {
    const former = before.get(ip);
    if (former !== undefined && former !== name) renamed.set(name, former);
  }
  for (const [name, former] of renamed) {
    const route = (await inside("route", "show", "default")).replace(`dev ${name}`, `dev ${former}`);
    // Kernels before 6.2 rename only what is down, and what is down loses its routes.
    await inside("link", "set", "dev", name, "down");
    await inside("link", "set", "dev", name, "name", former);
    await inside("link", "set", "dev", former, "up");
    if (route !== "") await inside("route", "replace", ...route.split(/\s+/));
  }
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
