/**
 * The language of listeners: `mqtts://HOST:PORT?name=value&name=value`, `unix:///PATH?...`.
 *
 * What differs between listeners stands in the URL of each, after the question mark, so that file, environment and flags need no form
 * of their own for it. Written by hand instead of with URL, because an empty host (`mqtt://:1884`: this machine's default) is
 * useful here and no URL. The parser returns what it read, or one clause that says what is wrong.
 */

import { Problem, parseHost, parsePort } from "./addresses.ts";
import { nearestName } from "./nearest-name.ts";

export type ListenProtocol = "mqtt" | "mqtts" | "ws" | "wss" | "unix";

/** What may stand after the question mark. A setting of the whole node stands in for what does not. */
interface ListenerOptions {
  /** Clients get in without a password. */
  readonly anonymous?: boolean;
  /** Connections begin with a PROXY header. */
  readonly proxy?: boolean;
  /** Connections at a time. */
  readonly maxClients?: number;
  /** When publishes are acknowledged. */
  readonly ack?: "local" | "mesh";
  /** PEM files of an encrypted listener. */
  readonly cert?: string;
  readonly key?: string;
  readonly clientCa?: string;
  /** What in a client's certificate is its user name. */
  readonly identity?: "cn" | "san";
  /** Permissions of a Unix socket. */
  readonly mode?: number;
}

export interface ListenUrl {
  readonly protocol: ListenProtocol;
  /** Without brackets; undefined: the default of this node. */
  readonly host: string | undefined;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Of a Unix socket, else undefined. */
  readonly path: string | undefined;
  readonly options: ListenerOptions;
}

const DEFAULT_PORTS = { mqtt: 1883, mqtts: 8883, ws: 8083, wss: 8084 } as const;
/** What the kernel takes (sun_path), without its closing zero. */
const UNIX_PATH_BYTES_MAX = 107;
const CLIENTS_MAX = 1_000_000;

interface Option {
  readonly field: keyof ListenerOptions;
  /** Protocols it has a meaning for. */
  readonly of: readonly ListenProtocol[];
  readonly parse: (text: string) => boolean | number | string | Problem;
}

const ALL = ["mqtt", "mqtts", "ws", "wss", "unix"] as const;
const ENCRYPTED = ["mqtts", "wss"] as const;

const OPTIONS: Readonly<Record<string, Option>> = {
  anonymous: { field: "anonymous", of: ALL, parse: trueOrFalse },
  proxy: { field: "proxy", of: ALL, parse: trueOrFalse },
  "max-clients": { field: "maxClients", of: ALL, parse: clientCount },
  ack: { field: "ack", of: ALL, parse: localOrMesh },
  cert: { field: "cert", of: ENCRYPTED, parse: filePath },
  key: { field: "key", of: ENCRYPTED, parse: filePath },
  "client-ca": { field: "clientCa", of: ENCRYPTED, parse: filePath },
  identity: { field: "identity", of: ENCRYPTED, parse: identityKind },
  mode: { field: "mode", of: ["unix"], parse: permissions },
};
const OPTION_NAMES = Object.keys(OPTIONS);

/** Reads a `--listen` URL. Default ports: mqtt 1883, mqtts 8883, ws 8083, wss 8084. */
export function parseListenUrl(text: string): ListenUrl | Problem {
  const [, scheme = "", rest = "", query] = /^([a-z0-9+]+):\/\/([^?]*)(?:\?(.*))?$/i.exec(text) ?? [];
  if (scheme === "")
    return new Problem(
      "it is not a URL such as mqtt://127.0.0.1:1883, mqtts://:8883 or unix:///run/mqtt.sock",
    );
  const protocol = ALL.find((known) => known === scheme.toLowerCase());
  if (protocol === undefined)
    return new Problem(`${scheme}:// is unknown, use mqtt://, mqtts://, ws://, wss:// or unix://`);
  const place = protocol === "unix" ? parseUnixPath(rest) : parsePlace(rest, DEFAULT_PORTS[protocol]);
  if (place instanceof Problem) return place;
  const options = query === undefined ? {} : parseOptions(query, protocol);
  return options instanceof Problem ? options : { protocol, ...place, options };
}

type Place = Pick<ListenUrl, "host" | "port" | "path">;

/** `HOST:PORT`, both may be missing; a path after it means nothing. */
function parsePlace(text: string, defaultPort: number): Place | Problem {
  const match = /^(\[[^\]]*\]|[^:/[\]]*)(?::([^/]*))?(?:\/.*)?$/.exec(text);
  if (match === null) return new Problem(`"${text}" is not HOST:PORT`);
  const port = match[2] === undefined ? defaultPort : parsePort(match[2]);
  if (port instanceof Problem) return port;
  const host = parseHost(match[1] ?? "");
  if (host instanceof Problem) return host;
  return { host: host === "" ? undefined : host, port, path: undefined };
}

function parseUnixPath(text: string): Place | Problem {
  const path = decoded(text);
  if (path instanceof Problem) return path;
  if (!/^\/./.test(path))
    return new Problem("write the whole path of the socket, with three slashes: unix:///run/skein/mqtt.sock");
  if (Buffer.byteLength(path) > UNIX_PATH_BYTES_MAX)
    return new Problem(`the path of a Unix socket has at most ${UNIX_PATH_BYTES_MAX} bytes`);
  return { host: undefined, port: 0, path };
}

function parseOptions(query: string, protocol: ListenProtocol): ListenerOptions | Problem {
  const options: Partial<Record<keyof ListenerOptions, boolean | number | string>> = {};
  for (const item of query.split("&")) {
    const [name = "", ...value] = item.split("=");
    const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (option === undefined) return unknownOption(name, protocol);
    if (!option.of.includes(protocol))
      return new Problem(`${name} is for ${option.of.map((other) => `${other}://`).join(" and ")} only`);
    if (options[option.field] !== undefined) return new Problem(`${name} is given twice`);
    const text = decoded(value.join("="));
    if (text instanceof Problem) return text;
    const parsed = option.parse(text);
    if (parsed instanceof Problem) return new Problem(`${name} ${parsed.text}`);
    options[option.field] = parsed;
  }
  return options as ListenerOptions;
}

function unknownOption(name: string, protocol: ListenProtocol): Problem {
  const allowed = OPTION_NAMES.filter((known) => OPTIONS[known]?.of.includes(protocol) === true);
  const nearest = nearestName(name, allowed);
  const hint = nearest === undefined ? `there are ${allowed.join(", ")}` : `did you mean ${nearest}`;
  return new Problem(`"${name}" is no option of a listener; ${hint}`);
}

/** `%2C` for a comma, which separates listeners in the environment. */
function decoded(text: string): string | Problem {
  try {
    return decodeURIComponent(text);
  } catch {
    return new Problem(`"${text}" has a percent sign that no two digits follow; write %25 for it`);
  }
}

/** A name alone means yes. */
function trueOrFalse(text: string): boolean | Problem {
  if (/^(true|yes|on|1|)$/i.test(text)) return true;
  return /^(false|no|off|0)$/i.test(text) ? false : new Problem("must be true or false");
}

function localOrMesh(text: string): string | Problem {
  return text === "local" || text === "mesh" ? text : new Problem("must be local or mesh");
}

function clientCount(text: string): number | Problem {
  const count = Number(text);
  return /^\d+$/.test(text) && count >= 1 && count <= CLIENTS_MAX
    ? count
    : new Problem(`must be a number from 1 to ${CLIENTS_MAX}`);
}

function filePath(text: string): string | Problem {
  return text === "" ? new Problem("must be the name of a file") : text;
}

function identityKind(text: string): string | Problem {
  return text === "cn" || text === "san" ? text : new Problem("must be cn or san");
}

function permissions(text: string): number | Problem {
  return /^0?[0-7]{3}$/.test(text)
    ? Number.parseInt(text, 8)
    : new Problem("must be permissions such as 660 (see: chmod)");
}
