/**
 * Gathers a node's settings: defaults < what the mesh shares (joined.yaml) < skein.yaml < SKEIN_* < flags.
 *
 * A misspelled setting is an error everywhere, with the name that was probably meant: a `lisen:` that is silently ignored
 * costs an evening. Every error is one sentence that says where the value came from, what is wrong and what to write.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { BrokerOptions } from "@skein/broker";
import { SkeinError } from "@skein/kernel";
import { safeParse } from "valibot";
import { brokerLimits } from "./broker-limits.ts";
import { type ListenerConfig, resolveListeners } from "./listener-config.ts";
import { nearestName } from "./nearest-name.ts";
import { configSchema, type ParsedSettings } from "./schema.ts";
import { environmentName, SETTING_NAMES, type SettingName } from "./settings.ts";
import { type SharedSettings, sharedSettings, sharedSettingsPath } from "./shared-settings.ts";

/** Where settings come from. */
export interface ConfigSources {
  /** Flags that were given, by setting name. */
  readonly flags: Readonly<Partial<Record<SettingName, unknown>>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Name of this machine. */
  readonly hostName: string;
}

/** Everything one node needs to know, checked and complete, except for the mesh key (mesh-key.ts). */
export interface NodeConfig {
  readonly name: string;
  readonly dataDirectory: string;
  readonly listeners: readonly ListenerConfig[];
  /** File of the users; undefined: there are none. */
  readonly scramUsers: string | undefined;
  readonly mesh: string;
  /** 64 hexadecimal digits, `@FILE`, or undefined: the one in the data directory. */
  readonly meshKey: string | undefined;
  readonly link: { readonly host: string; readonly port: number };
  /** `host:port`. */
  readonly peers: readonly string[];
  readonly isMdnsEnabled: boolean;
  readonly floatingAddress: { readonly address: string; readonly networkInterface: string } | undefined;
  /** Clients of the floating address are passed on to the node with the fewest. */
  readonly isBalanced: boolean;
  /** 5.0 clients whose connection must end are told of another node. */
  readonly isRedirecting: boolean;
  readonly http: { readonly host: string; readonly port: number };
  /** Who may change something over HTTP. */
  readonly httpActions: "local" | "any";
  /** Values under `$SYS` are told this often; 0: there are none. */
  readonly systemIntervalSeconds: number;
  readonly logLevel: "error" | "warn" | "info" | "debug";
  /** What differs from the broker's usual limits. */
  readonly limits: Partial<BrokerOptions>;
  readonly timing: "lan" | "wired";
  readonly durability: "replicated" | "disk";
  /** Bytes of messages for clients that are away; undefined: what the machine has room for. */
  readonly owedBytesMax: number | undefined;
  /** What happens to writes without a quorum. */
  readonly onQuorumLoss: "outbox" | "hold";
  /** What a newcomer is told of these settings. */
  readonly shared: SharedSettings;
  /** The file the settings were read from, for the log. */
  readonly configFile: string | undefined;
}

/** Data directory of an installed node. Its existence says that this machine has one. */
const SYSTEM_DATA_DIRECTORY = "/var/lib/skein";

/** One value and how the operator would call the place it came from. */
interface Sourced {
  readonly value: unknown;
  readonly origin: string;
}
type Layer = ReadonlyMap<SettingName, Sourced>;

/** Reads and checks all settings. @throws {SkeinError} ERR_SKEIN_CONFIG */
export async function loadConfig(sources: ConfigSources): Promise<NodeConfig> {
  const flags = flagLayer(sources.flags);
  const environment = environmentLayer(sources.environment);
  const early = new Map([...environment, ...flags]);
  const name = textOf(early.get("name")) ?? sources.hostName;
  const dataDirectory = textOf(early.get("data-dir")) ?? defaultDataDirectory(name);
  const configFile = findConfigFile(textOf(early.get("config")), dataDirectory);
  const file = configFile === undefined ? new Map<SettingName, Sourced>() : await fileLayer(configFile);
  const joinedFile = sharedSettingsPath(
    textOf(early.get("data-dir") ?? file.get("data-dir")) ?? dataDirectory,
  );
  const joined = existsSync(joinedFile) ? await fileLayer(joinedFile) : new Map<SettingName, Sourced>();
  const merged: Layer = new Map([...joined, ...file, ...early]);
  const settings = check(merged, sources.hostName);
  return Object.freeze({
    name: settings.name,
    dataDirectory: settings["data-dir"] ?? defaultDataDirectory(settings.name),
    listeners: resolveListeners(settings, merged.get("listen")?.origin ?? "--listen"),
    scramUsers: settings["scram-users"],
    mesh: settings.mesh,
    meshKey: settings["mesh-key"],
    link: settings.link,
    peers: settings.peer,
    isMdnsEnabled: !settings["no-mdns"],
    floatingAddress: settings.vip,
    isBalanced: settings.balance === "proxy",
    isRedirecting: settings.redirect,
    http: settings.http,
    httpActions: settings["http-actions"],
    systemIntervalSeconds: settings["sys-interval"],
    logLevel: settings["log-level"],
    limits: brokerLimits(settings),
    timing: settings.timing,
    durability: settings.durability,
    onQuorumLoss: settings["on-quorum-loss"],
    owedBytesMax: settings["max-store"],
    shared: sharedSettings(merged, settings.mesh),
    configFile,
  });
}

function defaultDataDirectory(name: string): string {
  return existsSync(SYSTEM_DATA_DIRECTORY) ? SYSTEM_DATA_DIRECTORY : join(".skein", name);
}

function flagLayer(flags: ConfigSources["flags"]): Layer {
  const layer = new Map<SettingName, Sourced>();
  for (const setting of SETTING_NAMES) {
    const value = flags[setting];
    if (value !== undefined) layer.set(setting, { value, origin: `--${setting}` });
  }
  return layer;
}

function environmentLayer(environment: ConfigSources["environment"]): Layer {
  const known = new Map(SETTING_NAMES.map((setting) => [environmentName(setting), setting]));
  const layer = new Map<SettingName, Sourced>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith("SKEIN_") || value === undefined) continue;
    const setting = known.get(variable);
    if (setting === undefined)
      throw unknownName("environment variable", variable, [...known.keys()], "skein up --help");
    // An empty variable is how compose files and unit files say "not set".
    if (value !== "") layer.set(setting, { value, origin: variable });
  }
  return layer;
}

function findConfigFile(given: string | undefined, dataDirectory: string): string | undefined {
  if (given !== undefined) return given;
  return ["skein.yaml", join(dataDirectory, "skein.yaml")].find((path) => existsSync(path));
}

async function fileLayer(path: string): Promise<Layer> {
  // Only here: many a node has no such file, and the parser would stay in its memory.
  const { parse } = await import("yaml");
  let content: unknown;
  try {
    content = parse(readFileSync(path, "utf8"), { prettyErrors: true, logLevel: "error" });
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw configError(`Cannot read settings from ${path}: ${reason.replace(/[:.]$/, "")}.`, error);
  }
  const layer = new Map<SettingName, Sourced>();
  if (content === null || content === undefined) return layer;
  if (typeof content !== "object" || Array.isArray(content))
    throw configError(`Cannot read settings from ${path}: write one "name: value" on each line.`);
  const allowed = SETTING_NAMES.filter((setting) => setting !== "config");
  for (const [key, value] of Object.entries(content)) {
    const setting = allowed.find((candidate) => candidate === key);
    if (setting === undefined) throw unknownName("setting", key, allowed, "skein up --help", ` in ${path}`);
    layer.set(setting, {
      value: typeof value === "number" ? String(value) : value,
      origin: `${key} in ${path}`,
    });
  }
  return layer;
}

/** Passes the merged values through the schema. */
function check(merged: Layer, hostName: string): ParsedSettings {
  const input: Record<string, unknown> = { name: hostName };
  for (const [setting, { value }] of merged) if (setting !== "config") input[setting] = value;
  const result = safeParse(configSchema, input);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const [at, item] = issue.path ?? [];
  const setting = at?.key as SettingName | undefined;
  const sourced = setting === undefined ? undefined : merged.get(setting);
  const origin = sourced?.origin ?? setting ?? "the settings";
  // A mesh key must not end up in a log or a screenshot.
  const shown = setting === "mesh-key" ? "" : ` ${JSON.stringify(badItem(sourced?.value, item?.key))}`;
  throw configError(`Cannot use ${origin}${shown}: ${issue.message}.`);
}

function badItem(value: unknown, at: unknown): unknown {
  if (typeof at !== "number") return value;
  const items: unknown = typeof value === "string" ? value.split(",") : value;
  return Array.isArray(items) ? items[at] : value;
}

function textOf(sourced: Sourced | undefined): string | undefined {
  return typeof sourced?.value === "string" ? sourced.value : undefined;
}

/** The sentence for a name that does not exist. */
function unknownName(
  kind: string,
  name: string,
  known: readonly string[],
  help: string,
  place = "",
): SkeinError {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? `see ${help}` : `did you mean ${nearest}?`;
  return configError(`Unknown ${kind} ${name}${place}: ${hint}`);
}

function configError(message: string, cause?: unknown): SkeinError {
  return new SkeinError("ERR_SKEIN_CONFIG", message, cause === undefined ? undefined : { cause });
}
