/**
 * The settings that belong to the mesh, not to one node: a newcomer gets them with its invitation and keeps them in a file of its
 * data directory.
 *
 * What is written there ranks below everything the operator of the newcomer says, so a box may still be different on purpose.
 */

import { join } from "node:path";
import { isWildcardHost, Problem } from "./addresses.ts";
import { parseListenUrl } from "./listen-url.ts";
import type { SettingName } from "./settings.ts";

/** File of the data directory. */
export const SHARED_SETTINGS_FILE = "joined.yaml";

export const SHARED_SETTINGS = [
  "mesh",
  "vip",
  "balance",
  "redirect",
  "timing",
  "durability",
  "on-quorum-loss",
  "allow-anonymous",
  "listen",
] as const satisfies readonly SettingName[];

/** Values as an operator would write them. */
export type SharedSettings = Readonly<Record<string, string | readonly string[]>>;

export function sharedSettingsPath(dataDirectory: string): string {
  return join(dataDirectory, SHARED_SETTINGS_FILE);
}

/** Of the values given to a node those that its mesh shares. */
export function sharedSettings(
  values: ReadonlyMap<SettingName, { readonly value: unknown }>,
  mesh: string,
): SharedSettings {
  const shared: Record<string, string | readonly string[]> = { mesh };
  for (const name of SHARED_SETTINGS) {
    const value = values.get(name)?.value;
    if (name === "listen") {
      const everywhere = (typeof value === "string" ? value.split(",") : listOf(value)).filter(isForAnyNode);
      if (everywhere.length > 0) shared[name] = everywhere;
    } else if (typeof value === "string" || typeof value === "boolean") shared[name] = String(value);
  }
  return shared;
}

function listOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** An address or a file of one machine is of no use on another: certificates, keys and Unix sockets stay where they are. */
function isForAnyNode(url: string): boolean {
  const parsed = parseListenUrl(url.trim());
  if (parsed instanceof Problem) return false;
  const { protocol, host } = parsed;
  return (protocol === "mqtt" || protocol === "ws") && (host === undefined || isWildcardHost(host));
}
